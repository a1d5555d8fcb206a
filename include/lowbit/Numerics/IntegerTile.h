//===- IntegerTile.h - 16 rows of codes, scales, zero points ----*- C++ -*-===//
//
// What every solver produces and the packer stores: the codes, scales and zero
// points of 16 consecutive rows in plain arrays. Also the way back to numbers
// and the error sums of the ledger.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_INTEGERTILE_H
#define LOWBIT_NUMERICS_INTEGERTILE_H

#include "lowbit/Numerics/CodePath.h"
#include "lowbit/Numerics/Defect.h"
#include "lowbit/Numerics/IntegerFormat.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace lowbit {

/// Codes, scales and zero points of a tile. Arrays always hold 16 rows; rows
/// that do not exist have code, scale and zero point 0, as Spec section 2 pads.
struct IntegerTile {
  IntegerFormat format;
  /// Rows that exist, 1 … 16.
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t groups = 0;
  /// F; 1 where the format has none.
  float factor = 1.0f;
  /// c, [16][columns].
  std::vector<uint8_t> codes;
  /// Scales as stored, [16][groups]: f16 bits, or E4M3 in the low byte.
  std::vector<uint16_t> scaleBits;
  /// The same scales as numbers, without F, [16][groups].
  std::vector<float> scales;
  /// Zero points, [16][groups] (`stored`), else empty.
  std::vector<uint8_t> zeros;
  /// Levels, [16][groups][4] (Element::Free), else empty.
  std::vector<int8_t> levels;
  /// Groups that are not all zero but whose scale rounded to 0, so that they
  /// decode to zeros. Counted by solvers for the ledger; not stored.
  int64_t vanishedGroups = 0;

  /// Sizes the arrays for `columns` columns and fills them with 0. Keeps memory
  /// that it has. The format must be valid, rows in 1 … 16, columns ≥ 1.
  void reset(const IntegerFormat &newFormat, int64_t newRows,
             int64_t newColumns);

  /// The four levels of a group of a row.
  int8_t *groupLevels(int64_t row, int64_t group) {
    return levels.data() +
           static_cast<size_t>((row * groups + group) * freeLevels);
  }
  const int8_t *groupLevels(int64_t row, int64_t group) const {
    return const_cast<IntegerTile *>(this)->groupLevels(row, group);
  }

  /// z of group `group` of row `row`: 2^(b−1), 2^(b−1) − ½ or the stored one
  /// (over 256 where codes have one bit).
  float zero(int64_t row, int64_t group) const;
};

/// Bits of a stored zero point: those of a code, but 8 where codes have one:
/// then z is that over 256.
inline int zeroBits(const IntegerFormat &format) {
  return format.bits == 1 ? 8 : format.bits;
}

/// Stored zero points that count as one code.
inline int zerosPerCode(const IntegerFormat &format) {
  return format.bits == 1 ? 256 : 1;
}

/// Whether these bits are a scale: a number that is not NaN, infinite or
/// signed.
bool isScale(ScaleType type, uint16_t bits);

/// Value of the stored scale `bits`.
float scaleValue(ScaleType type, uint16_t bits);

/// Codes, scales and zero points that come from a file (solver `given`).
struct GivenTile {
  /// [rows][columns], row-major.
  const uint8_t *codes = nullptr;
  /// [rows][groups], as stored (f16 bits, or E4M3 in the low byte).
  const uint16_t *scaleBits = nullptr;
  /// [rows][groups], read for offset `stored` only.
  const uint8_t *zeros = nullptr;
  /// F; must be 1 where the format has no factor.
  float factor = 1.0f;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t firstRow = 0;
  /// [rows][groups][4], read for Element::Free only.
  const int8_t *levels = nullptr;
};

/// Solver `given`: takes the numbers to the bit, or refuses the first code,
/// scale, zero point or factor that the format does not have.
std::optional<Defect> takeGiven(const IntegerFormat &format,
                                const GivenTile &given, IntegerTile &tile);

/// Decodes the rows that exist: ((float(c) − z) · s) · F, each step rounded to
/// f32 (Spec 3, Embedding), to values[r · stride + k].
void dequantize(const IntegerTile &tile, float *values, int64_t stride);

/// Error sums of one tile against the weights it was made from. `importance`
/// holds one h ≥ 0 per column, or is null.
ErrorSums measureError(const IntegerTile &tile, const TileInput &input,
                       const float *importance,
                       CodePath path = fastestCodePath());

} // namespace lowbit

#endif // LOWBIT_NUMERICS_INTEGERTILE_H
