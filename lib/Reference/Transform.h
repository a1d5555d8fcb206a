//===- Transform.h - Rows times a matrix of a known kind --------*- C++ -*-===//
//
// Spec.md, section 3, "Transforms", for T = float (strict numerics) and double
// (F64 mode, and the weight side in both modes).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_TRANSFORM_H
#define LOWBIT_REFERENCE_TRANSFORM_H

#include "GraphOps.h"

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/IR/Lowbit.h"

namespace lowbit::reference {

/// x · T, `[row][result column]`. Exit 4 for a kind that is not known.
template <typename T>
Result<std::vector<T>> transformRows(RowsView<T> x, TransformInterface kind,
                                     llvm::ArrayRef<WeightPtr> matrices);

/// `lowbit.transform_weight`: W · T (`dim` 1) or Tᵀ · W (`dim` 0), in f64.
Result<Weight> transformWeight(const Weight &weight, int64_t dim,
                               TransformInterface kind,
                               llvm::ArrayRef<WeightPtr> matrices);

/// The transpose; exact.
Weight transposeMatrix(const Weight &matrix);

/// The inverse of a square matrix in f64, the reciprocals of a vector. Exit 3
/// where there is none; `name` is for the message.
Result<Weight> invertMatrix(const Weight &matrix, llvm::StringRef name);

/// Five steps X ← 1.5 X − 0.5 X XᵀX in f64.
Weight orthonormalizeMatrix(const Weight &matrix);

/// H_m of Spec.md as ±1, row by row; `m` is a core.
std::vector<int> hadamardCore(int64_t m);
/// Whether m is 1 or the order of one of Paley's matrices.
bool isCore(int64_t m);

/// Signs 0 … count − 1 of a seed.
std::vector<int> signsOfSeed(uint64_t seed, int64_t count);

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_TRANSFORM_H
