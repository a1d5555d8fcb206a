//===- TrellisTile.h - Rows to trellis codes and back -----------*- C++ -*-===//
//
// Encodes the rows of one tile, and decodes it. Scales are one per row and
// stream: that of a row's root mean square, times what the code is best for;
// once the bits are known, those that fit the row best.
//
// The bytes are the same on every CPU.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_TRELLISTILE_H
#define LOWBIT_NUMERICS_TRELLISTILE_H

#include "lowbit/Numerics/CodePath.h"
#include "lowbit/Numerics/Defect.h"
#include "lowbit/Numerics/ErrorFeedback.h"
#include "lowbit/Numerics/TrellisFormat.h"
#include "lowbit/Numerics/WeightFormat.h"

#include <memory>
#include <optional>

namespace lowbit {

class TrellisSearch;

/// Encodes tiles of one tensor. Holds scratch memory, of which the tile's
/// numbers are the largest part: one byte a weight and stream. Each thread has
/// its own.
class TrellisEncoder {
public:
  /// The format must be valid and columns ≥ 1; `path` one that the CPU has.
  TrellisEncoder(const TrellisFormat &format, int64_t columns,
                 CodePath path = fastestCodePath());
  ~TrellisEncoder();

  /// Writes the tile's bytes, or reports a weight that is not finite or a
  /// row's scale that f16 cannot hold (then the bytes are unspecified). `input`
  /// has at most tileRows() rows.
  std::optional<Defect> encode(const TileInput &input, uint8_t *tile);

  /// The same with error feedback: four columns at a time from the last to the
  /// first, the state of the code carried on. Scales stay those of the rows.
  /// `factor` is that of trellisOrder(columns).
  std::optional<Defect> encode(const TileInput &input,
                               const FeedbackFactor &factor, uint8_t *tile);

  /// Error sums of the tile that was encoded last, from `input`: one running
  /// sum, by rows, then by columns. `importance` holds one h ≥ 0 per column, or
  /// is null.
  ErrorSums measure(const TileInput &input, const float *importance) const;

private:
  std::optional<Defect> chooseScales(const TileInput &input);
  void fitScales(const TileInput &input);
  void loadVector(const TileInput &input, int64_t t, std::vector<float> &out);

  TrellisFormat format;
  CodePath path;
  std::unique_ptr<TrellisSearch> search;
  std::vector<uint16_t> scaleBits;
  std::vector<float> targets, before, values;
};

/// The order in which feedback goes through K columns.
inline FeedbackOrder trellisOrder(int64_t columns) {
  return reversedOrder(columns, trellisColumns);
}

/// Unpacks one stream of `rows` rows of a tile of `columns` columns: T and s.
/// Reports a scale that is not finite or signed; its row is counted from
/// `firstRow`.
std::optional<Defect> unpackTrellis(const TrellisFormat &format, size_t stream,
                                    const uint8_t *tile, int64_t rows,
                                    int64_t columns, int64_t firstRow,
                                    StepTile &out);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_TRELLISTILE_H
