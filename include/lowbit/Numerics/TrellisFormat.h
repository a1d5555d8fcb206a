//===- TrellisFormat.h - Trellis codes: sizes and places --------*- C++ -*-===//
//
// The one place where the size of a trellis-coded tensor and the place of each
// of its bits are computed (Spec.md, 1.3 and 2).
//
//   TrellisFormat format = {{1}, 12};           // trellis2
//   trellisGeometry(format, 64, 4096)->bytes == 64 * 4096 / 4 + 64 * 2
//
// All arithmetic is checked: what does not fit int64_t gives no value.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_TRELLISFORMAT_H
#define LOWBIT_NUMERICS_TRELLISFORMAT_H

#include "lowbit/Numerics/TrellisTables.h"
#include "lowbit/Numerics/WeightFormat.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace lowbit {

/// `#lowbit.trellis<…>` of Spec 1.3.
struct TrellisFormat {
  /// V of each stream; the numbers of the streams are added.
  std::vector<int> streams = {1};
  /// Window of all streams: 12 or 10 bits.
  int window = 12;

  /// Rows of a tile: 64 · the largest V.
  int64_t tileRows() const;
  /// The code of stream `i`; the format must be valid.
  const TrellisCode &code(size_t i) const;
};

/// Most streams of a format.
constexpr size_t maxTrellisStreams = 4;
/// Columns of a vector of 64 bytes.
constexpr int64_t trellisColumns = 4;

/// Null where the format is valid; else a sentence that names field and limit.
const char *whyInvalid(const TrellisFormat &format);

/// Where everything lies in the buffer of an N × K tensor.
struct TrellisGeometry {
  /// A stream within a tile: `strands` strings of `strandBytes`, one after the
  /// other from `codes` on, then a scale for each row of the tile at `scales`.
  struct Stream {
    /// V; a strand covers 64 · V rows.
    int64_t weightsPerStep = 1;
    int64_t strands = 1;
    int64_t codes = 0;
    int64_t scales = 0;
  };

  int64_t tileRows = 0;
  /// Vectors of a strand: ceil(K / 4), and its bytes.
  int64_t vectors = 0;
  int64_t strandBytes = 0;
  std::vector<Stream> streams;
  /// Tile t starts at t · tileBytes.
  int64_t tileBytes = 0;
  int64_t tiles = 0;
  /// tiles · tileBytes.
  int64_t bytes = 0;
};

/// Geometry of an N × K tensor. No value where the format is invalid, rows or
/// columns are below 1, or a size exceeds int64_t.
std::optional<TrellisGeometry> trellisGeometry(const TrellisFormat &format,
                                               int64_t rows, int64_t columns);

/// Size of an N × K tensor; the same conditions. The payload is what the rows
/// and columns that exist take at the format's rate, and their scales.
std::optional<StoredSize> storedSize(const TrellisFormat &format, int64_t rows,
                                     int64_t columns);

/// The format behind the interface of all formats; it must be valid.
FormatPtr makeTrellisFormat(const TrellisFormat &format);

/// Place of a step in a vector: step s gives row 64u + 16j + r, column b, for
/// u < V; its bits begin at bit 2 (s − 1) of the vector.
struct TrellisStep {
  int row;    ///< r < 16
  int group;  ///< j < 4
  int column; ///< b < 4
};
TrellisStep trellisStep(int step);

/// c of Spec 1.3 at `step` of vector `vector` of a strand of `vectors` vectors.
int trellisIndex(const TrellisCode &code, const uint8_t *strand,
                 int64_t vectors, int64_t vector, int step);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_TRELLISFORMAT_H
