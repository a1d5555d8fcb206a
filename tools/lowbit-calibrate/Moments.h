//===- Moments.h - Sums of x xᵀ over more rows than f32 can take *- C++ -*-===//
//
// Kernels add the moments of a batch to f32 accumulators. After at most
// `chunkRows` rows an accumulator is added to a total in f64 and begins anew,
// so that a profile of any length has the error of a short one (Spec.md,
// section 9). Where a text has no more rows than that, there are no totals.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_CALIBRATE_MOMENTS_H
#define LOWBIT_TOOLS_CALIBRATE_MOMENTS_H

#include "lowbit/Pipelines/ObservedModel.h"
#include "lowbit/Runtime/Memory.h"
#include "lowbit/Runtime/ThreadPool.h"

namespace lowbit::calibrate {

/// Most rows that are summed in f32.
constexpr int64_t chunkRows = 2048;

/// Elements that a profile stores of an observation's moments: none, K, or the
/// lower triangle with the diagonal.
int64_t storedMoments(const Observation &observation);

/// The moments of one observation.
class MomentSums {
public:
  /// `accumulator` is the plan's `h.<name>`, all zero.
  MomentSums(const Observation &observation, float *accumulator)
      : observation(&observation), accumulator(accumulator) {}

  /// Adds the accumulator to the totals and clears it. Exit 6 where there is no
  /// memory for the totals.
  Status drain(ThreadPool &pool);
  /// Writes the sums, as f32 in the order of the profile, to `out` (any
  /// alignment). False where one is not finite.
  bool store(ThreadPool &pool, uint8_t *out) const;

private:
  const Observation *observation;
  float *accumulator;
  /// Packed, f64; empty before the first drain.
  Memory totals;
};

} // namespace lowbit::calibrate

#endif // LOWBIT_TOOLS_CALIBRATE_MOMENTS_H
