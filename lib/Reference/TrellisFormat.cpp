//===- TrellisFormat.cpp - Decode trellis codes -----------------*- C++ -*-===//
//
// Spec.md, sections 1.3 and 2, for one number at a time.
//
//===----------------------------------------------------------------------===//

#include "Elements.h"
#include "StoredWeights.h"

#include "lowbit/Checkpoint/Message.h"

#include <cmath>
#include <string>

using namespace lowbit;
using namespace lowbit::reference;

namespace {

/// A string of bits with zeros on both sides.
struct Strand {
  const uint8_t *bytes;
  int64_t vectors;

  int bit(int64_t position) const {
    if (position < 0 || position >= 512 * vectors)
      return 0;
    return bytes[position / 8] >> (position % 8) & 1;
  }
  /// Six of them.
  int bits(int64_t position) const {
    int value = 0;
    for (int i = 0; i < 6; ++i)
      value |= bit(position + i) << i;
    return value;
  }
};

/// One stream of a tile: where its strands and scales are.
struct StreamPlace {
  int64_t weightsPerStep;
  int64_t codes, scales, end;

  StreamPlace(int64_t start, int64_t weightsPerStep, int64_t rows,
              int64_t strandBytes)
      : weightsPerStep(weightsPerStep), codes(start),
        scales(codes + rows / (64 * weightsPerStep) * strandBytes),
        end(scales + 2 * rows) {}
};

} // namespace

/// The code of a stream: V, mask and tables.
struct Code {
  int64_t weightsPerStep;
  int mask;
  llvm::ArrayRef<int8_t> table;
};

/// T of row `row` of the tile, column `k`.
static int numberAt(const Code &code, const uint8_t *codes, int64_t vectors,
                    int64_t row, int64_t k) {
  int64_t v = code.weightsPerStep;
  Strand strand = {codes + row / (64 * v) * (64 * vectors), vectors};
  int64_t u = row % (64 * v) / 64, j = row % 64 / 16, r = row % 16;
  int64_t t = k / 4, b = k % 4;
  static constexpr int64_t offsets[4] = {0, 2, 4, -2};
  int64_t p = 512 * t + 32 * r + 8 * b + offsets[j];
  int c = strand.bits(p) ^ (code.mask & strand.bits(p + 8));
  if (r % 2 == 1 && b == 3 && j == 2)
    c &= 15;
  if (r % 2 == 0 && b == 0 && j == 3)
    c &= 60;
  return code.table[64 * u + c];
}

Result<Weight> reference::decodeTrellisTiles(mlir::RankedTensorType type,
                                             Bytes bytes,
                                             llvm::StringRef name) {
  auto format = llvm::cast<TrellisAttr>(type.getEncoding());
  Weight weight = shapedWeight(type);
  llvm::ArrayRef<int64_t> streams = format.getStreams();
  int64_t vectors = (weight.columns + 3) / 4;
  int64_t tileRows = 64 * streams.back();
  llvm::SmallVector<StreamPlace> places;
  int64_t tileBytes = 0;
  for (int64_t v : streams) {
    places.emplace_back(tileBytes, v, tileRows, 64 * vectors);
    tileBytes = places.back().end;
  }
  int64_t tiles = (weight.rows + tileRows - 1) / tileRows;
  if (Status status = checkSize(bytes, tiles * tileBytes, name))
    return *status;
  for (size_t i = 0; i < streams.size(); ++i) {
    Code code = {streams[i], format.getMask(i), format.getTable(i)};
    IntegerSteps steps;
    steps.wholeRow = true;
    steps.group = weight.columns;
    steps.groups = 1;
    steps.steps.resize(weight.rows * weight.columns);
    steps.scales.resize(weight.rows);
    for (int64_t row = 0; row < weight.rows; ++row) {
      const uint8_t *tile = bytes.data + row / tileRows * tileBytes;
      int64_t inTile = row % tileRows;
      float scale = decodeF16(load16(tile + places[i].scales + 2 * inTile));
      if (Status status = checkScale(scale, name,
                                     "row " + std::to_string(row) +
                                         ", stream " + std::to_string(i)))
        return *status;
      steps.scales[row] = scale;
      for (int64_t k = 0; k < weight.columns; ++k)
        steps.steps[row * weight.columns + k] = static_cast<int16_t>(
            numberAt(code, tile + places[i].codes, vectors, inTile, k));
    }
    if (i == 0)
      weight.integers = std::move(steps);
    else
      weight.refinements.push_back(std::move(steps));
  }
  return weight;
}
