//===- CalibratedTarget.h - Weights for inputs that moved -------*- C++ -*-===//
//
// Sequential calibration (methods, point 10): a linear whose full-precision
// input is x reads x̂, since what comes before it is quantized already. The
// weights that then give the least Σ |W x − Q x̂|² + λ |W − Q|² are
//
//   Q = W (G + λI) (Ĥ + λI)⁻¹ = W + W D (Ĥ + λI)⁻¹,
//   Ĥ = Σ x̂ x̂ᵀ,  G = Σ x x̂ᵀ,  D = G − Ĥ = Σ (x − x̂) x̂ᵀ.
//
// Solvers round Q instead of W.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_CALIBRATEDTARGET_H
#define LOWBIT_NUMERICS_CALIBRATEDTARGET_H

#include "lowbit/Numerics/ErrorFeedback.h"

namespace lowbit {

/// Σ x̂_j (x − x̂)_i, [j · K + i]: D, transposed. Not owned.
struct DriftView {
  const float *elements = nullptr;
  int64_t columns = 0;

  const float *row(int64_t j) const { return elements + j * columns; }
};

/// Solves for Q of any number of rows; each thread has its own.
class CalibratedTarget {
public:
  /// `factor` is that of Ĥ (any order), `drift` of the same columns. Both must
  /// outlive it.
  CalibratedTarget(const FeedbackFactor &factor, const DriftView &drift,
                   CodePath path = fastestCodePath())
      : factor(factor), drift(drift), path(path) {}

  /// Replaces W by Q. Finite weights only.
  void solve(LaneRows &weights);

private:
  void solveBackward();
  void solveForward();

  const FeedbackFactor &factor;
  DriftView drift;
  CodePath path;
  int64_t lanes = 0;
  /// By position: the right-hand side and what it becomes, in f64 and, as
  /// solved, in f32.
  std::vector<double> sums;
  std::vector<float> solved;
};

} // namespace lowbit

#endif // LOWBIT_NUMERICS_CALIBRATEDTARGET_H
