//===- GroupedFormat.cpp - Codes in groups with a scale ---------*- C++ -*-===//
//
// Spec.md, sections 1.1, 1.4 and 1.5.
//
//===----------------------------------------------------------------------===//

#include "GroupedFormat.h"
#include "Elements.h"

#include <cmath>

using namespace lowbit;
using namespace lowbit::reference;

/// Steps of a float of sign, 2 bits of exponent (bias 1) and `mantissaBits`, in
/// units of its smallest subnormal: value = 1.m · 2^(e − 1), or 0.m · 2^0.
static std::vector<int> smallFloatSteps(int mantissaBits) {
  std::vector<int> steps;
  for (int sign : {1, -1})
    for (int exponent = 0; exponent < 4; ++exponent)
      for (int mantissa = 0; mantissa < 1 << mantissaBits; ++mantissa) {
        double one = exponent == 0 ? 0.0 : 1.0;
        double value = (one + std::ldexp(mantissa, -mantissaBits)) *
                       std::ldexp(1.0, exponent == 0 ? 0 : exponent - 1);
        steps.push_back(sign *
                        static_cast<int>(std::ldexp(value, mantissaBits)));
      }
  return steps;
}

GroupedFormat GroupedFormat::get(FormatInterface format) {
  GroupedFormat result;
  if (auto integers = llvm::dyn_cast<IntAttr>(format)) {
    result.bits = integers.getBits();
    result.group = integers.getGroup();
    result.scale = integers.getScale();
    result.offset = integers.getOffset();
    result.unit = result.offset == ZeroOffset::Half ? 0.5f : 1.0f;
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

int16_t GroupedFormat::step(int code, int zero) const {
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
  return static_cast<int16_t>(code - zero);
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
