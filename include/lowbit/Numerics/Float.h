//===- Float.h - Exact conversions between float formats --------*- C++ -*-===//
//
// f16, bf16 and E4M3FN to and from f32, in integer arithmetic: the same bits on
// every CPU, no F16C needed, independent of the rounding mode and of flush to
// zero. Widening is exact; narrowing rounds to nearest, ties to even.
//
//   roundToF16(0.1f) == 0x2E66, f16ToFloat(0x2E66) == 0.0999755859375f
//
// What happens beyond the range differs by format and is stated at each
// function: f16 and bf16 overflow to infinity, E4M3FN (which has no infinity)
// saturates at 448.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_FLOAT_H
#define LOWBIT_NUMERICS_FLOAT_H

#include <cstdint>
#include <cstring>

namespace lowbit {

/// Largest finite f16 value.
constexpr float maxF16 = 65504.0f;
/// Largest E4M3FN value (code 0x7E).
constexpr float maxE4M3 = 448.0f;

/// The 32 bits of `value`.
inline uint32_t floatToBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

/// The f32 whose bits are `bits`.
inline float bitsToFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

/// True where `value` is neither an infinity nor NaN.
inline bool isFiniteFloat(float value) {
  return (floatToBits(value) & 0x7F800000u) != 0x7F800000u;
}

/// bf16 to f32, exact.
inline float bf16ToFloat(uint16_t bits) {
  return bitsToFloat(static_cast<uint32_t>(bits) << 16);
}

/// f32 to bf16, ties to even. Beyond the range: infinity. NaN stays NaN (quiet,
/// with the upper payload bits and the sign kept).
inline uint16_t roundToBF16(float value) {
  uint32_t bits = floatToBits(value);
  uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  uint32_t quiet = (bits >> 16) | 0x40u;
  bool isNaN = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  return static_cast<uint16_t>(isNaN ? quiet : rounded);
}

/// f16 to f32, exact. NaN becomes quiet and keeps payload and sign.
inline float f16ToFloat(uint16_t half) {
  uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  uint32_t magnitude = half & 0x7FFFu;
  uint32_t normal = (magnitude << 13) + (112u << 23);
  uint32_t special = (magnitude << 13) | 0x7F800000u |
                     (magnitude > 0x7C00u ? 0x00400000u : 0u);
  // A subnormal is magnitude * 2^-24; both steps are exact in f32.
  uint32_t subnormal =
      floatToBits(static_cast<float>(static_cast<int32_t>(magnitude)) *
                  5.9604644775390625e-8f);
  uint32_t bits = magnitude >= 0x7C00u  ? special
                  : magnitude < 0x0400u ? subnormal
                                        : normal;
  return bitsToFloat(sign | bits);
}

/// f32 to f16, ties to even. Beyond the range (|value| >= 65520): infinity.
/// NaN stays NaN (quiet, with the upper payload bits and the sign kept).
inline uint16_t roundToF16(float value) {
  uint32_t bits = floatToBits(value);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u)
    return static_cast<uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x3FFu));
  if (magnitude >= 0x477FF000u) // 65520, halfway to the value after 65504
    return static_cast<uint16_t>(sign | 0x7C00u);
  if (magnitude >= 0x38800000u) { // normal: 2^-14 and above
    uint32_t odd = (magnitude >> 13) & 1u;
    uint32_t rounded = magnitude + 0xFFFu + odd;
    return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
  }
  if (magnitude <= 0x33000000u) // 2^-25, halfway to the smallest: to even
    return static_cast<uint16_t>(sign);
  // Subnormal: the significand in units of 2^-24.
  uint32_t shift = 126u - (magnitude >> 23); // 14 … 24
  uint32_t significand = (magnitude & 0x7FFFFFu) | 0x800000u;
  uint32_t whole = significand >> shift;
  uint32_t rest = significand & ((1u << shift) - 1u);
  uint32_t half = 1u << (shift - 1u);
  whole += (rest > half || (rest == half && (whole & 1u))) ? 1u : 0u;
  return static_cast<uint16_t>(sign | whole);
}

/// True where the E4M3FN code is a legal scale (Spec 1.1): neither NaN nor
/// signed.
inline bool isScaleE4M3(uint8_t code) { return code <= 0x7Eu; }

/// True where the f16 bits are a legal scale: finite and not signed.
inline bool isScaleF16(uint16_t bits) { return bits < 0x7C00u; }

/// E4M3FN to f32, exact; codes 0x7F and 0xFF are NaN.
inline float e4m3ToFloat(uint8_t code) {
  uint32_t sign = static_cast<uint32_t>(code & 0x80u) << 24;
  uint32_t magnitude = code & 0x7Fu;
  uint32_t bits;
  if (magnitude == 0x7Fu)
    bits = 0x7FC00000u;
  else if (magnitude < 8u) // subnormal: magnitude * 2^-9
    bits = floatToBits(static_cast<float>(magnitude) * 0.001953125f);
  else
    bits = (magnitude << 20) + (120u << 23);
  return bitsToFloat(sign | bits);
}

/// f32 to E4M3FN, ties to even, saturating: finite values and infinities beyond
/// 448 become ±448. NaN becomes NaN (0x7F with the sign).
inline uint8_t roundToE4M3(float value) {
  uint32_t bits = floatToBits(value);
  uint32_t sign = (bits >> 24) & 0x80u;
  uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u)
    return static_cast<uint8_t>(sign | 0x7Fu);
  if (magnitude >= 0x43E00000u) // 448
    return static_cast<uint8_t>(sign | 0x7Eu);
  if (magnitude >= 0x3C800000u) { // normal: 2^-6 and above
    uint32_t odd = (magnitude >> 20) & 1u;
    uint32_t rounded = magnitude + 0x7FFFFu + odd;
    return static_cast<uint8_t>(sign | ((rounded - (120u << 23)) >> 20));
  }
  if (magnitude <= 0x3A800000u) // 2^-10, halfway to the smallest: to even
    return static_cast<uint8_t>(sign);
  // Subnormal: the significand in units of 2^-9.
  uint32_t shift = 141u - (magnitude >> 23); // 21 … 24
  uint32_t significand = (magnitude & 0x7FFFFFu) | 0x800000u;
  uint32_t whole = significand >> shift;
  uint32_t rest = significand & ((1u << shift) - 1u);
  uint32_t half = 1u << (shift - 1u);
  whole += (rest > half || (rest == half && (whole & 1u))) ? 1u : 0u;
  return static_cast<uint8_t>(sign | whole);
}

/// E8M0 to f32, exact: 2^(code − 127), code 0 a subnormal; 0xFF is NaN.
inline float e8m0ToFloat(uint8_t code) {
  return bitsToFloat(code == 0xFFu ? 0x7FC00000u
                     : code == 0   ? 0x00400000u
                                   : static_cast<uint32_t>(code) << 23);
}

} // namespace lowbit

#endif // LOWBIT_NUMERICS_FLOAT_H
