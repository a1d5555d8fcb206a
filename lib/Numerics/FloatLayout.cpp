//===- FloatLayout.cpp - Sizes of tiled float weights -----------*- C++ -*-===//
//
// Spec.md, section 2, "Floats", in checked arithmetic.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/FloatLayout.h"

namespace lowbit {

std::optional<FloatLayout> floatLayout(ElementType type, int64_t rows,
                                       int64_t columns) {
  if (rows < 1 || columns < 1)
    return std::nullopt;
  FloatLayout layout;
  layout.elementBytes = elementSize(type);
  int64_t columnBytes = tileRows * layout.elementBytes; // 32 or 64
  if (__builtin_mul_overflow(columns, columnBytes, &layout.tileBytes))
    return std::nullopt;
  int64_t rest = layout.tileBytes % tileAlignment;
  int64_t padding = rest ? tileAlignment - rest : 0;
  if (__builtin_add_overflow(layout.tileBytes, padding, &layout.tileBytes))
    return std::nullopt;
  layout.tiles = ceilDivide(rows, tileRows);
  if (__builtin_mul_overflow(layout.tiles, layout.tileBytes, &layout.bytes))
    return std::nullopt;
  return layout;
}

std::optional<StoredSize> storedSize(ElementType type, int64_t rows,
                                     int64_t columns) {
  std::optional<FloatLayout> layout = floatLayout(type, rows, columns);
  if (!layout)
    return std::nullopt;
  StoredSize size;
  size.bytes = layout->bytes;
  // Cannot overflow: at most `bytes`.
  size.payload = rows * columns * layout->elementBytes;
  size.padding = size.bytes - size.payload;
  return size;
}

} // namespace lowbit
