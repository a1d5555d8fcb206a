//===- IntegerTile.cpp - 16 rows of codes, scales, zero points --*- C++ -*-===//
//
// Given numbers in, decoded numbers and error sums out.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/IntegerTile.h"

#include "GroupKernels.h"
#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <cassert>

namespace lowbit {

bool isScale(ScaleType type, uint16_t bits) {
  switch (type) {
  case ScaleType::F16:
    return isScaleF16(bits);
  case ScaleType::E4M3:
    return bits <= 0xFF && isScaleE4M3(static_cast<uint8_t>(bits));
  case ScaleType::E8M0:
    return bits < 0xFF;
  }
  return false;
}

float scaleValue(ScaleType type, uint16_t bits) {
  switch (type) {
  case ScaleType::F16:
    return f16ToFloat(bits);
  case ScaleType::E4M3:
    return e4m3ToFloat(static_cast<uint8_t>(bits));
  case ScaleType::E8M0:
    return e8m0ToFloat(static_cast<uint8_t>(bits));
  }
  return 0;
}

void IntegerTile::reset(const IntegerFormat &newFormat, int64_t newRows,
                        int64_t newColumns) {
  assert(!whyInvalid(newFormat) && newRows >= 1 && newRows <= tileRows &&
         newColumns >= 1);
  format = newFormat;
  rows = newRows;
  columns = newColumns;
  groups = groupCount(format, columns);
  factor = 1.0f;
  vanishedGroups = 0;
  codes.assign(static_cast<size_t>(tileRows * columns), 0);
  scaleBits.assign(static_cast<size_t>(tileRows * groups), 0);
  scales.assign(static_cast<size_t>(tileRows * groups), 0.0f);
  bool stored = format.offset == Offset::Stored;
  zeros.assign(static_cast<size_t>(stored ? tileRows * groups : 0), 0);
  bool isFree = format.element == Element::Free;
  levels.assign(
      static_cast<size_t>(isFree ? tileRows * groups * freeLevels : 0), 0);
}

float IntegerTile::zero(int64_t row, int64_t group) const {
  assert(format.element == Element::Integer && "tables have no zero point");
  float middle = static_cast<float>(format.codes() / 2);
  switch (format.offset) {
  case Offset::Integer:
    return middle;
  case Offset::Half:
    return middle - 0.5f;
  case Offset::Stored:
    return static_cast<float>(
               zeros[static_cast<size_t>(row * groups + group)]) /
           static_cast<float>(zerosPerCode(format));
  }
  return middle;
}

/// Takes scale and zero point of one group.
static std::optional<Defect> takeGroup(const GivenTile &given, int64_t row,
                                       int64_t group, int64_t firstColumn,
                                       IntegerTile &tile) {
  size_t at = static_cast<size_t>(row * tile.groups + group);
  uint16_t bits = given.scaleBits[at];
  if (!isScale(tile.format.scale, bits))
    return defectAt(Defect::Kind::BadScale, given.firstRow + row, firstColumn,
                    scaleValue(tile.format.scale, bits));
  tile.scaleBits[at] = bits;
  tile.scales[at] = scaleValue(tile.format.scale, bits);
  if (tile.format.element == Element::Free)
    std::copy_n(given.levels + at * freeLevels, freeLevels,
                tile.groupLevels(row, group));
  if (tile.format.offset != Offset::Stored)
    return std::nullopt;
  if (given.zeros[at] >= 1 << zeroBits(tile.format))
    return defectAt(Defect::Kind::BadZero, given.firstRow + row, firstColumn,
                    given.zeros[at]);
  tile.zeros[at] = given.zeros[at];
  return std::nullopt;
}

std::optional<Defect> takeGiven(const IntegerFormat &format,
                                const GivenTile &given, IntegerTile &tile) {
  bool usable = isFiniteFloat(given.factor) && given.factor > 0;
  if (!usable || (!format.hasFactor() && given.factor != 1.0f))
    return defectAt(Defect::Kind::BadFactor, -1, -1, given.factor);
  tile.reset(format, given.rows, given.columns);
  tile.factor = given.factor;
  int64_t width = groupColumns(format, given.columns);
  for (int64_t row = 0; row < given.rows; ++row) {
    for (int64_t group = 0; group < tile.groups; ++group)
      if (std::optional<Defect> defect =
              takeGroup(given, row, group, group * width, tile))
        return defect;
    const uint8_t *codes = given.codes + row * given.columns;
    for (int64_t k = 0; k < given.columns; ++k)
      if (format.element == Element::Integer ? codes[k] >= format.codes()
                                             : !format.isNumber(codes[k]))
        return defectAt(Defect::Kind::BadCode, given.firstRow + row, k,
                        codes[k]);
    std::copy(codes, codes + given.columns,
              tile.codes.begin() + row * given.columns);
  }
  return std::nullopt;
}

void dequantize(const IntegerTile &tile, float *values, int64_t stride) {
  int64_t width = groupColumns(tile.format, tile.columns);
  for (int64_t row = 0; row < tile.rows; ++row) {
    const uint8_t *codes = tile.codes.data() + row * tile.columns;
    for (int64_t group = 0; group < tile.groups; ++group) {
      float zero = tile.zero(row, group);
      float scale = tile.scales[static_cast<size_t>(row * tile.groups + group)];
      int64_t begin = group * width;
      int64_t end = std::min(begin + width, tile.columns);
      for (int64_t k = begin; k < end; ++k)
        values[row * stride + k] =
            ((static_cast<float>(codes[k]) - zero) * scale) * tile.factor;
    }
  }
}

ErrorSums measureError(const IntegerTile &tile, const TileInput &input,
                       const float *importance, CodePath path) {
  assert(input.rows == tile.rows && input.columns == tile.columns);
  const GroupKernels &kernels = groupKernels(path);
  int64_t width = groupColumns(tile.format, tile.columns);
  ErrorLanes lanes;
  for (int64_t row = 0; row < tile.rows; ++row) {
    const float *weights = input.weights + row * input.stride;
    const uint8_t *codes = tile.codes.data() + row * tile.columns;
    for (int64_t group = 0; group < tile.groups; ++group) {
      int64_t begin = group * width;
      int64_t count = std::min(width, tile.columns - begin);
      float scale = tile.scales[static_cast<size_t>(row * tile.groups + group)];
      CodedGroup coded = {codes + begin, tile.zero(row, group), scale,
                          tile.factor};
      kernels.addErrors(weights + begin,
                        importance ? importance + begin : nullptr, count, coded,
                        lanes);
    }
  }
  double sums[4];
  for (int i = 0; i < 4; ++i) {
    for (int half = errorLanes / 2; half >= 1; half /= 2)
      for (int lane = 0; lane < half; ++lane)
        lanes.sums[i][lane] += lanes.sums[i][lane + half];
    sums[i] = lanes.sums[i][0];
  }
  return {sums[0], sums[1], sums[2], sums[3]};
}

} // namespace lowbit
