//===- FoldTransforms.h - Move transforms into weights ----------*- C++ -*-===//
//
// A pair T, T⁻¹ that a pass inserts changes nothing. The first half is marked
// to move up (into what makes the rows), the second to move down (into what
// reads them), by the rules of Spec.md, section 4; each keeps the function.
// What cannot move further stays as an online operation.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_FOLDTRANSFORMS_H
#define LOWBIT_LIB_TRANSFORMS_FOLDTRANSFORMS_H

#include "lowbit/IR/Transform.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lowbit {

/// Attribute of a `lowbit.transform`: `up` or `down`, where it is to move. One
/// without it stays.
constexpr llvm::StringLiteral foldAttr = "lowbit.fold";

/// What becomes of a tied head whose norm has a scale when a rotation comes
/// through the norm.
enum class TiedHead {
  /// The scale goes into the head, which becomes a table of its own.
  Untie,
  /// The table stays one; T · diag(γ) · T⁻¹ stays online in front of the head.
  Keep,
};

/// Columns of rows, `? × columns`.
int64_t columnsOf(mlir::Value rows);

/// Puts the pair behind `value` (rows): everything that used `value` uses
/// `value · T · T⁻¹`. The same two transforms for all places where rows of one
/// space are made: halves that differ do not join.
void insertPair(mlir::Value value, const Transform &transform,
                const Transform &inverse);

/// Puts T in front of the one use; it stays there, online.
void insertAtUse(mlir::OpOperand &use, const Transform &transform);

/// Whether all that reads `rows` are linears with plain weights, into which a
/// transform can go.
bool onlyPlainLinearsRead(mlir::Value rows);

/// Moves marked transforms of a function of one block as far as they go, and
/// removes pairs that could not move at all. Needs hoistWeightOps.
void foldTransforms(mlir::func::FuncOp function, TiedHead tied);

/// The same for signs alone, which are exact: other transforms stay where they
/// are.
void foldSigns(mlir::func::FuncOp function);

/// Moves the scale of every norm that only plain linears read into their
/// weights; with Keep not of norms in front of a tied head. Needs
/// hoistWeightOps.
void foldNormScales(mlir::func::FuncOp function, TiedHead tied);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_FOLDTRANSFORMS_H
