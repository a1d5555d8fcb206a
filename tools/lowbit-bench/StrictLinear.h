//===- StrictLinear.h - What a linear must give, to the bit -----*- C++ -*-===//
//
// Random activations, and y = W · x one scalar at a time in the order of
// Spec.md, section 3, from weights that Numerics unpacks. Kernels are compared
// with it in the process that times them.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_STRICTLINEAR_H
#define LOWBIT_TOOLS_BENCH_STRICTLINEAR_H

#include "WeightPages.h"

namespace lowbit::bench {

/// Activations of a linear as the kernel reads them (Spec.md, section 5.2), and
/// as numbers.
struct Activations {
  /// Planes: 2, 1, or 0 for f32.
  int64_t rows = 0, columns = 0, planes = 0;
  /// Columns of one sum.
  int64_t sumColumns = 0;
  Memory q, scales, sums;
  /// f32 only, `[row][columns]`.
  Memory x;
  /// q of row m, column k.
  std::vector<int32_t> values;

  static Result<Activations> make(const WeightType &type, int64_t rows,
                                  int64_t columns, int64_t planes);
  /// Arguments of a kernel up to the weight.
  std::vector<uint8_t *> arguments() const;
};

/// Outputs of one token for the `rows` rows of one tile at `bytes`, into y.
/// `factor` is F. Errors: scales that are none.
Status strictTile(const WeightType &type, const uint8_t *bytes, float factor,
                  int64_t rows, const Activations &activations, int64_t token,
                  float *y);

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_STRICTLINEAR_H
