//===- Packing.cpp - Tiles to bytes and back --------------------*- C++ -*-===//
//
// Spec.md, section 2. Four codes of one row are handled as one 32-bit word: it
// is what a vector's lane holds.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Packing.h"

#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace lowbit {

/// Bytes of a lane, and of a vector of 16 lanes.
constexpr int64_t laneBytes = 4;
constexpr int64_t vectorBytes = tileRows * laneBytes;
/// Columns of the widest block.
constexpr int64_t widestBlock = 128;

/// Four bytes as a word, byte 0 lowest.
static uint32_t loadWord(const uint8_t *bytes) {
  return static_cast<uint32_t>(bytes[0]) |
         static_cast<uint32_t>(bytes[1]) << 8 |
         static_cast<uint32_t>(bytes[2]) << 16 |
         static_cast<uint32_t>(bytes[3]) << 24;
}

static void storeWord(uint32_t word, uint8_t *bytes) {
  for (int b = 0; b < 4; ++b)
    bytes[b] = static_cast<uint8_t>(word >> (8 * b));
}

/// A lane of digits of `Bits` bits: byte b, bits Bits·j … = digit 4j + b of
/// `codes`, after `shift` lower bits of each were dropped.
template <int Bits>
static uint32_t packDigits(const uint8_t *codes, int shift) {
  constexpr uint32_t mask = ((1u << Bits) - 1u) * 0x01010101u;
  uint32_t word = 0;
  for (int j = 0; j < 8 / Bits; ++j)
    word |= (loadWord(codes + 4 * j) >> shift & mask) << (Bits * j);
  return word;
}

/// The inverse: ors the digits, shifted left by `shift`, into `codes`.
template <int Bits>
static void unpackDigits(uint32_t word, uint8_t *codes, int shift) {
  constexpr uint32_t mask = ((1u << Bits) - 1u) * 0x01010101u;
  for (int j = 0; j < 8 / Bits; ++j) {
    uint32_t old = loadWord(codes + 4 * j);
    storeWord(old | (word >> (Bits * j) & mask) << shift, codes + 4 * j);
  }
}

/// Lane of one row in a block: `codes` holds a block's columns of that row,
/// `lane` is the row's place in the block's first vector.
static void packLane(const DigitPlanes &digits, int64_t width,
                     const uint8_t *codes, uint8_t *lane) {
  for (auto [bits, shift] : digits) {
    for (int64_t k = 0; k < width; k += 32 / bits, lane += vectorBytes)
      storeWord(bits == 1   ? packDigits<1>(codes + k, shift)
                : bits == 2 ? packDigits<2>(codes + k, shift)
                : bits == 4 ? packDigits<4>(codes + k, shift)
                            : loadWord(codes + k),
                lane);
  }
}

/// The inverse; `codes` must hold zeros.
static void unpackLane(const DigitPlanes &digits, int64_t width,
                       const uint8_t *lane, uint8_t *codes) {
  for (auto [bits, shift] : digits) {
    for (int64_t k = 0; k < width; k += 32 / bits, lane += vectorBytes) {
      uint32_t word = loadWord(lane);
      if (bits == 1)
        unpackDigits<1>(word, codes + k, shift);
      else if (bits == 2)
        unpackDigits<2>(word, codes + k, shift);
      else if (bits == 4)
        unpackDigits<4>(word, codes + k, shift);
      else
        storeWord(word, codes + k);
    }
  }
}

/// Codes of one group; columns that the last block lacks have code 0.
static void packCodes(const IntegerTile &tile, const TileGeometry &geometry,
                      const GroupPlace &place, uint8_t *bytes) {
  int64_t width = geometry.blockColumns;
  DigitPlanes digits(tile.format.bits);
  for (int64_t block = 0; block < place.blocks; ++block) {
    int64_t first = block * width;
    int64_t count = std::min(width, place.columns - first);
    uint8_t *vector = bytes + place.codes + block * geometry.blockBytes +
                      geometry.levelsBytes;
    const uint8_t *codes = tile.codes.data() + place.firstColumn + first;
    for (int64_t row = 0; row < tileRows; ++row, codes += tile.columns) {
      uint8_t *lane = vector + row * laneBytes;
      if (count == width) {
        packLane(digits, width, codes, lane);
        continue;
      }
      uint8_t padded[widestBlock] = {};
      std::copy(codes, codes + count, padded);
      packLane(digits, width, padded, lane);
    }
  }
}

