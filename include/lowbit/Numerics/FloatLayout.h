//===- FloatLayout.h - Sizes of tiled float weights -------------*- C++ -*-===//
//
// Float weights in tiles of 16 rows: `[tile][k][row in tile]` elements, each
// tile padded to 64 bytes (Spec.md, section 2).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_FLOATLAYOUT_H
#define LOWBIT_NUMERICS_FLOATLAYOUT_H

#include "lowbit/Numerics/Elements.h"
#include "lowbit/Numerics/IntegerFormat.h"

#include <cstdint>
#include <optional>

namespace lowbit {

/// Where everything lies in the buffer of an N × K float tensor. Element
/// (n, k) starts at (n / 16) · tileBytes + (k · 16 + n % 16) · elementBytes.
struct FloatLayout {
  int64_t elementBytes = 0;
  /// Bytes of a tile with its padding; tile t starts at t · tileBytes.
  int64_t tileBytes = 0;
  /// Number of tiles: ceil(N / 16).
  int64_t tiles = 0;
  /// tiles · tileBytes.
  int64_t bytes = 0;
};

/// Geometry of an N × K tensor. No value where rows or columns are below 1 or a
/// size exceeds int64_t.
std::optional<FloatLayout> floatLayout(ElementType type, int64_t rows,
                                       int64_t columns);

/// Size of an N × K tensor in that layout; the same conditions.
std::optional<StoredSize> storedSize(ElementType type, int64_t rows,
                                     int64_t columns);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_FLOATLAYOUT_H
