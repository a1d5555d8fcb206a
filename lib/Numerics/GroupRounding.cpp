//===- GroupRounding.cpp - Scale, zero point and grid of a group -*- C++ -*-==//
//
// Each step is one rounded f32 operation, in the order of Spec.md.
//
//===----------------------------------------------------------------------===//
#include "GroupRounding.h"

#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/IntegerTile.h"

#include <algorithm>

namespace lowbit {

float unroundedScale(const IntegerFormat &format, float minimum,
                     float maximum) {
  float half = static_cast<float>(format.codes() / 2);
  float amax = std::max(-minimum, maximum);
  switch (format.offset) {
  case Offset::Integer:
    return amax / (half - 1.0f);
  case Offset::Half:
    return amax / (half - 0.5f);
  case Offset::Stored:
    return (maximum - minimum) / static_cast<float>(format.codes() - 1);
  }
  return 0;
}

uint8_t storedZero(const IntegerFormat &format, float minimum, float scale) {
  float limit = static_cast<float>((1 << zeroBits(format)) - 1);
  float inSteps = -minimum / scale * static_cast<float>(zerosPerCode(format));
  float zero = std::min(std::max(inSteps, 0.0f), limit);
  return static_cast<uint8_t>(__builtin_elementwise_roundeven(zero));
}

ScaleRounding scaleRounding(const IntegerFormat &format, float factor) {
  ScaleRounding rounding;
  rounding.factor = factor;
  bool isF16 = format.scale == ScaleType::F16;
  rounding.largest = isF16 ? maxF16 : maxE4M3;
  rounding.smallestNormal = isF16 ? 0x1p-14f : 0x1p-6f;
  rounding.mantissaBits = isF16 ? 10 : 3;
  return rounding;
}

/// The grid of a step F·s and a zero point.
static Grid makeGrid(const IntegerFormat &format, float step, uint8_t zero,
                     int lowestCode) {
  int half = format.codes() / 2;
  Grid grid;
  grid.step = step;
  if (format.offset == Offset::Half) {
    grid.shift = -0.5f;
    grid.low = static_cast<float>(lowestCode - half);
    grid.high = static_cast<float>(half - 1);
    grid.base = half;
    return grid;
  }
  float z = format.offset == Offset::Integer ? static_cast<float>(half)
                                             : static_cast<float>(zero);
  z = z / static_cast<float>(zerosPerCode(format));
  grid.shift = z;
  grid.low = static_cast<float>(lowestCode);
  grid.high = static_cast<float>(format.codes() - 1);
  return grid;
}

GroupChoice chooseScale(const IntegerFormat &format, float unrounded,
                        float factor, uint8_t zero, int lowestCode) {
  GroupChoice choice;
  choice.scaleBits = format.scale == ScaleType::F16
                         ? roundToF16(unrounded)
                         : roundToE4M3(unrounded / factor);
  choice.scale = scaleValue(format.scale, choice.scaleBits);
  choice.zero = zero;
  choice.grid = makeGrid(format, choice.scale * factor, zero, lowestCode);
  return choice;
}

} // namespace lowbit
