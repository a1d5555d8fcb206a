//===- GroupKernels.cpp - Inner loops over one group ------------*- C++ -*-===//
//
// Written once with vectors of 16 lanes; each loop is inlined into one function
// for each CodePath. Only + − × ÷ and rounding to nearest even are used, each
// lane is independent and lanes are added in one order, so the width of the
// machine's registers cannot show in the result. No fma: without the
// instruction it would be a library call for each lane.
//
//===----------------------------------------------------------------------===//
#include "GroupKernels.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>

#define LOWBIT_INLINE [[gnu::always_inline]] static inline

namespace lowbit {

using Floats = float __attribute__((vector_size(64)));
using Ints = int32_t __attribute__((vector_size(64)));
using Bytes = uint8_t __attribute__((vector_size(16)));
using Doubles = double __attribute__((vector_size(64)));
using HalfFloats = float __attribute__((vector_size(32)));
using HalfBytes = uint8_t __attribute__((vector_size(8)));

/// Columns whose errors are added in f32 before they go to f64.
constexpr int64_t errorSlab = 512;

template <typename Vector>
LOWBIT_INLINE void load(const void *source, Vector &vector) {
  std::memcpy(&vector, source, sizeof(Vector));
}

/// The smaller and the larger of each lane; `b` where one is NaN. (One
/// instruction each, unlike the functions that must not return NaN.)
template <typename Vector>
LOWBIT_INLINE void takeSmaller(Vector &a, const Vector &b) {
  a = a < b ? a : b;
}
template <typename Vector>
LOWBIT_INLINE void takeLarger(Vector &a, const Vector &b) {
  a = a > b ? a : b;
}

/// r of Grid for 16 weights.
LOWBIT_INLINE void roundToGrid(const Floats &weights, const Grid &grid,
                               Floats &rounded) {
  Floats t = weights / grid.step + grid.shift;
  Floats low = Floats{} + grid.low;
  Floats high = Floats{} + grid.high;
  takeSmaller(t, high);
  takeLarger(t, low);
  rounded = __builtin_elementwise_roundeven(t);
}

LOWBIT_INLINE GroupRange rangeLoop(const float *weights, int64_t count) {
  Floats low = {};
  Floats high = {};
  Ints largest = {};
  for (int64_t k = 0; k < count; k += groupLanes) {
    Floats w;
    load(weights + k, w);
    takeSmaller(low, w);
    takeLarger(high, w);
    Ints bits;
    load(weights + k, bits);
    takeLarger(largest, bits & 0x7FFFFFFF);
  }
  GroupRange range;
  for (int i = 0; i < groupLanes; ++i) {
    range.minimum = std::min(range.minimum, low[i]);
    range.maximum = std::max(range.maximum, high[i]);
    range.finite = range.finite && largest[i] < 0x7F800000;
  }
  return range;
}

/// F · s of 16 scales. `quantum` is the distance of neighbours near each scale,
/// a power of two, so that multiplying by it or its inverse is exact.
LOWBIT_INLINE void roundSteps(const CandidateBatch &batch,
                              const ScaleRounding &rounding, Floats &steps) {
  Floats s;
  load(batch.factors, s);
  s = (s * batch.unrounded) / rounding.factor;
  Floats normal = s;
  takeLarger(normal, Floats{} + rounding.smallestNormal);
  Ints exponent;
  load(&normal, exponent);
  exponent = (exponent & 0x7F800000) - (rounding.mantissaBits << 23);
  Ints inverse = (254 << 23) - exponent;
  Floats quantum, inverseQuantum;
  load(&exponent, quantum);
  load(&inverse, inverseQuantum);
  s = __builtin_elementwise_roundeven(s * inverseQuantum) * quantum;
  takeSmaller(s, Floats{} + rounding.largest);
  steps = s * rounding.factor;
}

LOWBIT_INLINE void errorsLoop(const float *weights, const float *importances,
                              int64_t count, const ScaleRounding &rounding,
                              const CandidateBatch &batch, double *errors) {
  Floats step;
  roundSteps(batch, rounding, step);
  Floats inverse = 1.0f / step;
  Floats high = Floats{} + batch.high;
  Floats low = Floats{} + batch.low;
  low[0] = batch.firstLow;
  float shift = batch.shift;
  double totals[groupLanes] = {};
  for (int64_t slab = 0; slab < count; slab += errorSlab) {
    int64_t end = slab + errorSlab < count ? slab + errorSlab : count;
    Floats sum = {};
    for (int64_t k = slab; k < end; ++k) {
      Floats t = weights[k] * inverse + shift;
      Floats r = t;
      takeSmaller(r, high);
      takeLarger(r, low);
      Floats e = t - __builtin_elementwise_roundeven(r);
      sum = sum + (importances[k] * e) * e;
    }
    for (int i = 0; i < groupLanes; ++i)
      totals[i] += static_cast<double>(sum[i]);
  }
  for (int i = 0; i < groupLanes; ++i) {
    double width = step[i];
    bool usable = width >= FLT_MIN && width <= FLT_MAX;
    errors[i] = usable ? totals[i] * (width * width) : HUGE_VAL;
  }
}

LOWBIT_INLINE void codesLoop(const float *weights, int64_t count,
                             const Grid &grid, uint8_t *codes) {
  for (int64_t k = 0; k < count; k += groupLanes) {
    Floats w, r;
    load(weights + k, w);
    roundToGrid(w, grid, r);
    Ints code = __builtin_convertvector(r, Ints) + grid.base;
    Bytes bytes = __builtin_convertvector(code, Bytes);
    std::memcpy(codes + k, &bytes, sizeof(bytes));
  }
}

/// One step of addErrors for 8 columns.
LOWBIT_INLINE void addEightErrors(const HalfFloats &weights,
                                  const HalfFloats &importances,
                                  const HalfBytes &codes,
                                  const CodedGroup &group, Doubles *sums) {
  HalfFloats value = __builtin_convertvector(codes, HalfFloats) - group.zero;
  value = (value * group.scale) * group.factor;
  Doubles w = __builtin_convertvector(weights, Doubles);
  Doubles h = __builtin_convertvector(importances, Doubles);
  Doubles e = w - __builtin_convertvector(value, Doubles);
  Doubles error = e * e;
  Doubles energy = w * w;
  sums[0] = sums[0] + error;
  sums[1] = sums[1] + energy;
  sums[2] = sums[2] + h * error;
  sums[3] = sums[3] + h * energy;
}

/// The same for one column, which goes to lane `lane`.
LOWBIT_INLINE void addOneError(float weight, float importance, uint8_t code,
                               const CodedGroup &group, int64_t lane,
                               Doubles *sums) {
  float value = static_cast<float>(code) - group.zero;
  value = (value * group.scale) * group.factor;
  double w = weight;
  double h = importance;
  double e = w - static_cast<double>(value);
  double error = e * e;
  double energy = w * w;
  sums[0][lane] = sums[0][lane] + error;
  sums[1][lane] = sums[1][lane] + energy;
  sums[2][lane] = sums[2][lane] + h * error;
  sums[3][lane] = sums[3][lane] + h * energy;
}

LOWBIT_INLINE void addErrorsLoop(const float *weights, const float *importances,
                                 int64_t count, const CodedGroup &group,
                                 ErrorLanes &lanes) {
  Doubles sums[4];
  std::memcpy(sums, lanes.sums, sizeof(sums));
  HalfFloats w = {};
  HalfFloats h = HalfFloats{} + 1.0f;
  HalfBytes c = {};
  int64_t whole = count - count % errorLanes;
  for (int64_t k = 0; k < whole; k += errorLanes) {
    load(weights + k, w);
    if (importances)
      load(importances + k, h);
    load(group.codes + k, c);
    addEightErrors(w, h, c, group, sums);
  }
  for (int64_t k = whole; k < count; ++k)
    addOneError(weights[k], importances ? importances[k] : 1.0f, group.codes[k],
                group, k - whole, sums);
  std::memcpy(lanes.sums, sums, sizeof(sums));
}

LOWBIT_INLINE void roundColumnLoop(const float *weights,
                                   const ColumnGrids &grids, uint8_t *codes,
                                   float *values) {
  Floats w, step, shift, low, high, zero, scale;
  load(weights, w);
  load(grids.step, step);
  load(grids.shift, shift);
  load(grids.low, low);
  load(grids.high, high);
  load(grids.zero, zero);
  load(grids.scale, scale);
  Floats t = w / step + shift;
  takeSmaller(t, high);
  takeLarger(t, low);
  Ints code =
      __builtin_convertvector(__builtin_elementwise_roundeven(t), Ints) +
      grids.base;
  Bytes bytes = __builtin_convertvector(code, Bytes);
  std::memcpy(codes, &bytes, sizeof(bytes));
  Floats value = __builtin_convertvector(code, Floats) - zero;
  value = (value * scale) * grids.factor;
  std::memcpy(values, &value, sizeof(value));
}

/// One function for each loop, compiled for `path` with the attribute `target`.
#define LOWBIT_DEFINE_PATH(path, target)                                       \
  target static GroupRange range##path(const float *weights, int64_t count) {  \
    return rangeLoop(weights, count);                                          \
  }                                                                            \
  target static void errors##path(                                             \
      const float *weights, const float *importances, int64_t count,           \
      const ScaleRounding &rounding, const CandidateBatch &batch,              \
      double *errors) {                                                        \
    errorsLoop(weights, importances, count, rounding, batch, errors);          \
  }                                                                            \
  target static void codes##path(const float *weights, int64_t count,          \
                                 const Grid &grid, uint8_t *codes) {           \
    codesLoop(weights, count, grid, codes);                                    \
  }                                                                            \
  target static void addErrors##path(                                          \
      const float *weights, const float *importances, int64_t count,           \
      const CodedGroup &group, ErrorLanes &lanes) {                            \
    addErrorsLoop(weights, importances, count, group, lanes);                  \
  }                                                                            \
  target static void roundColumn##path(const float *weights,                   \
                                       const ColumnGrids &grids,               \
                                       uint8_t *codes, float *values) {        \
    roundColumnLoop(weights, grids, codes, values);                            \
  }                                                                            \
  static constexpr GroupKernels kernels##path = {range##path, errors##path,    \
                                                 codes##path, addErrors##path, \
                                                 roundColumn##path};

LOWBIT_DEFINE_PATH(Portable, )
#if defined(__x86_64__)
LOWBIT_DEFINE_PATH(AVX2, __attribute__((target("avx2"))))
#endif

const GroupKernels &groupKernels(CodePath path) {
#if defined(__x86_64__)
  if (path == CodePath::AVX2)
    return kernelsAVX2;
#endif
  return kernelsPortable;
}

CodePath fastestCodePath() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2"))
    return CodePath::AVX2;
#endif
  return CodePath::Portable;
}

} // namespace lowbit
