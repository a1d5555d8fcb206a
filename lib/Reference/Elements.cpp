//===- Elements.cpp - Small floats to f32 and back --------------*- C++ -*-===//

#include "Elements.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace lowbit;

namespace {
/// A binary float below f32: sign, exponent, mantissa, from the top bit down.
struct SmallFloat {
  int exponentBits;
  int mantissaBits;

  int bias() const { return (1 << (exponentBits - 1)) - 1; }
  /// Exponent of the smallest normal number, and of all subnormal ones.
  int minExponent() const { return 1 - bias(); }
};
constexpr SmallFloat half{5, 10};
constexpr SmallFloat e4m3{4, 3};
} // namespace

/// (−1)^sign · 2^(exponent − bias) · 1.mantissa; exponent 0: 0.mantissa at the
/// smallest exponent. Infinities and NaN are the caller's.
static float decode(SmallFloat format, uint32_t bits) {
  int exponent =
      (bits >> format.mantissaBits) & ((1u << format.exponentBits) - 1);
  int mantissa = bits & ((1u << format.mantissaBits) - 1);
  bool negative = bits >> (format.exponentBits + format.mantissaBits);
  float magnitude =
      exponent == 0
          ? std::ldexp(float(mantissa),
                       format.minExponent() - format.mantissaBits)
          : std::ldexp(float(mantissa + (1 << format.mantissaBits)),
                       exponent - format.bias() - format.mantissaBits);
  return negative ? -magnitude : magnitude;
}

/// Rounds to a multiple of the last place that `format` has at the value's
/// exponent. Scaling by powers of two is exact, rint rounds half to even.
static float roundTo(SmallFloat format, float value) {
  int exponent = std::ilogb(value);
  if (exponent < format.minExponent())
    exponent = format.minExponent();
  int lastPlace = exponent - format.mantissaBits;
  return std::ldexp(std::rint(std::ldexp(value, -lastPlace)), lastPlace);
}

float reference::decodeF16(uint16_t bits) {
  if ((bits & 0x7C00) != 0x7C00)
    return decode(half, bits);
  if (bits & 0x03FF)
    return std::numeric_limits<float>::quiet_NaN();
  float infinity = std::numeric_limits<float>::infinity();
  return bits & 0x8000 ? -infinity : infinity;
}

float reference::decodeBF16(uint16_t bits) {
  uint32_t word = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

float reference::decodeE4M3(uint8_t bits) {
  if ((bits & 0x7F) == 0x7F)
    return std::numeric_limits<float>::quiet_NaN();
  return decode(e4m3, bits);
}

float reference::roundToF16(float value) {
  if (value == 0 || !std::isfinite(value))
    return value;
  float rounded = roundTo(half, value);
  constexpr float largest = 65504;
  if (std::fabs(rounded) > largest)
    return std::copysign(std::numeric_limits<float>::infinity(), value);
  return rounded;
}

float reference::roundToE4M3(float value) {
  constexpr float largest = 448;
  if (value == 0 || std::isnan(value))
    return value;
  if (std::fabs(value) >= largest)
    return std::copysign(largest, value);
  return roundTo(e4m3, value);
}

uint16_t reference::load16(const uint8_t *bytes) {
  return uint16_t(bytes[0] | bytes[1] << 8);
}

float reference::loadF32(const uint8_t *bytes) {
  uint32_t word = uint32_t(bytes[0]) | uint32_t(bytes[1]) << 8 |
                  uint32_t(bytes[2]) << 16 | uint32_t(bytes[3]) << 24;
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}
