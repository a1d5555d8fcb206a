//===- RowTransforms.h - Rows times matrices of a known kind ----*- C++ -*-===//
//
// The chain of transforms that a row of f32 in scratch goes through (Spec.md,
// section 3, Transforms) before it is quantized, cached or stored. Kernel
// parameters: `transforms`, a list of transform attributes, and
// `transform_types`, the types of their matrices, which the kernel takes as
// arguments in that order (f32, row-major).
//
//   RowTransforms transforms(parameters, columns);
//   transforms.prepare(k);                     // once, outside of loops
//   Value y = transforms.apply(k, x, spare, matrices);
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_ROWTRANSFORMS_H
#define LOWBIT_LIB_CONVERSION_ROWTRANSFORMS_H

#include "RowLoops.h"

namespace lowbit {

/// A chain of transforms of one row.
class RowTransforms {
public:
  /// Reads the parameters, named `prefix` + `transforms` and `transform_types`;
  /// where they are absent the chain is empty. `columns` are those of the row
  /// that comes in.
  RowTransforms(KernelParameters &parameters, int64_t columns,
                llvm::StringRef prefix = "");

  bool empty() const { return steps.empty(); }
  /// Columns of the row that comes out.
  int64_t resultColumns() const { return columns; }
  /// Matrices among the kernel's arguments.
  int64_t argumentCount() const { return matrixTypes.size(); }
  /// f32 elements of each of the two places that `apply` works in: whole
  /// vectors of the widest row, and one more.
  int64_t rowElements() const {
    return roundUp(widest, vectorLanes) + vectorLanes;
  }

  /// Makes the tables of signs; where the kernel's loops begin.
  void prepare(KernelBuilder &k);
  /// Transforms the row at `x`; `spare` is a second place. Returns the place
  /// where the result lies, one of the two; elements behind it are anything.
  Value apply(KernelBuilder &k, Value x, Value spare,
              mlir::ValueRange matrices) const;

private:
  /// One transform with what is known of it.
  struct Step {
    TransformInterface kind;
    /// Columns of its input and result, of a block of it.
    int64_t columns, resultColumns;
    /// Where its matrices are in the list.
    int64_t firstMatrix;
    /// Tables that `prepare` made: sign bits of the columns, of the core.
    Value signs, core;
  };

  void read(KernelParameters &parameters, llvm::StringRef list,
            llvm::StringRef typeList);
  void applyHadamard(KernelBuilder &k, const Step &step, Value x,
                     Value spare) const;
  void applyCore(KernelBuilder &k, const Step &step, Value x,
                 Value spare) const;
  void applyDiagonal(KernelBuilder &k, const Step &step, Value x,
                     Value factors) const;
  void applyGather(KernelBuilder &k, GatherAttr gather, Value x, Value y) const;
  /// y = x · P, blocks of n = rows of P; element i of a row lies at i.
  void applyDense(KernelBuilder &k, const Step &step, Value x, Value y,
                  Value matrix) const;
  /// y = P₁ᵀ · X for blocks of a × b.
  void applyColumns(KernelBuilder &k, const Step &step, Value x, Value y,
                    Value matrix, int64_t a, int64_t b) const;

  llvm::SmallVector<Step> steps;
  llvm::SmallVector<mlir::RankedTensorType> matrixTypes;
  int64_t columns, widest;
};

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_ROWTRANSFORMS_H
