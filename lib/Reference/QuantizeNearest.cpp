//===- QuantizeNearest.cpp - The solver nearest, as specified ---*- C++ -*-===//
//
// Spec.md, 1.1: scales that cover each group, rounded to their stored type,
// then the nearest codes; every step one f32 operation.
//
//===----------------------------------------------------------------------===//

#include "Elements.h"
#include "GroupedFormat.h"

#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cmath>
#include <string>

using namespace lowbit;
using namespace lowbit::reference;

namespace {
/// Smallest and largest weight of a group; `stored` grids include zero.
struct Range {
  Range(const float *weights, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      min = std::fmin(min, weights[i]);
      max = std::fmax(max, weights[i]);
    }
  }
  float amax() const { return std::fmax(std::fabs(min), std::fabs(max)); }

  float min = 0, max = 0;
};
} // namespace

/// The scale that covers the range, before any rounding to its stored type.
static float unroundedScale(const GroupedFormat &format, const Range &range) {
  float halfCodes = float(1 << (format.bits - 1));
  switch (format.offset) {
  case ZeroOffset::Integer:
    return range.amax() / (halfCodes - 1);
  case ZeroOffset::Half:
    return range.amax() / (halfCodes - 0.5f);
  case ZeroOffset::Stored:
    break;
  }
  return (range.max - range.min) / (2 * halfCodes - 1);
}

double reference::nearestStep(IntAttr attr, llvm::ArrayRef<double> group) {
  std::vector<float> weights(group.begin(), group.end());
  Range range(weights.data(), weights.size());
  return roundToF16(unroundedScale(GroupedFormat::get(attr), range));
}

/// The nearest code, from `lowest` to 2^b − 1.
static int clampCode(const GroupedFormat &format, float value, int lowest) {
  float last = float((1 << format.bits) - 1);
  return static_cast<int>(std::fmin(std::fmax(value, float(lowest)), last));
}

/// z of offset `stored` as it is stored, from the scale before it is rounded.
static int storedZero(const GroupedFormat &format, const Range &range,
                      float unrounded) {
  if (unrounded == 0)
    return 0;
  float zero = std::rint(-range.min / unrounded * float(format.zerosPerCode()));
  float last = float((1 << format.zeroBits()) - 1);
  return static_cast<int>(std::fmin(std::fmax(zero, 0.0f), last));
}

/// Codes of one group. `step` is F · s with the rounded scale, `zero` is z, or
/// the code nearest to it.
static void roundGroup(const GroupedFormat &format, const float *weights,
                       int64_t count, float step, int zero, int16_t *steps) {
  // z as a number of codes.
  float z = format.hasZeros() ? float(zero) / float(format.zerosPerCode())
                              : float(zero);
  if (step == 0) {
    std::fill_n(steps, count, format.step(int(std::rint(z)), zero));
    return;
  }
  // `integer` leaves −2^(b−1) unused.
  int lowest = format.offset == ZeroOffset::Integer ? 1 : 0;
  for (int64_t i = 0; i < count; ++i) {
    float quotient = weights[i] / step;
    float code = format.offset == ZeroOffset::Half
                     ? std::rint(quotient - 0.5f) + z
                     : std::rint(quotient + z);
    steps[i] = format.step(clampCode(format, code, lowest), zero);
  }
}

/// F: the largest unrounded scale over 448, in f32; 1 where that is 0.
static float tensorFactor(const Weight &input, const GroupedFormat &format,
                          const IntegerSteps &steps) {
  float largest = 0;
  for (int64_t row = 0; row < input.rows; ++row)
    for (int64_t first = 0; first < input.columns; first += steps.group) {
      Range range(&input.values[row * input.columns + first],
                  std::min(steps.group, input.columns - first));
      largest = std::fmax(largest, unroundedScale(format, range));
    }
  float factor = largest / 448;
  return factor == 0 ? 1 : factor;
}

Result<Weight> reference::quantizeIntegers(const Weight &input,
                                           mlir::RankedTensorType type,
                                           llvm::StringRef name) {
  GroupedFormat format = GroupedFormat::get(getFormat(type));
  if (Status status = checkFinite(input, name))
    return *status;
  Weight result;
  result.rows = input.rows;
  result.columns = input.columns;
  IntegerSteps steps = format.emptySteps(input.rows, input.columns);
  if (steps.hasFactor)
    steps.factor = tensorFactor(input, format, steps);
  if (!std::isfinite(steps.factor))
    return badInput(name.str(), "factor",
                    "overflows f32: the weights span more than an f32");

  for (int64_t row = 0; row < input.rows; ++row)
    for (int64_t group = 0; group < steps.groups; ++group) {
      int64_t first = group * steps.group;
      int64_t count = std::min(steps.group, input.columns - first);
      const float *weights = &input.values[row * input.columns + first];
      Range range(weights, count);
      float unrounded = unroundedScale(format, range);
      float scale = steps.hasFactor ? roundToE4M3(unrounded / steps.factor)
                                    : roundToF16(unrounded);
      if (!std::isfinite(scale))
        return badInput(name.str(),
                        "scale of row " + std::to_string(row) + ", group " +
                            std::to_string(group),
                        "is " + std::to_string(unrounded) +
                            ", more than an f16 can hold (65504)");
      int zero = format.offset == ZeroOffset::Stored
                     ? storedZero(format, range, unrounded)
                     : 1 << (format.bits - 1);
      float step = steps.hasFactor ? steps.factor * scale : scale;
      steps.scales[row * steps.groups + group] = step == 0 ? 0 : scale;
      roundGroup(format, weights, count, step, zero,
                 &steps.steps[row * input.columns + first]);
    }
  result.integers = std::move(steps);
  return result;
}
