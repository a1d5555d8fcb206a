//===- IntegerFormat.cpp - Decode tiles of grouped codes --------*- C++ -*-===//
//
// Spec.md, section 2, for one element at a time.
//
//===----------------------------------------------------------------------===//

#include "Elements.h"
#include "GroupedFormat.h"

#include "lowbit/Checkpoint/Message.h"

#include <cmath>
#include <string>

using namespace lowbit;
using namespace lowbit::reference;

/// Columns of a block of codes, bytes of a block.
static int64_t columnsOfBlock(int64_t bits) {
  static constexpr int64_t columns[] = {0, 32, 16, 32, 8, 32, 16, 32, 4};
  return columns[bits];
}
static int64_t bytesOfBlock(int64_t bits) {
  return columnsOfBlock(bits) * 16 * bits / 8;
}

/// The code of column k (counted in the block) of a row of the tile: a digit
/// from each plane, from the most significant one on.
static int codeInBlock(const uint8_t *block, int64_t bits, int64_t row,
                       int64_t k) {
  int code = 0;
  int64_t rest = bits;
  for (int64_t width : {8, 4, 2, 1}) {
    if (width > rest)
      continue;
    rest -= width;
    int64_t perVector = 32 / width;
    const uint8_t *vector = block + k / perVector * 64;
    int64_t inVector = k % perVector;
    int byte = vector[row * 4 + inVector % 4];
    int digit = byte >> (inVector / 4 * width) & ((1 << width) - 1);
    code |= digit << rest;
    block += columnsOfBlock(bits) / perVector * 64;
  }
  return code;
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
  GroupParts(const GroupedFormat &format, int64_t columns) {
    int64_t block = columnsOfBlock(format.bits);
    // With levels of its own a group is a whole block, behind its levels.
    levels = format.isFree ? 64 : 0;
    if (format.isFree)
      columns = format.group;
    codes = levels + (columns + block - 1) / block * bytesOfBlock(format.bits);
    scales = 16 * format.scaleBytes();
    zeros = format.hasZeros() ? 2 * format.zeroBits() : 0;
  }
  int64_t bytes() const { return codes + scales + zeros; }

  /// Bytes; those of the levels are the first of the codes.
  int64_t levels, codes, scales, zeros;
};
} // namespace

/// Reads one row of one group, which starts at `bytes`. Returns the first code
/// that the format does not have, or −1.
static int decodeRow(const GroupedFormat &format, const uint8_t *bytes,
                     int64_t rowInTile, int64_t columns, int16_t *steps,
                     float &scale) {
  int64_t bits = format.bits;
  GroupParts parts(format, columns);
  const uint8_t *scales = bytes + parts.codes;
  scale = format.decodeScale(scales + format.scaleBytes() * rowInTile);
  int zero = parts.zeros ? zeroPoint(scales + parts.scales, format.zeroBits(),
                                     rowInTile)
                         : 0;
  int64_t block = columnsOfBlock(bits);
  for (int64_t k = 0; k < columns; ++k) {
    const uint8_t *codes = bytes + parts.levels;
    int code = codeInBlock(codes + k / block * bytesOfBlock(bits), bits,
                           rowInTile, k % block);
    if (!format.isKnown(code))
      return code;
    steps[k] = format.isFree ? static_cast<int8_t>(bytes[4 * rowInTile + code])
                             : format.step(code, zero);
  }
  return -1;
}

Result<Weight> reference::decodeIntegerTiles(mlir::RankedTensorType type,
                                             Bytes bytes,
                                             llvm::StringRef name) {
  GroupedFormat format = GroupedFormat::get(getFormat(type));
  Weight weight = shapedWeight(type);
  IntegerSteps steps = format.emptySteps(weight.rows, weight.columns);

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
      std::string place =
          "row " + std::to_string(row) + ", group " + std::to_string(group);
      int unknown = decodeRow(
          format, start, row % 16,
          group + 1 < steps.groups ? steps.group : lastColumns,
          &steps.steps[row * weight.columns + group * steps.group], scale);
      if (unknown >= 0)
        return badInput(name.str(), "code in " + place,
                        "is " + std::to_string(unknown) +
                            ", which stands for no number");
      if (Status status = checkScale(scale, name, place))
        return *status;
    }
  format.fill(weight, std::move(steps));
  return weight;
}
