//===- Elements.h - Arrays of checkpoint elements ---------------*- C++ -*-===//
//
// The element types in which checkpoints store weights and in which weights
// without an encoding are stored, and conversions of whole arrays.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_ELEMENTS_H
#define LOWBIT_NUMERICS_ELEMENTS_H

#include <cstdint>

namespace lowbit {

/// How one number is stored.
enum class ElementType : uint8_t { F32, F16, BF16 };

/// Bytes of one element: 4 or 2.
int64_t elementSize(ElementType type);

/// Widens `count` elements at `source` (any alignment) to f32; exact.
void widenElements(ElementType type, const void *source, int64_t count,
                   float *destination);

/// Rounds `count` f32 values to elements at `destination` (any alignment), to
/// nearest even. Returns the index of the first value that is not finite after
/// rounding (an overflow, or a value that was not finite before), or -1.
int64_t narrowElements(ElementType type, const float *source, int64_t count,
                       void *destination);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_ELEMENTS_H
