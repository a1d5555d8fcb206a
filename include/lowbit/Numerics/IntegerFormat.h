//===- IntegerFormat.h - Grouped integers: sizes and places -----*- C++ -*-===//
//
// The one place where the size of a grouped-integer tensor and the place of
// each of its bytes are computed (Spec.md, sections 1 and 2). The IR attribute,
// the packer, the kernel generator and the reports all ask here.
//
//   IntegerFormat format{4, 64, ScaleType::F16, Offset::Integer};
//   storedSize(format, 16, 64)->bytes == 16 * 64 / 2 + 16 * 2
//
// All arithmetic is checked: what does not fit int64_t gives no value.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_INTEGERFORMAT_H
#define LOWBIT_NUMERICS_INTEGERFORMAT_H

#include "lowbit/Numerics/WeightFormat.h"

#include <array>
#include <cstdint>
#include <optional>

namespace lowbit {

/// Rows of a tile, for every layout.
constexpr int64_t tileRows = 16;
/// Tiles are padded to a multiple of this many bytes.
constexpr int64_t tileAlignment = 64;

/// Type in which the scale of a group is stored; E8M0 is a power of two.
enum class ScaleType : uint8_t { F16, E4M3, E8M0 };

/// Zero point z in w = F·s·(c − z): 2^(b−1), 2^(b−1) − ½, or stored per group.
enum class Offset : uint8_t { Integer, Half, Stored };

/// What a code stands for. Of Levels, Free, E2M1, E2M3 and Int8 each code is an
/// integer: w = F · s · (step · unit); those behind Int8 span more than a byte
/// and are multiplied as floats: w = s · value (Spec 1.4 and 1.5).
enum class Element : uint8_t {
  /// c − z.
  Integer,
  /// One of up to 16 listed integers, ascending.
  Levels,
  /// One of four integers that are stored with each group (Spec 1.6).
  Free,
  /// Floats of 4 and 6 bits, in units of ½ and ⅛.
  E2M1,
  E2M3,
  /// c − 128 in units of 1/64.
  Int8,
  /// Floats of 6 and 8 bits.
  E3M2,
  E4M3,
  E5M2,
};

/// Sign, exponent (bias: `least` = 1 − bias) and mantissa of a float of at most
/// 8 bits; without infinity but for E5M2.
struct SmallFloat {
  int mantissaBits = 0;
  /// Exponent of the smallest normal number.
  int least = 0;
};

/// Levels that are stored with a group (Element::Free), and the largest.
constexpr int freeLevels = 4;
constexpr int largestFreeLevel = 127;

/// Grouped integers and small floats: `#lowbit.int` of Spec 1.1,
/// `#lowbit.micro` of 1.4, `#lowbit.levels` of 1.5, `#lowbit.free` of 1.6.
struct IntegerFormat {
  /// Bits of a code, 1 … 8 (int_c1).
  int bits = 4;
  /// Columns of a group: 16 (2, 4, 6 and 8 bits), 32, 64 or 128; 0 is `row`,
  /// one group per row (int_c2).
  int64_t group = 64;
  /// Type of the scales (int_c3).
  ScaleType scale = ScaleType::F16;
  /// Kind of zero point (int_c4); elements other than Integer have `Integer`.
  Offset offset = Offset::Integer;
  Element element = Element::Integer;
  /// Element::Levels: how many, and which.
  int levelCount = 0;
  std::array<int8_t, 16> levels = {};

