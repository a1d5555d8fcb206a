//===- LinearSteps.h - Float steps of a linear ------------------*- C++ -*-===//
//
// From exact integer sums to y, as Spec.md, section 3 orders the steps. Shared
// by all walks and instruction families, so that every variant gives the same
// bits.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARSTEPS_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARSTEPS_H

#include "LinearDot.h"

namespace lowbit {

class LinearSteps {
public:
  /// Emits what holds for the whole kernel (F').
  LinearSteps(const LinearKernel &linear, KernelBuilder &k,
              const LinearArguments &arguments);

  /// Start of a tile of weights.
  Value tile(Value index);
  /// 16 scales stored at `pointer`, f32.
  Value scales(Value pointer) { return linear.weights.scales(k, pointer); }
  /// 16 stored zero points at `pointer`, i32.
  Value zeros(Value pointer) { return linear.weights.zeros(k, pointer); }
  /// Pointer to the sum of plane 0 of `token`, of group or slab `index`.
  Value sums(Value token, Value index);
  /// f: the exact sums Σ u·q times the multiplier, the zero point taken off,
  /// and the planes joined. `sums` points at the sum of plane 0; `zeros` is
  /// null where they are not stored.
  Value toFloat(const Sums &exact, Value sums, Value zeros);
  /// The same from {Σ step·q}, or from {hi, lo} of it.
  Value toFloat(const Sums &exact);
  /// y of one token and one tile from the total: scales, bias, residual, store
  /// of the rows that exist. `rowScales` is null for groups; both factors are
  /// null for float weights.
  void writeRow(Value token, Value tile, Value total, Value rowScales);

private:
  const LinearKernel &linear;
  KernelBuilder &k;
  const LinearArguments &arguments;
  Value factor; ///< F' = F · unit (f32), or null where it is 1
};

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARSTEPS_H
