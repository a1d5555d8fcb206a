//===- GraphOps.h - Operations of the graph on plain arrays -----*- C++ -*-===//
//
// One function for each operation, for T = float (strict numerics) and double.
// Rows that come out are `[row][column]`.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_GRAPHOPS_H
#define LOWBIT_REFERENCE_GRAPHOPS_H

#include "lowbit/Reference/Weight.h"
#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <vector>

namespace lowbit::reference {

/// A batch of rows that somebody else owns.
template <typename T> struct RowsView {
  const T *data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;

  const T *row(int64_t i) const { return data + i * columns; }
};

/// (sequence, position) of each row.
struct RowPlace {
  int32_t sequence;
  int32_t position;
};

/// Row `ids[r]` of the table, decoded. Ids are in range.
template <typename T>
std::vector<T> embedding(llvm::ArrayRef<int32_t> ids, const Weight &table);

/// `(x · r) · g` with `r = 1 / sqrt(mean(x²) + eps)`.
template <typename T>
std::vector<T> rmsNorm(RowsView<T> x, const Weight &gain, T eps);

/// `silu(gate) · up`.
template <typename T> std::vector<T> gate(RowsView<T> gate, RowsView<T> up);

/// `a + b`.
template <typename T> std::vector<T> add(RowsView<T> a, RowsView<T> b);

/// Columns `offset … offset + width − 1` of each row.
template <typename T>
std::vector<T> slice(RowsView<T> x, int64_t offset, int64_t width);

/// The rows of `index`, which are in range.
template <typename T>
std::vector<T> selectRows(RowsView<T> x, llvm::ArrayRef<int32_t> index);

/// Turns each head's pairs (i, i + head_dim/2) by position · frequency_i.
template <typename T>
std::vector<T> rotary(RowsView<T> x, llvm::ArrayRef<RowPlace> places,
                      llvm::ArrayRef<float> frequencies);

/// How a linear sees its input: f32 (32 bits), integers of 16 or 8 bits with a
/// scale per token, of 4 or 2 bits with a scale for each group of columns.
struct LinearInput {
  int64_t bits = 32;
  /// 4 and 2 bits.
  int64_t group = 0;
  bool isE4M3 = false;
  bool isStored = false;
};

/// `y[m][n] = Σ_k w[n][k] · x[m][k] (+ bias[n])`. Integer inputs need integer
/// weights; T = double computes everything unrounded whatever `input` is.
template <typename T>
std::vector<T> linear(RowsView<T> x, const Weight &weight, const Weight *bias,
                      LinearInput input, unsigned threads);

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_GRAPHOPS_H
