//===- Elements.h - Small floats to f32 and back ----------------*- C++ -*-===//
//
// Decoding is written out from the definitions of the formats; rounding is to
// nearest even.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_ELEMENTS_H
#define LOWBIT_REFERENCE_ELEMENTS_H

#include <cstdint>

namespace lowbit::reference {

/// Exact values of IEEE half, bfloat16 and E4M3FN (NaN for 0x7F and 0xFF).
float decodeF16(uint16_t bits);
float decodeBF16(uint16_t bits);
float decodeE4M3(uint8_t bits);

/// The nearest half (infinite where it overflows) and the nearest E4M3FN (448
/// where it overflows), ties to even; as a value, not as bits.
float roundToF16(float value);
float roundToE4M3(float value);

/// Little-endian numbers at any address.
uint16_t load16(const uint8_t *bytes);
float loadF32(const uint8_t *bytes);

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_ELEMENTS_H
