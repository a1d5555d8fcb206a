//===- IntegerFormat.cpp - Grouped integers: sizes and places ---*- C++ -*-===//
//
// Spec.md, sections 1.1, 1.2 and 2, in checked arithmetic.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/IntegerFormat.h"

#include <algorithm>

namespace lowbit {

bool operator==(const IntegerFormat &a, const IntegerFormat &b) {
  return a.bits == b.bits && a.group == b.group && a.scale == b.scale &&
         a.offset == b.offset;
}

bool operator!=(const IntegerFormat &a, const IntegerFormat &b) {
  return !(a == b);
}

const char *whyInvalid(const IntegerFormat &format) {
  // int_c1
  if (format.bits != 2 && format.bits != 3 && format.bits != 4 &&
      format.bits != 8)
    return "bits must be 2, 3, 4 or 8";
  // int_c2
  if (format.group != 0 && format.group != 32 && format.group != 64 &&
      format.group != 128)
    return "group must be 32, 64, 128 or row";
  // int_c3
  if (format.scale != ScaleType::F16 && format.scale != ScaleType::E4M3)
    return "scale must be f16 or f8E4M3FN";
  // int_c4
  if (format.offset != Offset::Integer && format.offset != Offset::Half &&
      format.offset != Offset::Stored)
    return "offset must be integer, half or stored";
  return nullptr;
}

int64_t groupColumns(const IntegerFormat &format, int64_t columns) {
  return format.group ? format.group : columns;
}

int64_t groupCount(const IntegerFormat &format, int64_t columns) {
  return ceilDivide(columns, groupColumns(format, columns));
}

int64_t blockColumns(int bits) {
  switch (bits) {
  case 2:
    return 16;
  case 3:
    return 32;
  case 4:
    return 8;
  default:
    return 4;
  }
}

int64_t blockBytes(int bits) { return bits == 3 ? 192 : 64; }

/// A sum of products in which an overflow is remembered.
class CheckedSum {
public:
  CheckedSum &add(int64_t a, int64_t b = 1, int64_t c = 1) {
    int64_t product;
    overflow |= __builtin_mul_overflow(a, b, &product);
    overflow |= __builtin_mul_overflow(product, c, &product);
    overflow |= __builtin_add_overflow(sum, product, &sum);
    return *this;
  }
  /// Rounds the sum up to a multiple of `unit`.
  CheckedSum &roundUp(int64_t unit) {
    int64_t rest = sum % unit;
    return rest ? add(unit - rest) : *this;
  }
  bool get(int64_t &value) const {
    value = sum;
    return !overflow;
  }

private:
  int64_t sum = 0;
  bool overflow = false;
};

std::optional<TileGeometry> tileGeometry(const IntegerFormat &format,
                                         int64_t rows, int64_t columns) {
  if (whyInvalid(format) || rows < 1 || columns < 1)
    return std::nullopt;
  TileGeometry g;
  g.blockColumns = blockColumns(format.bits);
  g.blockBytes = blockBytes(format.bits);
  g.groupColumns = groupColumns(format, columns);
  g.groups = groupCount(format, columns);
  g.lastColumns = columns - (g.groups - 1) * g.groupColumns;
  g.scalesBytes = tileRows * format.scaleSize();
  g.zerosBytes =
      format.offset == Offset::Stored ? tileRows * format.bits / 8 : 0;
  int64_t extra = g.scalesBytes + g.zerosBytes;
  int64_t blocks = ceilDivide(g.groupColumns, g.blockColumns);
  int64_t lastBlocks = ceilDivide(g.lastColumns, g.blockColumns);
  bool fits = CheckedSum().add(blocks, g.blockBytes).get(g.codesBytes);
  fits = fits && CheckedSum().add(g.codesBytes).add(extra).get(g.groupBytes);
  fits = fits && CheckedSum()
                     .add(g.groups - 1, g.groupBytes)
                     .add(lastBlocks, g.blockBytes)
                     .add(extra)
                     .roundUp(tileAlignment)
                     .get(g.tileBytes);
  g.tiles = ceilDivide(rows, tileRows);
  g.trailerBytes = format.hasFactor() ? tileAlignment : 0;
  fits =
      fits &&
      CheckedSum().add(g.tiles, g.tileBytes).add(g.trailerBytes).get(g.bytes);
  return fits ? std::optional<TileGeometry>(g) : std::nullopt;
}

GroupPlace TileGeometry::group(int64_t index) const {
  GroupPlace place;
  place.firstColumn = index * groupColumns;
  place.columns = index == groups - 1 ? lastColumns : groupColumns;
  place.blocks = ceilDivide(place.columns, blockColumns);
  place.codes = index * groupBytes;
  place.codesBytes = place.blocks * blockBytes;
  place.scales = place.codes + place.codesBytes;
  place.zeros = place.scales + scalesBytes;
  place.bytes = place.codesBytes + scalesBytes + zerosBytes;
  return place;
}

std::optional<StoredSize> storedSize(const IntegerFormat &format, int64_t rows,
                                     int64_t columns) {
  std::optional<TileGeometry> geometry = tileGeometry(format, rows, columns);
  if (!geometry)
    return std::nullopt;
  int64_t groupBits = 8 * format.scaleSize() +
                      (format.offset == Offset::Stored ? format.bits : 0);
  int64_t payloadBits;
  bool fits = CheckedSum()
                  .add(rows, columns, format.bits)
                  .add(rows, geometry->groups, groupBits)
                  .add(format.hasFactor() ? 32 : 0)
                  .get(payloadBits);
  if (!fits)
    return std::nullopt;
  StoredSize size;
  size.bytes = geometry->bytes;
  size.payload = ceilDivide(payloadBits, 8);
  size.padding = size.bytes - size.payload;
  return size;
}

} // namespace lowbit
