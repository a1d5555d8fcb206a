//===- InputMoments.h - What a linear reads, and should read ----*- C++ -*-===//
//
// The sums of sequential calibration: Ĥ = Σ x̂ x̂ᵀ of what a linear reads, and
// D = Σ (x − x̂) x̂ᵀ of what it lacks (CalibratedTarget.h). Sums over the rows of
// one call are in f32, rows in order; sums of calls are added in f64. The bytes
// depend on rows and calls alone.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_INPUTMOMENTS_H
#define LOWBIT_NUMERICS_INPUTMOMENTS_H

#include "lowbit/Numerics/ErrorFeedback.h"

namespace lowbit {

/// Both sums of one input; 16 K² bytes.
class InputMoments {
public:
  explicit InputMoments(int64_t columns, CodePath path = fastestCodePath());

  /// Adds `rows` rows, row-major without gaps: `seen` is x̂, `wanted` x.
  void add(const float *seen, const float *wanted, int64_t rows,
           const ParallelLoop &loop);

  /// The lower triangle of Ĥ, as MomentsView has it; rounded to f32 once.
  std::vector<float> moments() const;
  /// D transposed, as DriftView has it; rounded to f32 once.
  std::vector<float> drift() const;

private:
  int64_t columns;
  CodePath path;
  /// [K][K]; of the first the lower triangle counts.
  std::vector<double> momentSums, driftSums;
  std::vector<float> missing;
};

} // namespace lowbit

#endif // LOWBIT_NUMERICS_INPUTMOMENTS_H
