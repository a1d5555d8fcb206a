//===- PackTile.cpp - From rows of the checkpoint to stored tiles ---------===//

#include "WeightJob.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/Packing.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>

using namespace lowbit;

namespace {

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

/// Index of the first element that is not finite, or -1; counts all of them.
int64_t findNonFinite(ElementType type, const uint8_t *elements, int64_t count,
                      int64_t &found) {
  int64_t first = -1;
  auto note = [&](int64_t i) {
    first = first < 0 ? i : first;
    ++found;
  };
  if (type == ElementType::F32) {
    for (int64_t i = 0; i < count; ++i) {
      uint32_t bits;
      std::memcpy(&bits, elements + 4 * i, 4);
      if ((bits & 0x7F800000u) == 0x7F800000u)
        note(i);
    }
    return first;
  }
  uint16_t exponent = type == ElementType::F16 ? 0x7C00 : 0x7F80;
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, elements + 2 * i, 2);
    if ((bits & exponent) == exponent)
      note(i);
  }
  return first;
}

/// Checks elements of rows from `firstRow` on; an error unless they may be
/// anything.
Status checkElements(const WeightJob &job, const uint8_t *elements,
                     int64_t firstRow, int64_t rowCount, BlockResult &result) {
  int64_t found = 0;
  int64_t first = findNonFinite(job.rows->type, elements,
                                rowCount * job.rows->columns, found);
  if (first < 0)
    return std::nullopt;
  result.nonfinite += found;
  if (job.allowNonfinite)
    return std::nullopt;
  Defect defect;
  defect.row = firstRow + first / job.rows->columns;
  defect.column = first % job.rows->columns;
  widenElements(job.rows->type, elements + first * elementSize(job.rows->type),
                1, &defect.value);
  return describeDefect(job, defect);
}

} // namespace

TileEncoder &TilePacker::encoderOf(const WeightJob &job) {
  if (encoderJob != &job) {
    EncoderOptions options = job.request.encoder;
    if (job.statistics)
      job.statistics->tell(options);
    encoder = job.format->makeEncoder(job.entry.columns, options);
    encoderJob = &job;
  }
  return *encoder;
}

TileInput TilePacker::readTile(const WeightJob &job, int64_t tileIndex,
                               BlockResult &result) {
  TileInput input;
  int64_t most = job.places.tileRows;
  input.firstRow = tileIndex * most;
  input.rows = std::min(most, job.entry.rows - input.firstRow);
  input.columns = input.stride = job.entry.columns;
  weights.resize(std::max<size_t>(weights.size(), most * input.columns));
  job.rows->readFloats(input.firstRow, input.rows, weights.data());
  if (job.allowNonfinite)
    for (int64_t i = 0; i < input.rows * input.columns; ++i)
      if (!isFiniteFloat(weights[i])) {
        weights[i] = 0;
        ++result.nonfinite;
      }
  input.weights = weights.data();
  // Weights that are not finite are left for the solver to report.
  if (job.kind == WeightJob::Kind::Encoded && job.statistics &&
      job.statistics->hasTarget() && !job.given &&
      std::all_of(weights.begin(), weights.begin() + input.rows * input.columns,
                  [](float w) { return isFiniteFloat(w); }))
    job.statistics->replaceByTarget(input, weights.data());
  return input;
}

Status TilePacker::scan(WeightJob &job, int64_t block) {
  auto start = std::chrono::steady_clock::now();
  BlockResult &result = job.results[block];
  BlockResult ignored; // Non-finite weights are counted when they are packed.
  int64_t first = block * job.blockTiles;
  int64_t last = std::min(job.places.tiles, first + job.blockTiles);
  for (int64_t i = first; i < last; ++i) {
    TileInput input = readTile(job, i, ignored);
    if (std::optional<Defect> defect = encoderOf(job).scan(input, result.scan))
      return describeDefect(job, *defect);
  }
  result.seconds += secondsSince(start);
  return std::nullopt;
}