  /// Number of codes that bits can hold, 2^bits.
  int codes() const { return 1 << bits; }
  /// Whether a code of an element that is no Integer means a number: not one
  /// that no level has, nor NaN or infinite.
  bool isNumber(int code) const;
  /// Weights are multiplied as f32, not as integers.
  bool isFloat() const { return element >= Element::E3M2; }
  /// The element's floats; null for Integer, Levels and Int8.
  const SmallFloat *smallFloat() const;
  /// The integer of a code of Levels, E2M1, E2M3 or Int8.
  int tableStep(int code) const;
  /// What such a code, or that of a float, stands for without scale and factor.
  /// (Those of Free depend on the group.)
  float tableValue(int code) const;
  /// What a step counts: 1, ½ for `half`, or the element's unit; 1 for floats.
  float unit() const;
  /// True where one f32 factor F is stored with the tensor.
  bool hasFactor() const { return scale == ScaleType::E4M3; }
  /// Bytes of one scale: 2 or 1.
  int64_t scaleSize() const { return scale == ScaleType::F16 ? 2 : 1; }
};

bool operator==(const IntegerFormat &a, const IntegerFormat &b);
bool operator!=(const IntegerFormat &a, const IntegerFormat &b);

/// Null where int_c1 to int_c5, or those of the element, hold; else a sentence
/// that names the field and its limit, for example "bits must be 1 to 8".
const char *whyInvalid(const IntegerFormat &format);

/// Columns of a full group of `format` in rows of `columns` columns, and groups
/// of such a row.
int64_t groupColumns(const IntegerFormat &format, int64_t columns);
int64_t groupCount(const IntegerFormat &format, int64_t columns);

/// Where one group of a tile lies. Byte offsets of `scales` and `zeros` are
/// from the start of the tile, like `codes`.
struct GroupPlace {
  /// First column, and the number of columns (the last group may be ragged).
  int64_t firstColumn = 0;
  int64_t columns = 0;
  /// Blocks of codes: ceil(columns / blockColumns).
  int64_t blocks = 0;
  /// Start of the group in the tile: that of its codes.
  int64_t codes = 0;
  int64_t codesBytes = 0;
  /// 16 scales in row order.
  int64_t scales = 0;
  /// Zero points (`stored` only; else equal to the end of the group).
  int64_t zeros = 0;
  /// Bytes of the group: codes, scales and zero points.
  int64_t bytes = 0;
};

/// Where everything lies in the buffer of an N × K tensor (Spec section 2).
struct TileGeometry {
  /// Block: B columns of 16 rows, and its bytes (a multiple of 64), of which
  /// the first `levelsBytes` are levels.
  int64_t blockColumns = 0;
  int64_t blockBytes = 0;
  int64_t levelsBytes = 0;
  /// Columns of a full group (K for `row`), groups of a row.
  int64_t groupColumns = 0;
  int64_t groups = 0;
  /// Parts of a full group: codes, scales, zero points, and their sum. Group i
  /// starts at i · groupBytes of its tile; the ragged last one may be shorter.
  int64_t codesBytes = 0;
  int64_t scalesBytes = 0;
  int64_t zerosBytes = 0;
  int64_t groupBytes = 0;
  /// Columns of the last group.
  int64_t lastColumns = 0;
  /// Bytes of a tile with its padding; tile t starts at t · tileBytes.
  int64_t tileBytes = 0;
  /// Number of tiles: ceil(N / 16).
  int64_t tiles = 0;
  /// 64 where the format has a factor (its first 4 bytes), else 0; the trailer
  /// starts at tiles · tileBytes.
  int64_t trailerBytes = 0;
  /// tiles · tileBytes + trailerBytes.
  int64_t bytes = 0;

  /// Place of group `index` (0 … groups − 1) in a tile.
  GroupPlace group(int64_t index) const;
};

/// Digits of one width, from bit `shift` of the codes on.
struct DigitPlane {
  int bits;
  int shift;
};

/// The planes of codes of `bits` bits, in the order of the bytes: digits of 4
/// bits where there are as many, then of 2, then of 1 (8: whole codes).
struct DigitPlanes {
  explicit DigitPlanes(int bits) {
    int rest = bits;
    for (int width : {8, 4, 2, 1})
      if (rest >= width) {
        rest -= width;
        planes[count++] = {width, rest};
      }
  }
  const DigitPlane *begin() const { return planes; }
  const DigitPlane *end() const { return planes + count; }

  DigitPlane planes[3];
  int count = 0;
};

/// Columns and bytes of a block of codes of `bits` bits: all planes of digits
/// (of 4, 2 and 1 bits, or of 8) of 32 columns or as many as a vector holds.
int64_t blockColumns(int bits);
int64_t blockBytes(int bits);

/// Bits of a code of `count` levels.
int levelBits(int count);

/// Geometry of an N × K tensor. No value where the format is invalid, rows or
/// columns are below 1, or a size exceeds int64_t.
std::optional<TileGeometry> tileGeometry(const IntegerFormat &format,
                                         int64_t rows, int64_t columns);

/// Size of an N × K tensor; the same conditions.
std::optional<StoredSize> storedSize(const IntegerFormat &format, int64_t rows,
                                     int64_t columns);

/// The format behind the interface of all formats; it must be valid.
FormatPtr makeIntegerFormat(const IntegerFormat &format);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_INTEGERFORMAT_H
