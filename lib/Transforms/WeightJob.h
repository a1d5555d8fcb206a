//===- WeightJob.h - One stored parameter in the making ---------*- C++ -*-===//
//
// Everything needed to make the bytes of one parameter, and the state of a run:
// the parameter is cut into blocks (a few tiles), which are packed in any order
// by any thread. A block's bytes and sums depend on nothing but the block.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_WEIGHTJOB_H
#define LOWBIT_LIB_TRANSFORMS_WEIGHTJOB_H

#include "GivenWeights.h"
#include "JobStatistics.h"
#include "lowbit/Analysis/WeightRows.h"
#include "lowbit/Numerics/WeightFormat.h"
#include "lowbit/Transforms/Materialize.h"

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

namespace lowbit {

/// What packing one block found.
struct BlockResult {
  ErrorSums sums;
  int64_t nonfinite = 0;
  double seconds = 0;
  TensorScan scan;
};

struct WeightJob {
  enum class Kind : uint8_t {
    /// The bytes exist already.
    Copied,
    /// Row-major elements.
    Vector,
    /// Tiles of elements.
    Floats,
    /// Tiles of a format.
    Encoded,
  };

  Kind kind = Kind::Copied;
  /// All that is known before packing.
  LedgerEntry entry;
  /// Bytes to copy (Copied), rows to read (the others).
  Bytes copied;
  std::unique_ptr<WeightRows> rows;
  std::vector<WeightLeaf> leaves;
  bool allowNonfinite = false;

  // Encoded only.
  FormatPtr format;
  std::optional<GivenWeights> given;
  /// What the tensor's solver needs to know, and from where (or null).
  StatisticsRequest request;
  const InputStatistics *source = nullptr;

  /// Blocks of `blockTiles` tiles (Copied: of copyBlockBytes bytes; Vector: one
  /// block).
  int64_t blocks = 1, blockTiles = 0;
  /// How many tiles there are, how large, and the trailer behind them.
  TilePlaces places;

  /// Facts of the tensor, found by looking at all blocks first.
  bool needsScan() const {
    return kind == Kind::Encoded && format->needsScan() && !given;
  }
  /// Whether statistics must be there before a block is looked at.
  bool needsStatistics() const { return source != nullptr; }
  /// Gets them; the errors of JobStatistics::load, and exit 4 where a solver
  /// with error feedback finds none.
  Status prepare(const ParallelLoop &loop);
  const float *importance() const {
    return statistics ? statistics->importance() : nullptr;
  }
  /// Weights of a block.
  int64_t blockWeights(int64_t block) const;
  int64_t weights() const { return entry.rows * entry.columns; }

  // State of a run.
  std::optional<JobStatistics> statistics;
  std::atomic<bool> prepared{false};
  TensorFacts facts;
  std::atomic<int64_t> scansLeft{0}, packsLeft{0};
  std::vector<BlockResult> results;
};

constexpr int64_t copyBlockBytes = int64_t(4) << 20;

/// Sets up the job of one parameter; the errors of Materializer::create.
Result<std::unique_ptr<WeightJob>>
makeWeightJob(const StoredParameter &parameter, ParameterBytes &bytes,
              const MaterializeOptions &options);

/// The buffers of one thread; they grow to the widest tensor and stay.
class TilePacker {
public:
  /// Looks at the tiles of a block (jobs that need a scan).
  Status scan(WeightJob &job, int64_t block);
  /// Writes the block's tiles into the parameter's bytes at `out`.
  Status pack(WeightJob &job, int64_t block, uint8_t *out);
  /// Writes the tiles firstTile … to `out`, which is where the first one goes;
  /// at most `count`.
  Status packTiles(const WeightJob &job, int64_t firstTile, int64_t count,
                   uint8_t *out, BlockResult &result);

private:
  Status packEncoded(const WeightJob &job, int64_t tileIndex, uint8_t *out,
                     BlockResult &result);
  Status packFloats(const WeightJob &job, int64_t tileIndex, uint8_t *out,
                    BlockResult &result);
  Status packVector(const WeightJob &job, uint8_t *out, BlockResult &result);
  TileInput readTile(const WeightJob &job, int64_t tileIndex,
                     BlockResult &result);
  TileEncoder &encoderOf(const WeightJob &job);

  void measureOutput(const WeightJob &job, const TileInput &input,
                     const uint8_t *bytes, ErrorSums &sums);

  std::vector<float> weights, decoded;
  std::vector<uint8_t> elements;
  std::unique_ptr<TileEncoder> encoder;
  const WeightJob *encoderJob = nullptr;
};

/// The error line of a number that cannot be stored: file, tensor, place.
Error describeDefect(const WeightJob &job, Defect defect);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_WEIGHTJOB_H
