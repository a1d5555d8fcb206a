//===- TrellisSearch.h - A tile of a trellis code in the making -*- C++ -*-===//
//
// Finds the bits of one tile, four columns at a time from the last to the
// first, for all rows and streams of the tile at once. The state of each strand
// carries over, so that the columns to the left may still change when those to
// the right are final: error feedback.
//
//   search.begin(scales);
//   for (int64_t t = vectors - 1; t >= 0; --t)
//     search.encode(t, targets of 4t … 4t + 3, those of 4t − 4 … 4t − 1,
//                   values);
//   search.write(tile);
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_TRELLISSEARCH_H
#define LOWBIT_LIB_NUMERICS_TRELLISSEARCH_H

#include "Viterbi.h"
#include "lowbit/Numerics/TrellisFormat.h"

#include <vector>

namespace lowbit {

/// Scratch memory of about 100 KB and the tile: one for each thread.
class TrellisSearch {
public:
  /// The format must be valid and columns ≥ 1; `path` one that the CPU has.
  TrellisSearch(const TrellisFormat &format, int64_t columns, CodePath path);

  /// Starts a tile. `scaleBits` are f16, [stream][row of the tile]; rows with
  /// scale 0 get any bits.
  void begin(const std::vector<uint16_t> &scaleBits);

  /// Encodes vector `t`; the last one first, then each to its left.
  /// `targets` and `before` (null where t is 0) are [4][rows of the tile], of
  /// this vector and of the one to its left as far as it is known. Columns and
  /// rows that do not exist are 0. Writes to values[4][rows] what the tile will
  /// decode to.
  void encode(int64_t t, const float *targets, const float *before,
              float *values);

  /// Entries of the tables of a stream, [4 · vectors][rows of the tile].
  const int8_t *entries(size_t stream) const { return numbers[stream].data(); }
  /// Replaces the scales (what begin says), the bits stay.
  void setScales(const std::vector<uint16_t> &scaleBits);
  /// The value that an entry of each stream stands for, as decoded.
  float value(int64_t row, int64_t column) const;

  /// Writes the tile.
  void write(uint8_t *tile) const;

  const TrellisGeometry &geometry() const { return places; }

private:
  void encodeStrand(size_t stream, int64_t strand, int64_t t, bool isFirst);

  /// Row within a strand, and place in [4][rows of the tile], of a number.
  struct NumberPlace {
    int row, index;
  };

  TrellisFormat format;
  TrellisGeometry places;
  CodePath path;
  ViterbiScratch scratch;
  ViterbiPath found;
  /// Tables as floats, by stream.
  std::vector<std::vector<float>> tables;
  /// The numbers of a vector in the order of the steps, by stream.
  std::vector<std::vector<NumberPlace>> numberPlaces;
  /// Scales as stored, as numbers and inverted (0 for 0), [stream][row].
  std::vector<uint16_t> stored;
  std::vector<float> scales, inverses;
  /// State at the first step of the vector that was encoded last, by stream and
  /// strand, and the codes.
  std::vector<std::vector<int>> states;
  std::vector<std::vector<uint8_t>> codes;
  std::vector<std::vector<int8_t>> numbers;
  /// What the streams so far leave to be coded, [4][rows], here and before.
  std::vector<float> rest, restBefore;
  std::vector<float> steps;
};

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_TRELLISSEARCH_H
