//===- QuantizeElements.cpp - Small floats and levels, nearest --*- C++ -*-===//
//
// Spec.md, 1.4 and 1.5: the scale of each group, then of all values of the
// element the one nearest to w / (s · F), by trying each.
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

/// Whether `code` wins over `best` where both are equally near: an even code of
/// a float (or even step of Int8), the lower of two levels.
static bool winsTie(const GroupedFormat &format, bool isLevels, int code,
                    int best) {
  if (isLevels)
    return format.value(code) < format.value(best);
  return code % 2 == 0 && best % 2 != 0;
}

/// The first code that is used: Int8 leaves −128 unused.
static int firstCode(const GroupedFormat &format) {
  return format.bits == 8 && format.floats.empty() ? 1 : 0;
}

static int codeCount(const GroupedFormat &format) {
  return static_cast<int>(format.floats.empty() ? format.table.size()
                                                : format.floats.size());
}

/// The nearest code that is used.
static int nearestCode(const GroupedFormat &format, bool isLevels,
                       float quotient) {
  int best = firstCode(format);
  auto distance = [&](int code) {
    return std::fabs(double(quotient) - double(format.value(code)));
  };
  for (int code = best; code < codeCount(format); ++code)
    if (format.isKnown(code) && (distance(code) < distance(best) ||
                                 (distance(code) == distance(best) &&
                                  winsTie(format, isLevels, code, best))))
      best = code;
  return best;
}

/// Largest |value| of the codes that are used.
static float largestValue(const GroupedFormat &format) {
  float largest = 0;
  for (int code = firstCode(format); code < codeCount(format); ++code)
    if (format.isKnown(code))
      largest = std::max(largest, std::fabs(format.value(code)));
  return largest;
}

/// The scale of a group with the largest magnitude `amax`, rounded to its type.
static float groupScale(const GroupedFormat &format, float amax, float factor) {
  float largest = largestValue(format);
  if (format.scale.isF16())
    return roundToF16(amax / largest);
  if (format.hasFactor())
    return roundToE4M3(amax / (largest * factor));
  // emax: the exponent of the largest value.
  int exponent = amax == 0 ? -127 : std::ilogb(amax) - std::ilogb(largest);
  return std::ldexp(1.0f, std::clamp(exponent, -127, 127));
}

Result<Weight> reference::quantizeElements(const Weight &input,
                                           mlir::RankedTensorType type,
                                           llvm::StringRef name) {
  GroupedFormat format = GroupedFormat::get(getFormat(type));
  bool isLevels = llvm::isa<LevelsAttr>(type.getEncoding());
  if (Status status = checkFinite(input, name))
    return *status;
  float largest = 0;
  for (float value : input.values)
    largest = std::fmax(largest, std::fabs(value));
  Weight result;
  result.rows = input.rows;
  result.columns = input.columns;
  IntegerSteps steps = format.emptySteps(input.rows, input.columns);
  if (steps.hasFactor) {
    float factor = largest / (largestValue(format) * 448);
    steps.factor = factor == 0 ? 1 : factor;
  }
  for (int64_t row = 0; row < input.rows; ++row)
    for (int64_t group = 0; group < steps.groups; ++group) {
      int64_t first = row * input.columns + group * steps.group;
      int64_t count =
          std::min(steps.group, input.columns - group * steps.group);
      float amax = 0;
      for (int64_t i = first; i < first + count; ++i)
        amax = std::fmax(amax, std::fabs(input.values[i]));
      float scale = groupScale(format, amax, steps.factor);
      if (!std::isfinite(scale))
        return badInput(name.str(),
                        "scale of row " + std::to_string(row) + ", group " +
                            std::to_string(group),
                        "overflows f16 (65504)");
      float step = scale * steps.factor;
      bool isZero = amax == 0 || step == 0;
      // What a group of zeros stores: the smallest scale of its type.
      steps.scales[row * steps.groups + group] =
          !isZero                                      ? scale
          : format.scale.isF16() || format.hasFactor() ? 0
                                                       : std::ldexp(1.0f, -127);
      for (int64_t i = first; i < first + count; ++i)
        if (!isZero) {
          int code = nearestCode(format, isLevels, input.values[i] / step);
          // The sign of a zero is kept; the code of -0 is the first negative.
          if (!format.floats.empty() && code == 0 &&
              std::signbit(input.values[i]))
            code = codeCount(format) / 2;
          steps.steps[i] = format.step(code, 0);
        }
    }
  format.fill(result, std::move(steps));
  return result;
}
