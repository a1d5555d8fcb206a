//===- IntegerFormat.cpp - Decode grouped integers --------------*- C++ -*-===//
//
// Spec.md, sections 1.1 and 2, for one element at a time.
//
//===----------------------------------------------------------------------===//

#include "Elements.h"
#include "StoredWeights.h"

#include "lowbit/Checkpoint/Message.h"

#include <cmath>
#include <string>

using namespace lowbit;
using namespace lowbit::reference;

/// Columns of a block of codes, bytes of a block.
static int64_t columnsOfBlock(int64_t bits) {
  return bits == 2 ? 16 : bits == 3 ? 32 : bits == 4 ? 8 : 4;
}
static int64_t bytesOfBlock(int64_t bits) { return bits == 3 ? 192 : 64; }

/// `width` bits of byte b of lane `row` in a vector, from bit `first` on.
static int digit(const uint8_t *vector, int64_t row, int64_t b, int64_t first,
                 int width) {
  return (vector[row * 4 + b] >> first) & ((1 << width) - 1);
}

/// The code of column k (counted in the block) of a row of the tile.
static int codeInBlock(const uint8_t *block, int64_t bits, int64_t row,
                       int64_t k) {
  int64_t b = k % 4, j = k / 4;
  switch (bits) {
  case 2:
    return digit(block, row, b, 2 * j, 2);
  case 4:
    return digit(block, row, b, 4 * j, 4);
  case 8:
    return digit(block, row, b, 0, 8);
  default: {
    // Two vectors of c >> 1 (16 columns each), then one of c & 1.
    const uint8_t *high = block + (k / 16) * 64;
    const uint8_t *low = block + 128;
    int upper = digit(high, row, b, 2 * ((k % 16) / 4), 2);
    return 2 * upper + digit(low, row, b, j, 1);
  }
  }
}

/// The zero point of a row: b bits at bit row · b of a string of 2b bytes.
static int zeroPoint(const uint8_t *zeros, int64_t bits, int64_t row) {
  int value = 0;
  for (int64_t i = 0; i < bits; ++i) {
    int64_t bit = row * bits + i;
    value |= ((zeros[bit / 8] >> (bit % 8)) & 1) << i;
  }
  return value;
}

namespace {
/// Sizes of the parts of one group of `columns` columns, in bytes.
struct GroupParts {
  GroupParts(IntAttr format, int64_t columns) {
    int64_t block = columnsOfBlock(format.getBits());
    codes = (columns + block - 1) / block * bytesOfBlock(format.getBits());
    scales = format.getScale().isF16() ? 32 : 16;
    zeros = format.getOffset() == ZeroOffset::Stored ? 2 * format.getBits() : 0;
  }
  int64_t bytes() const { return codes + scales + zeros; }

  int64_t codes, scales, zeros;
};
} // namespace

IntegerSteps reference::emptySteps(IntAttr format, int64_t rows,
                                   int64_t columns) {
  IntegerSteps steps;
  steps.wholeRow = format.getGroup() == 0;
  steps.group = steps.wholeRow ? columns : format.getGroup();
  steps.groups = (columns + steps.group - 1) / steps.group;
  steps.unit = format.getOffset() == ZeroOffset::Half ? 0.5f : 1.0f;
  steps.hasFactor = !format.getScale().isF16();
  steps.steps.resize(rows * columns);
  steps.scales.resize(rows * steps.groups);
  return steps;
}

int16_t reference::stepOf(IntAttr format, int code, int zero) {
  int codes = 1 << format.getBits();
  switch (format.getOffset()) {
  case ZeroOffset::Integer:
    return static_cast<int16_t>(code - codes / 2);
  case ZeroOffset::Half:
    return static_cast<int16_t>(2 * code - (codes - 1));
  case ZeroOffset::Stored:
    break;
  }
  return static_cast<int16_t>(code - zero);
}

/// Reads one row of one group, which starts at `bytes`.
static void decodeRow(IntAttr format, const uint8_t *bytes, int64_t rowInTile,
                      int64_t columns, int16_t *steps, float &scale) {
  int64_t bits = format.getBits();
  GroupParts parts(format, columns);
  const uint8_t *scales = bytes + parts.codes;
  scale = format.getScale().isF16() ? decodeF16(load16(scales + 2 * rowInTile))
                                    : decodeE4M3(scales[rowInTile]);
  int zero =
      parts.zeros ? zeroPoint(scales + parts.scales, bits, rowInTile) : 0;
  int64_t block = columnsOfBlock(bits);
  for (int64_t k = 0; k < columns; ++k)
    steps[k] = stepOf(format,
                      codeInBlock(bytes + k / block * bytesOfBlock(bits), bits,
                                  rowInTile, k % block),
                      zero);
}

Result<Weight> reference::decodeIntegerTiles(mlir::RankedTensorType type,
                                             Bytes bytes,
                                             llvm::StringRef name) {
  auto format = llvm::cast<IntAttr>(type.getEncoding());
  Weight weight = shapedWeight(type);
  IntegerSteps steps = emptySteps(format, weight.rows, weight.columns);

  int64_t lastColumns = weight.columns - (steps.groups - 1) * steps.group;
  int64_t groupBytes = GroupParts(format, steps.group).bytes();
  int64_t tileBytes =
      (steps.groups - 1) * groupBytes + GroupParts(format, lastColumns).bytes();
  tileBytes = (tileBytes + 63) / 64 * 64;
  int64_t tiles = (weight.rows + 15) / 16;
  uint64_t size = tiles * tileBytes + (steps.hasFactor ? 64 : 0);
  if (Status status = checkSize(bytes, size, name))
    return *status;
  if (steps.hasFactor)
    steps.factor = loadF32(bytes.data + tiles * tileBytes);
  if (!(steps.factor > 0 && std::isfinite(steps.factor)))
    return badInput(name.str(), "factor",
                    "is " + std::to_string(steps.factor) +
                        ", must be positive and finite");

  for (int64_t row = 0; row < weight.rows; ++row)
    for (int64_t group = 0; group < steps.groups; ++group) {
      const uint8_t *start =
          bytes.data + row / 16 * tileBytes + group * groupBytes;
      float &scale = steps.scales[row * steps.groups + group];
      decodeRow(format, start, row % 16,
                group + 1 < steps.groups ? steps.group : lastColumns,
                &steps.steps[row * weight.columns + group * steps.group],
                scale);
      if (Status status = checkScale(scale, name,
                                     "row " + std::to_string(row) + ", group " +
                                         std::to_string(group)))
        return *status;
    }
  weight.integers = std::move(steps);
  return weight;
}
