//===- ScaleSearch.h - The best of a list of scales -------------*- C++ -*-===//
//
// The weighted search over clip factors, for one group. What the candidates
// are is said at `searchPlan` in lowbit/Numerics/Solver.h.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_SCALESEARCH_H
#define LOWBIT_LIB_NUMERICS_SCALESEARCH_H

#include "GroupKernels.h"
#include "GroupRounding.h"
#include "lowbit/Numerics/IntegerFormat.h"
#include "lowbit/Numerics/Solver.h"

#include <cstdint>

namespace lowbit {

/// What stays the same while one group is searched.
struct GroupTask {
  const IntegerFormat &format;
  const GroupKernels &kernels;
  const SearchPlan &plan;
  ScaleRounding rounding;
  /// Weights and h of the group, and their number.
  const float *weights;
  const float *importances;
  int64_t count;
};

/// The best candidate for a group whose unrounded scale and choice of
/// `nearest` are given. The step of `nearest` must be finite and above 0.
GroupChoice searchScale(const GroupTask &task, float unrounded,
                        const GroupChoice &nearest);

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_SCALESEARCH_H
