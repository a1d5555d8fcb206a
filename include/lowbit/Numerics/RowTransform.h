//===- RowTransform.h - Rows times a matrix of a known kind -----*- C++ -*-===//
//
// The transforms of Spec.md, section 3, on plain rows of f64: what the weight
// side computes before it rounds once. Steps and their order are specified, so
// that results are the same on every CPU.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_ROWTRANSFORM_H
#define LOWBIT_NUMERICS_ROWTRANSFORM_H

#include "lowbit/Numerics/CodePath.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace lowbit {

/// y = x · T for rows x. Const calls may run in parallel.
class RowTransform {
public:
  RowTransform(int64_t inColumns, int64_t outColumns)
      : inColumns(inColumns), outColumns(outColumns) {}
  virtual ~RowTransform();

  /// Transforms `rows` rows `[row][inColumns]` to `[row][outColumns]`; the two
  /// do not overlap.
  virtual void apply(const double *in, int64_t rows, double *out) const = 0;

  const int64_t inColumns, outColumns;
};

/// Blocks of D · H_n / √n, or their transposes; `block` is an order.
std::unique_ptr<RowTransform> makeHadamardRows(int64_t columns, int64_t block,
                                               std::optional<uint64_t> seed,
                                               bool transposed);
/// Factors that repeat; also signs.
std::unique_ptr<RowTransform> makeDiagonalRows(int64_t columns,
                                               std::vector<double> factors);
/// Blocks of P₁ ⊗ P₂, row-major, sizes × sizes; `first` empty and firstSize 1:
/// blocks of P₂.
std::unique_ptr<RowTransform>
makeKroneckerRows(int64_t columns, std::vector<double> first, int64_t firstSize,
                  std::vector<double> second, int64_t secondSize,
                  CodePath path = fastestCodePath());
/// Column j of the result is column index[j], or 0 where that is −1; `columns`
/// are those of the input. Transposed: the other way, summed. Averaged: over
/// the number of copies of a column.
std::unique_ptr<RowTransform> makeGatherRows(int64_t columns,
                                             std::vector<int64_t> index,
                                             bool transposed, bool averaged);

/// Replaces the n × n matrix by its inverse, by Gauss–Jordan as Spec.md says;
/// false where it has none.
bool invertMatrix(std::vector<double> &matrix, int64_t n,
                  CodePath path = fastestCodePath());

/// Five steps X ← X · (1.5 I − 0.5 XᵀX): the orthogonal matrix next to one
/// that nearly is.
void orthonormalizeMatrix(std::vector<double> &matrix, int64_t n,
                          CodePath path = fastestCodePath());

/// Largest column sum of |a|: the norm ‖·‖₁ of condition numbers.
double columnSumNorm(const std::vector<double> &matrix, int64_t n);

/// Largest |(P · Pᵀ − I)[i][j]|: 0 for an orthogonal matrix.
double orthogonalityError(const std::vector<double> &matrix, int64_t n);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_ROWTRANSFORM_H
