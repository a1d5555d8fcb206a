//===- Elements.cpp - Arrays of checkpoint elements -------------*- C++ -*-===//
//
// Loops over the conversions of Float.h.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Elements.h"

#include "lowbit/Numerics/Float.h"

#include <cstddef>
#include <cstring>

namespace lowbit {

int64_t elementSize(ElementType type) {
  return type == ElementType::F32 ? 4 : 2;
}

/// Element `index` of an array of 16-bit elements that may be unaligned.
static uint16_t load16(const unsigned char *bytes, int64_t index) {
  uint16_t bits;
  std::memcpy(&bits, bytes + 2 * index, sizeof(bits));
  return bits;
}

void widenElements(ElementType type, const void *source, int64_t count,
                   float *destination) {
  const auto *bytes = static_cast<const unsigned char *>(source);
  switch (type) {
  case ElementType::F32:
    if (count > 0)
      std::memcpy(destination, source, static_cast<size_t>(count) * 4);
    return;
  case ElementType::F16:
    for (int64_t i = 0; i < count; ++i)
      destination[i] = f16ToFloat(load16(bytes, i));
    return;
  case ElementType::BF16:
    for (int64_t i = 0; i < count; ++i)
      destination[i] = bf16ToFloat(load16(bytes, i));
    return;
  }
}

int64_t narrowElements(ElementType type, const float *source, int64_t count,
                       void *destination) {
  auto *bytes = static_cast<unsigned char *>(destination);
  int64_t firstBad = -1;
  for (int64_t i = 0; i < count; ++i) {
    bool finite = isFiniteFloat(source[i]);
    if (type == ElementType::F32) {
      std::memcpy(bytes + 4 * i, &source[i], 4);
    } else {
      bool half = type == ElementType::F16;
      uint16_t bits = half ? roundToF16(source[i]) : roundToBF16(source[i]);
      uint16_t exponent = half ? 0x7C00u : 0x7F80u;
      finite = (bits & exponent) != exponent;
      std::memcpy(bytes + 2 * i, &bits, 2);
    }
    if (!finite && firstBad < 0)
      firstBad = i;
  }
  return firstBad;
}

} // namespace lowbit
