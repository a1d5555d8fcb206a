//===- FormatTrial.cpp - One matrix through one solver ----------*- C++ -*-===//
#include "lowbit/Numerics/FormatTrial.h"

#include <algorithm>

namespace lowbit {

namespace {

/// The rows of a tile of the matrix.
TileInput tileOf(const TrialInput &input, const TilePlaces &places,
                 int64_t tile) {
  TileInput rows;
  rows.firstRow = tile * places.tileRows;
  rows.weights = input.weights + rows.firstRow * input.columns;
  rows.stride = rows.columns = input.columns;
  rows.rows = std::min(places.tileRows, input.rows - rows.firstRow);
  return rows;
}

double outputEnergy(const MomentsView &h, const TileInput &rows) {
  LaneRows lanes;
  lanes.load(rows);
  return quadraticForm(h, lanes);
}

/// Sums over the tiles of a trial, in order.
struct TrialSums {
  ErrorSums weights;
  double outputError = 0, outputEnergy = 0;
};

std::optional<Defect> addTile(const WeightFormat &format, TileEncoder &encoder,
                              const TensorFacts &facts, const TileInput &rows,
                              const MomentsView &judged, TrialSums &sums) {
  std::vector<uint8_t> bytes(
      static_cast<size_t>(format.places(rows.rows, rows.columns)->tileBytes));
  if (auto defect = encoder.encode(rows, facts, bytes.data(), sums.weights))
    return defect;
  std::vector<float> error(static_cast<size_t>(rows.rows * rows.columns));
  if (auto defect = format.decode(bytes.data(), rows.rows, rows.columns,
                                  rows.firstRow, facts, error.data()))
    return defect;
  for (size_t i = 0; i < error.size(); ++i)
    error[i] = rows.weights[i] - error[i];
  TileInput difference = rows;
  difference.weights = error.data();
  sums.outputError += outputEnergy(judged, difference);
  sums.outputEnergy += outputEnergy(judged, rows);
  return std::nullopt;
}

} // namespace

std::optional<Defect> tryFormat(const WeightFormat &format,
                                const std::string &solver,
                                const TrialInput &input, TrialResult &result) {
  EncoderOptions options;
  options.solver = solver;
  std::vector<float> diagonal;
  for (int64_t k = 0; k < input.columns; ++k)
    diagonal.push_back(input.seen.diagonal(k));
  options.importance = diagonal.data();
  FeedbackFactor factor;
  if (format.usesFeedback(solver)) {
    if (auto defect = FeedbackFactor::compute(
            input.seen, format.feedbackOrder(input.seen, options), options.damp,
            runInOrder, factor))
      return defect;
    options.factor = &factor;
  }
  auto encoder = format.makeEncoder(input.columns, options);
  TilePlaces places = *format.places(input.rows, input.columns);
  TensorScan scan;
  for (int64_t tile = 0; format.needsScan() && tile < places.tiles; ++tile)
    if (auto defect = encoder->scan(tileOf(input, places, tile), scan))
      return defect;
  TensorFacts facts = format.facts(scan);
  TrialSums sums;
  for (int64_t tile = 0; tile < places.tiles; ++tile)
    if (auto defect = addTile(format, *encoder, facts,
                              tileOf(input, places, tile), input.judged, sums))
      return defect;
  result.bits = completeBits(*format.storedSize(input.rows, input.columns),
                             input.rows, input.columns);
  result.weightError = sums.weights.error / sums.weights.energy;
  result.outputError = sums.outputError / sums.outputEnergy;
  return std::nullopt;
}

} // namespace lowbit