static void unpackCodes(const TileGeometry &geometry, const GroupPlace &place,
                        const uint8_t *bytes, IntegerTile &tile) {
  int64_t width = geometry.blockColumns;
  DigitPlanes digits(tile.format.bits);
  for (int64_t block = 0; block < place.blocks; ++block) {
    int64_t first = block * width;
    int64_t count = std::min(width, place.columns - first);
    const uint8_t *vector = bytes + place.codes + block * geometry.blockBytes +
                            geometry.levelsBytes;
    uint8_t *codes = tile.codes.data() + place.firstColumn + first;
    for (int64_t row = 0; row < tileRows; ++row, codes += tile.columns) {
      const uint8_t *lane = vector + row * laneBytes;
      if (count == width) { // Codes are 0 since the tile was reset.
        unpackLane(digits, width, lane, codes);
        continue;
      }
      uint8_t padded[widestBlock] = {};
      unpackLane(digits, width, lane, padded);
      std::copy(padded, padded + count, codes);
    }
  }
}

/// 16 scales of one group.
static void packScales(const IntegerTile &tile, int64_t group, uint8_t *bytes) {
  for (int64_t row = 0; row < tileRows; ++row) {
    uint16_t bits =
        tile.scaleBits[static_cast<size_t>(row * tile.groups + group)];
    if (tile.format.scale == ScaleType::F16) {
      bytes[2 * row] = static_cast<uint8_t>(bits);
      bytes[2 * row + 1] = static_cast<uint8_t>(bits >> 8);
    } else {
      bytes[row] = static_cast<uint8_t>(bits);
    }
  }
}

static std::optional<Defect> unpackScales(const uint8_t *bytes, int64_t group,
                                          int64_t firstRow, int64_t firstColumn,
                                          IntegerTile &tile) {
  bool isF16 = tile.format.scale == ScaleType::F16;
  for (int64_t row = 0; row < tileRows; ++row) {
    int low = isF16 ? bytes[2 * row] : bytes[row];
    int high = isF16 ? bytes[2 * row + 1] : 0;
    uint16_t bits = static_cast<uint16_t>(low | high << 8);
    float value = scaleValue(tile.format.scale, bits);
    if (!isScale(tile.format.scale, bits))
      return defectAt(Defect::Kind::BadScale, firstRow + row, firstColumn,
                      value);
    size_t at = static_cast<size_t>(row * tile.groups + group);
    tile.scaleBits[at] = bits;
    tile.scales[at] = value;
  }
  return std::nullopt;
}

/// Zero points of one group: row r at bits r·b … r·b + b − 1 of 2b bytes.
static void packZeros(const IntegerTile &tile, int64_t group, uint8_t *bytes) {
  int bits = zeroBits(tile.format);
  std::fill(bytes, bytes + 2 * bits, static_cast<uint8_t>(0));
  for (int row = 0; row < tileRows; ++row) {
    int zero = tile.zeros[static_cast<size_t>(row * tile.groups + group)];
    int first = row * bits;
    int shifted = zero << (first % 8);
    bytes[first / 8] |= static_cast<uint8_t>(shifted);
    if (first % 8 + bits > 8)
      bytes[first / 8 + 1] |= static_cast<uint8_t>(shifted >> 8);
  }
}

static void unpackZeros(const uint8_t *bytes, int64_t group,
                        IntegerTile &tile) {
  int bits = zeroBits(tile.format);
  for (int row = 0; row < tileRows; ++row) {
    int first = row * bits;
    int word = bytes[first / 8];
    if (first % 8 + bits > 8)
      word |= bytes[first / 8 + 1] << 8;
    tile.zeros[static_cast<size_t>(row * tile.groups + group)] =
        static_cast<uint8_t>(word >> (first % 8) & ((1 << bits) - 1));
  }
}

/// Geometry of one tile, which exists because the tile itself does.
static TileGeometry geometryOf(const IntegerFormat &format, int64_t columns) {
  std::optional<TileGeometry> geometry =
      tileGeometry(format, tileRows, columns);
  assert(geometry && "a tile in memory has a size");
  return *geometry;
}

/// The levels of a group: lane r holds those of row r.
static void packLevels(const IntegerTile &tile, int64_t group, uint8_t *bytes) {
  for (int64_t row = 0; row < tileRows; ++row)
    std::memcpy(bytes + row * freeLevels, tile.groupLevels(row, group),
                freeLevels);
}

static void unpackLevels(const uint8_t *bytes, int64_t group,
                         IntegerTile &tile) {
  for (int64_t row = 0; row < tileRows; ++row)
    std::memcpy(tile.groupLevels(row, group), bytes + row * freeLevels,
                freeLevels);
}

