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

/// r of Grid for 16 weights.
LOWBIT_INLINE void roundToGrid(const Floats &weights, const Grid &grid,
                               Floats &rounded) {
  Floats t = weights / grid.step + grid.shift;
  Floats low = Floats{} + grid.low;
  Floats high = Floats{} + grid.high;
  t = __builtin_elementwise_max(__builtin_elementwise_min(t, high), low);
  rounded = __builtin_elementwise_roundeven(t);
}

/// Lanes i and i + 8, then i + 4, i + 2, i + 1.
LOWBIT_INLINE void sumLanes(const Floats &vector, float &sum) {
  float lanes[16];
  std::memcpy(lanes, &vector, sizeof(lanes));
  for (int half = 8; half >= 1; half /= 2)
    for (int i = 0; i < half; ++i)
      lanes[i] = lanes[i] + lanes[i + half];
  sum = lanes[0];
}

LOWBIT_INLINE GroupRange rangeLoop(const float *weights, int64_t count) {
  Floats low = {};
  Floats high = {};
  Ints largest = {};
  for (int64_t k = 0; k < count; k += groupLanes) {
    Floats w;
    load(weights + k, w);
    low = __builtin_elementwise_min(low, w);
    high = __builtin_elementwise_max(high, w);
    Ints bits;
    load(weights + k, bits);
    largest = __builtin_elementwise_max(largest, bits & 0x7FFFFFFF);
  }
  GroupRange range;
  for (int i = 0; i < groupLanes; ++i) {
    range.minimum = std::min(range.minimum, low[i]);
    range.maximum = std::max(range.maximum, high[i]);
    range.finite = range.finite && largest[i] < 0x7F800000;
  }
  return range;
}

LOWBIT_INLINE double errorLoop(const float *weights, const float *importances,
                               int64_t count, const Grid &grid, float unit) {
  double total = 0;
  for (int64_t slab = 0; slab < count; slab += errorSlab) {
    int64_t end = slab + errorSlab < count ? slab + errorSlab : count;
    Floats sum = {};
    for (int64_t k = slab; k < end; k += groupLanes) {
      Floats w, h, r;
      load(weights + k, w);
      load(importances + k, h);
      roundToGrid(w, grid, r);
      Floats e = (w - (r + grid.level) * grid.step) * unit;
      sum = sum + (h * e) * e;
    }
    float partial;
    sumLanes(sum, partial);
    total += static_cast<double>(partial);
  }
  return total;
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

/// One function for each loop, compiled for `path` with the attribute `target`.
#define LOWBIT_DEFINE_PATH(path, target)                                       \
  target static GroupRange range##path(const float *weights, int64_t count) {  \
    return rangeLoop(weights, count);                                          \
  }                                                                            \
  target static double error##path(const float *weights,                       \
                                   const float *importances, int64_t count,    \
                                   const Grid &grid, float unit) {             \
    return errorLoop(weights, importances, count, grid, unit);                 \
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
  static constexpr GroupKernels kernels##path = {range##path, error##path,     \
                                                 codes##path, addErrors##path};

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
