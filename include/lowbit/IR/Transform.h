//===- Transform.h - A transform with its operands --------------*- C++ -*-===//
//
// What `lowbit.transform` and `lowbit.transform_weight` multiply with: the kind
// (an attribute) and the matrices that it takes (weights). The set of kinds is
// closed under transposition and inversion: numbers are turned round by
// `lowbit.transpose` and `lowbit.invert`.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_IR_TRANSFORM_H
#define LOWBIT_IR_TRANSFORM_H

#include "lowbit/IR/Lowbit.h"
#include "mlir/IR/Builders.h"

namespace lowbit {

/// A kind and its matrices.
struct Transform {
  TransformInterface kind;
  llvm::SmallVector<mlir::Value, 2> matrices;

  bool operator==(const Transform &other) const {
    return kind == other.kind && matrices == other.matrices;
  }
  bool operator!=(const Transform &other) const { return !(*this == other); }
  explicit operator bool() const { return static_cast<bool>(kind); }
};

/// The transform of an operation.
Transform getTransform(TransformOp op);
Transform getTransform(TransformWeightOp op);

/// Columns after which it repeats itself; 0 where it does not.
int64_t getBlock(const Transform &transform);

/// Columns of the result for rows of `columns` columns; none where the
/// transform does not take such rows.
std::optional<int64_t> getResultColumns(const Transform &transform,
                                        int64_t columns);

/// Tᵀ. Operations for its matrices are made at the builder's position.
Transform transpose(mlir::OpBuilder &builder, mlir::Location loc,
                    const Transform &transform);

/// T⁻¹, the same way. Of a gather G the averaged transpose G⁺, for which
/// x · G · G⁺ = x.
Transform invert(mlir::OpBuilder &builder, mlir::Location loc,
                 const Transform &transform);

/// x · T for rows x.
mlir::Value applyToRows(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value rows, const Transform &transform);

/// W · T (`dim` 1) or Tᵀ · W (`dim` 0; of a vector b: b · T).
mlir::Value applyToWeight(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value weight, int64_t dim,
                          const Transform &transform);

/// The transpose of a matrix; of a transpose: the matrix.
mlir::Value transposeMatrix(mlir::OpBuilder &builder, mlir::Location loc,
                            mlir::Value matrix);
/// The inverse of a matrix (of a vector: the reciprocals); of an inverse: the
/// matrix.
mlir::Value invertMatrix(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value matrix);

/// `#lowbit.hadamard` of that block; `seed` < 0: without signs.
Transform makeHadamard(mlir::MLIRContext *context, int64_t block, int64_t seed);
/// `#lowbit.diagonal` of a vector.
Transform makeDiagonal(mlir::Value vector);
/// `#lowbit.dense` of a square matrix.
Transform makeDense(mlir::Value matrix, MatrixKind kind);

} // namespace lowbit

#endif // LOWBIT_IR_TRANSFORM_H