void packTile(const IntegerTile &tile, uint8_t *bytes) {
  TileGeometry geometry = geometryOf(tile.format, tile.columns);
  int64_t end = 0;
  for (int64_t group = 0; group < geometry.groups; ++group) {
    GroupPlace place = geometry.group(group);
    packCodes(tile, geometry, place, bytes);
    packScales(tile, group, bytes + place.scales);
    if (geometry.levelsBytes)
      packLevels(tile, group, bytes + place.codes);
    if (tile.format.offset == Offset::Stored)
      packZeros(tile, group, bytes + place.zeros);
    end = place.codes + place.bytes;
  }
  std::fill(bytes + end, bytes + geometry.tileBytes, static_cast<uint8_t>(0));
}

std::optional<Defect> unpackTile(const IntegerFormat &format, int64_t rows,
                                 int64_t columns, int64_t firstRow,
                                 float factor, const uint8_t *bytes,
                                 IntegerTile &tile) {
  TileGeometry geometry = geometryOf(format, columns);
  tile.reset(format, rows, columns);
  tile.factor = factor;
  for (int64_t group = 0; group < geometry.groups; ++group) {
    GroupPlace place = geometry.group(group);
    unpackCodes(geometry, place, bytes, tile);
    if (geometry.levelsBytes)
      unpackLevels(bytes + place.codes, group, tile);
    if (std::optional<Defect> defect = unpackScales(
            bytes + place.scales, group, firstRow, place.firstColumn, tile))
      return defect;
    if (format.offset == Offset::Stored)
      unpackZeros(bytes + place.zeros, group, tile);
  }
  return std::nullopt;
}

void packTrailer(float factor, uint8_t *bytes) {
  std::fill(bytes, bytes + tileAlignment, static_cast<uint8_t>(0));
  storeWord(floatToBits(factor), bytes);
}

std::optional<Defect> readTrailer(const uint8_t *bytes, float &factor) {
  factor = bitsToFloat(loadWord(bytes));
  if (isFiniteFloat(factor) && factor > 0)
    return std::nullopt;
  return defectAt(Defect::Kind::BadFactor, -1, -1, factor);
}

/// Moves elements of `Word` between rows and a tile's [column][row].
template <typename Word>
static void packFloatRows(const uint8_t *elements, int64_t stride, int64_t rows,
                          int64_t columns, uint8_t *bytes) {
  constexpr int64_t size = sizeof(Word);
  for (int64_t row = 0; row < rows; ++row) {
    const uint8_t *from = elements + row * stride * size;
    uint8_t *to = bytes + row * size;
    for (int64_t k = 0; k < columns; ++k)
      std::memcpy(to + k * tileRows * size, from + k * size, size);
  }
}

template <typename Word>
static void unpackFloatRows(const uint8_t *bytes, int64_t rows, int64_t columns,
                            uint8_t *elements, int64_t stride) {
  constexpr int64_t size = sizeof(Word);
  for (int64_t row = 0; row < rows; ++row) {
    const uint8_t *from = bytes + row * size;
    uint8_t *to = elements + row * stride * size;
    for (int64_t k = 0; k < columns; ++k)
      std::memcpy(to + k * size, from + k * tileRows * size, size);
  }
}

void packFloatTile(ElementType type, const void *elements, int64_t stride,
                   int64_t rows, int64_t columns, uint8_t *bytes) {
  std::optional<FloatLayout> layout = floatLayout(type, tileRows, columns);
  assert(layout && rows >= 1 && rows <= tileRows);
  const auto *source = static_cast<const uint8_t *>(elements);
  if (rows < tileRows)
    std::fill(bytes, bytes + layout->tileBytes, static_cast<uint8_t>(0));
  int64_t used = columns * tileRows * layout->elementBytes;
  std::fill(bytes + used, bytes + layout->tileBytes, static_cast<uint8_t>(0));
  if (layout->elementBytes == 4)
    packFloatRows<uint32_t>(source, stride, rows, columns, bytes);
  else
    packFloatRows<uint16_t>(source, stride, rows, columns, bytes);
}

void unpackFloatTile(ElementType type, const uint8_t *bytes, int64_t rows,
                     int64_t columns, void *elements, int64_t stride) {
  auto *target = static_cast<uint8_t *>(elements);
  if (elementSize(type) == 4)
    unpackFloatRows<uint32_t>(bytes, rows, columns, target, stride);
  else
    unpackFloatRows<uint16_t>(bytes, rows, columns, target, stride);
}

} // namespace lowbit
