//===- GroupedFormat.cpp - Codes in groups with a scale ---------*- C++ -*-===//
//
// Spec.md, sections 1.1 and 1.4 to 1.6.
//
//===----------------------------------------------------------------------===//

#include "GroupedFormat.h"
#include "Elements.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;
using namespace lowbit::reference;

/// Values of a float of sign, exponent and mantissa by code: 1.m · 2^(e −
/// bias), or 0.m · 2^(1 − bias) for e = 0.
static std::vector<float> smallFloats(int exponentBits, int mantissaBits,
                                      int bias) {
  std::vector<float> values;
  for (float sign : {1.0f, -1.0f})
    for (int exponent = 0; exponent < 1 << exponentBits; ++exponent)
      for (int mantissa = 0; mantissa < 1 << mantissaBits; ++mantissa) {
        double one = exponent == 0 ? 0.0 : 1.0;
        double value = (one + std::ldexp(mantissa, -mantissaBits)) *
                       std::ldexp(1.0, std::max(exponent, 1) - bias);
        values.push_back(sign * static_cast<float>(value));
      }
  return values;
}

/// The same with 2 bits of exponent and bias 1, in units of the smallest.
static std::vector<int> smallFloatSteps(int mantissaBits) {
  std::vector<int> steps;
  for (float value : smallFloats(2, mantissaBits, 1))
    steps.push_back(static_cast<int>(std::ldexp(value, mantissaBits)));
  return steps;
}

GroupedFormat GroupedFormat::get(FormatInterface format) {
  GroupedFormat result;
  if (auto integers = llvm::dyn_cast<IntAttr>(format)) {
    result.bits = integers.getBits();
    result.group = integers.getGroup();
    result.scale = integers.getScale();
    result.offset = integers.getOffset();
    result.unit = result.offset == ZeroOffset::Half ? 0.5f
                  : result.hasZeros() ? 1.0f / float(result.zerosPerCode())
                                      : 1.0f;
    return result;
  }
  if (auto levels = llvm::dyn_cast<LevelsAttr>(format)) {
    result.group = levels.getGroup();
    result.scale = levels.getScale();
    result.table.assign(levels.getLevels().begin(), levels.getLevels().end());
    while ((size_t(1) << result.bits) < result.table.size())
      ++result.bits;
    return result;
  }
  if (auto free = llvm::dyn_cast<FreeAttr>(format)) {
    result.bits = 2;
    result.group = free.getGroup();
    result.scale = free.getScale();
    result.isFree = true;
    return result;
  }
  auto micro = llvm::cast<MicroAttr>(format);
  result.group = micro.getGroup();
  result.scale = micro.getScale();
  if (llvm::isa<mlir::Float4E2M1FNType>(micro.getElement())) {
    result.bits = 4;
    result.table = smallFloatSteps(1);
    result.unit = 0.5f;
  } else if (llvm::isa<mlir::Float6E2M3FNType>(micro.getElement())) {
    result.bits = 6;
    result.table = smallFloatSteps(3);
    result.unit = 0.125f;
  } else if (llvm::isa<mlir::Float6E3M2FNType>(micro.getElement())) {
    result.bits = 6;
    result.floats = smallFloats(3, 2, 3);
  } else if (llvm::isa<mlir::Float8E4M3FNType>(micro.getElement())) {
    result.bits = 8;
    result.floats = smallFloats(4, 3, 7);
    result.floats[0x7F] = result.floats[0xFF] = NAN;
  } else if (llvm::isa<mlir::Float8E5M2Type>(micro.getElement())) {
    result.bits = 8;
    result.floats = smallFloats(5, 2, 15);
    for (int code = 0x7C; code < 0x80; ++code) // Infinity and NaN.
      result.floats[code] = result.floats[code + 0x80] = NAN;
  } else {
    result.bits = 8;
    for (int code = 0; code < 256; ++code)
      result.table.push_back(code - 128);
    result.unit = 1.0f / 64;
  }
  return result;
}

bool GroupedFormat::hasFactor() const {
  return llvm::isa<mlir::Float8E4M3FNType>(scale);
}

float GroupedFormat::decodeScale(const uint8_t *bytes) const {
  if (scale.isF16())
    return decodeF16(load16(bytes));
  if (hasFactor())
    return decodeE4M3(*bytes);
  return *bytes == 0xFF ? NAN : std::ldexp(1.0f, *bytes - 127);
}

bool GroupedFormat::isKnown(int code) const {
  if (!floats.empty())
    return !std::isnan(floats[code]);
  return table.empty() || code < static_cast<int>(table.size());
}

float GroupedFormat::value(int code) const {
  return floats.empty() ? static_cast<float>(table[code]) * unit : floats[code];
}

int16_t GroupedFormat::step(int code, int zero) const {
  if (!floats.empty() || isFree)
    return static_cast<int16_t>(code);
  if (!table.empty())
    return static_cast<int16_t>(table[code]);
  int codes = 1 << bits;
  switch (offset) {
  case ZeroOffset::Integer:
    return static_cast<int16_t>(code - codes / 2);
  case ZeroOffset::Half:
    return static_cast<int16_t>(2 * code - (codes - 1));
  case ZeroOffset::Stored:
    break;
  }
  return static_cast<int16_t>(zerosPerCode() * code - zero);
}

IntegerSteps GroupedFormat::emptySteps(int64_t rows, int64_t columns) const {
  IntegerSteps steps;
  steps.wholeRow = group == 0;
  steps.group = steps.wholeRow ? columns : group;
  steps.groups = (columns + steps.group - 1) / steps.group;
  steps.unit = unit;
  steps.hasFactor = hasFactor();
  steps.steps.resize(rows * columns);
  steps.scales.resize(rows * steps.groups);
  return steps;
}

void GroupedFormat::fill(Weight &weight, IntegerSteps steps) const {
  if (floats.empty()) {
    weight.integers = std::move(steps);
    return;
  }
  weight.values.resize(steps.steps.size());
  for (int64_t row = 0; row < weight.rows; ++row)
    for (int64_t k = 0; k < weight.columns; ++k) {
      int64_t i = row * weight.columns + k;
      weight.values[i] = floats[steps.steps[i]] *
                         steps.scales[row * steps.groups + k / steps.group];
    }
}
