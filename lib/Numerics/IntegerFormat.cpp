//===- IntegerFormat.cpp - Grouped integers: sizes and places ---*- C++ -*-===//
//
// Spec.md, sections 1.1, 1.2 and 2, in checked arithmetic.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/IntegerFormat.h"

#include "lowbit/Numerics/IntegerTile.h"

#include <algorithm>
#include <cmath>

namespace lowbit {

bool operator==(const IntegerFormat &a, const IntegerFormat &b) {
  return a.bits == b.bits && a.group == b.group && a.scale == b.scale &&
         a.offset == b.offset && a.element == b.element &&
         a.levelCount == b.levelCount && a.levels == b.levels;
}

bool operator!=(const IntegerFormat &a, const IntegerFormat &b) {
  return !(a == b);
}

/// The constraints of formats whose codes are a table's.
static const char *whyInvalidElement(const IntegerFormat &format) {
  bool isE8M0 = format.scale == ScaleType::E8M0 && format.group == 32;
  switch (format.element) {
  case Element::E2M1: // micro_c2
    if (!isE8M0 && !(format.scale == ScaleType::E4M3 && format.group == 16))
      return "scales are f8E8M0FNU for groups of 32 or f8E4M3FN for groups of "
             "16";
    return format.bits == 4 ? nullptr : "f4E2M1FN has 4 bits";
  case Element::E2M3:
    if (!isE8M0)
      return "scales are f8E8M0FNU for groups of 32";
    return format.bits == 6 ? nullptr : "f6E2M3FN has 6 bits";
  case Element::Int8:
    if (!isE8M0)
      return "scales are f8E8M0FNU for groups of 32";
    return format.bits == 8 ? nullptr : "i8 has 8 bits";
  case Element::E3M2:
    if (!isE8M0)
      return "scales are f8E8M0FNU for groups of 32";
    return format.bits == 6 ? nullptr : "f6E3M2FN has 6 bits";
  case Element::E4M3:
  case Element::E5M2:
    if (!isE8M0)
      return "scales are f8E8M0FNU for groups of 32";
    return format.bits == 8 ? nullptr : "floats of 8 bits have 8 bits";
  case Element::Free:
    if (format.group < 32) // free_c1
      return "group must be 32, 64 or 128";
    if (format.scale == ScaleType::E8M0) // free_c2
      return "scale must be f16 or f8E4M3FN";
    return format.bits == 2 ? nullptr : "four levels have 2 bits";
  default:
    break;
  }
  // levels_c1
  if (format.levelCount < 2 || format.levelCount > 16)
    return "there must be 2 to 16 levels";
  for (int i = 1; i < format.levelCount; ++i)
    if (format.levels[i] <= format.levels[i - 1])
      return "levels must ascend";
  bool hasZero = false;
  for (int i = 0; i < format.levelCount; ++i)
    hasZero |= format.levels[i] == 0;
  if (!hasZero)
    return "0 must be one of the levels";
  if (format.bits != levelBits(format.levelCount))
    return "bits must be those of the number of levels";
  // levels_c3
  if (format.scale == ScaleType::E8M0)
    return "scale must be f16 or f8E4M3FN";
  return nullptr;
}

int levelBits(int count) {
  int bits = 1;
  while ((1 << bits) < count)
    ++bits;
  return bits;
}

const SmallFloat *IntegerFormat::smallFloat() const {
  static constexpr SmallFloat floats[] = {{1, 0},  {3, 0},  {},
                                          {2, -2}, {3, -6}, {2, -14}};
  bool isOne = element >= Element::E2M1 && element != Element::Int8;
  return isOne ? &floats[static_cast<int>(element) -
                         static_cast<int>(Element::E2M1)]
               : nullptr;
}

bool IntegerFormat::isNumber(int code) const {
  int magnitude = code & (codes() / 2 - 1);
  switch (element) {
  case Element::Levels:
    return code < levelCount;
  case Element::E4M3:
    return magnitude != 0x7F;
  case Element::E5M2:
    return magnitude < 0x7C;
  default:
    return code < codes();
  }
}

int IntegerFormat::tableStep(int code) const {
  return static_cast<int>(tableValue(code) / unit());
}

float IntegerFormat::tableValue(int code) const {
  if (element == Element::Levels)
    return levels[static_cast<size_t>(code)];
  if (element == Element::Int8)
    return static_cast<float>(code - 128) * unit();
  const SmallFloat *small = smallFloat();
  if (!small)
    return 0;
  // Subnormal where the exponent is 0.
  int magnitude = code & (codes() / 2 - 1);
  int exponent = magnitude >> small->mantissaBits;
  int one = 1 << small->mantissaBits;
  int mantissa = magnitude % one + (exponent == 0 ? 0 : one);
  float value = std::ldexp(static_cast<float>(mantissa),
                           small->least - small->mantissaBits +
                               std::max(exponent - 1, 0));
  return code >= codes() / 2 ? -value : value;
}

float IntegerFormat::unit() const {
  switch (element) {
  case Element::E2M1:
    return 0.5f;
  case Element::E2M3:
    return 0.125f;
  case Element::Int8:
    return 0.015625f;
  case Element::Integer:
    break;
  default:
    return 1.0f;
  }
  if (offset == Offset::Stored)
    return 1.0f / static_cast<float>(zerosPerCode(*this));
  return offset == Offset::Half ? 0.5f : 1.0f;
}

const char *whyInvalid(const IntegerFormat &format) {
  // int_c1
  if (format.bits < 1 || format.bits > 8)
    return "bits must be 1 to 8";
  // int_c2
  if (format.group != 0 && format.group != 16 && format.group != 32 &&
      format.group != 64 && format.group != 128)
    return "group must be 16, 32, 64, 128 or row";
  if (format.group == 16 && blockColumns(format.bits) > 16)
    return "group 16 goes with bits 2, 4, 6 and 8 only: the others have blocks "
           "of 32 columns";
  if (format.element != Element::Integer)
    return whyInvalidElement(format);
  // int_c3
  if (format.scale != ScaleType::F16 && format.scale != ScaleType::E4M3)
    return "scale must be f16 or f8E4M3FN";
  // int_c4
  if (format.offset != Offset::Integer && format.offset != Offset::Half &&
      format.offset != Offset::Stored)
    return "offset must be integer, half or stored";
  // int_c5
  if (format.bits == 1 && format.offset == Offset::Integer)
    return "bits 1 goes with offset half (-scale/2 and scale/2) and stored (a "
           "mean) only";
  return nullptr;
}

int64_t groupColumns(const IntegerFormat &format, int64_t columns) {
  return format.group ? format.group : columns;
}

int64_t groupCount(const IntegerFormat &format, int64_t columns) {
  return ceilDivide(columns, groupColumns(format, columns));
}

int64_t blockColumns(int bits) {
  // The narrowest plane fills a vector: 32 columns of 1 bit, 16 of 2, …
  if (bits == 8)
    return 4;
  return bits % 2 == 1 ? 32 : bits % 4 == 2 ? 16 : 8;
}

int64_t blockBytes(int bits) {
  return tileRows * blockColumns(bits) * bits / 8;
}

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
  if (format.element == Element::Free) {
    g.levelsBytes = tileRows * freeLevels;
    g.blockBytes = format.group / g.blockColumns * g.blockBytes + g.levelsBytes;
    g.blockColumns = format.group;
  }
  g.groupColumns = groupColumns(format, columns);
  g.groups = groupCount(format, columns);
  g.lastColumns = columns - (g.groups - 1) * g.groupColumns;
  g.scalesBytes = tileRows * format.scaleSize();
  g.zerosBytes =
      format.offset == Offset::Stored ? tileRows * zeroBits(format) / 8 : 0;
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
                      (format.offset == Offset::Stored ? zeroBits(format) : 0) +
                      (format.element == Element::Free ? 8 * freeLevels : 0);
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
