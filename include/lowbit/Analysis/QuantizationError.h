//===- QuantizationError.h - What rounding would cost -----------*- C++ -*-===//
//
// Errors that passes compare before they decide, made with the quantizer that
// will be used: weights by a solver of Numerics, rows by the grids of Spec.md,
// section 3. The bytes of the answer depend on the numbers alone.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_ANALYSIS_QUANTIZATIONERROR_H
#define LOWBIT_ANALYSIS_QUANTIZATIONERROR_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Numerics/WeightFormat.h"

#include <string>
#include <vector>

namespace lowbit {

/// How a linear will be rounded.
struct RoundingChoice {
  FormatPtr format;
  /// One of the format's solvers, not `given`.
  std::string solver = "nearest";
  /// Bits of activations; 16 and more: not counted. Symmetric, one scale for
  /// `activationGroup` columns (0: for the row).
  int64_t activationBits = 8;
  int64_t activationGroup = 0;
};

/// A weight and what the solver makes of it: ŵ, row-major. Exit 3 where it
/// cannot be stored; `name` is for the message. `importance` (one per column,
/// or empty) weighs the search.
Result<std::vector<double>> roundWeight(const std::vector<double> &weight,
                                        int64_t rows, int64_t columns,
                                        const RoundingChoice &choice,
                                        const std::vector<double> &importance,
                                        const std::string &name);

/// Rows rounded: x̂ = s · clamp(rint(x / s)), s = max |x| / (2^(b−1) − 1).
std::vector<double> roundRows(const std::vector<double> &rows, int64_t columns,
                              int64_t bits, int64_t group);

/// Σ (a − b)².
double squaredDistance(const std::vector<double> &a,
                       const std::vector<double> &b);

/// tr(Δ H Δᵀ) for Δ = a − b of `columns` columns.
double momentError(const std::vector<double> &a, const std::vector<double> &b,
                   int64_t columns, const std::vector<double> &moments);

/// Σ h_k (a − b)² with a diagonal h.
double diagonalError(const std::vector<double> &a, const std::vector<double> &b,
                     const std::vector<double> &diagonal);

} // namespace lowbit

#endif // LOWBIT_ANALYSIS_QUANTIZATIONERROR_H