Status TilePacker::packEncoded(const WeightJob &job, int64_t tileIndex,
                               uint8_t *out, BlockResult &result) {
  TileInput input = readTile(job, tileIndex, result);
  ErrorSums sums;
  std::optional<Defect> defect =
      job.given ? job.given->encode(input, job.importance(), out, sums)
                : encoderOf(job).encode(input, job.facts, out, sums);
  if (defect)
    return describeDefect(job, *defect);
  if (job.statistics && job.statistics->hasMoments())
    measureOutput(job, input, out, sums);
  result.sums.add(sums);
  return std::nullopt;
}

/// Output error and energy through all of H instead of its diagonal.
void TilePacker::measureOutput(const WeightJob &job, const TileInput &input,
                               const uint8_t *bytes, ErrorSums &sums) {
  decoded.resize(std::max<size_t>(decoded.size(), input.rows * input.columns));
  std::optional<Defect> defect =
      job.format->decode(bytes, input.rows, input.columns, input.firstRow,
                         job.facts, decoded.data());
  assert(!defect && "what was encoded can be decoded");
  (void)defect;
  for (int64_t i = 0; i < input.rows * input.columns; ++i)
    decoded[i] = input.weights[i] - decoded[i];
  TileInput error = input;
  error.weights = decoded.data();
  sums.weightedError = job.statistics->outputEnergy(error);
  sums.weightedEnergy = job.statistics->outputEnergy(input);
}

Status TilePacker::packFloats(const WeightJob &job, int64_t tileIndex,
                              uint8_t *out, BlockResult &result) {
  int64_t firstRow = tileIndex * tileRows;
  int64_t rowCount = std::min(tileRows, job.entry.rows - firstRow);
  elements.resize(
      std::max<size_t>(elements.size(), tileRows * job.entry.columns *
                                            elementSize(job.rows->type)));
  job.rows->readElements(firstRow, rowCount, elements.data());
  if (Status status =
          checkElements(job, elements.data(), firstRow, rowCount, result))
    return status;
  packFloatTile(job.rows->type, elements.data(), job.entry.columns, rowCount,
                job.entry.columns, out);
  return std::nullopt;
}

Status TilePacker::packVector(const WeightJob &job, uint8_t *out,
                              BlockResult &result) {
  job.rows->readElements(0, job.entry.rows, out);
  std::memset(out + job.entry.payload, 0, job.entry.padding);
  return checkElements(job, out, 0, job.entry.rows, result);
}

Status TilePacker::packTiles(const WeightJob &job, int64_t firstTile,
                             int64_t count, uint8_t *out, BlockResult &result) {
  for (int64_t i = 0; i < count; ++i) {
    uint8_t *at = out + i * job.places.tileBytes;
    Status status = job.kind == WeightJob::Kind::Encoded
                        ? packEncoded(job, firstTile + i, at, result)
                        : packFloats(job, firstTile + i, at, result);
    if (status)
      return status;
  }
  return std::nullopt;
}

Status TilePacker::pack(WeightJob &job, int64_t block, uint8_t *out) {
  auto start = std::chrono::steady_clock::now();
  BlockResult &result = job.results[block];
  Status status;
  if (job.kind == WeightJob::Kind::Copied) {
    int64_t first = block * copyBlockBytes;
    int64_t count = std::min(copyBlockBytes, job.entry.bytes - first);
    // The last bytes may be padding, which the source does not have.
    int64_t have = std::clamp<int64_t>(
        static_cast<int64_t>(job.copied.size) - first, 0, count);
    std::memcpy(out + first, job.copied.data + first, have);
    std::memset(out + first + have, 0, count - have);
  } else if (job.kind == WeightJob::Kind::Vector) {
    status = packVector(job, out, result);
  } else {
    int64_t first = block * job.blockTiles;
    int64_t count = std::min(job.blockTiles, job.places.tiles - first);
    status = packTiles(job, first, count, out + first * job.places.tileBytes,
                       result);
  }
  result.seconds += secondsSince(start);
  return status;
}
