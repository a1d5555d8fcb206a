//===- JobStatistics.cpp - What a tensor's solver needs to know -----------===//

#include "JobStatistics.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>

using namespace lowbit;

Result<JobStatistics> JobStatistics::load(const InputStatistics &statistics,
                                          const StatisticsRequest &request,
                                          const ParallelLoop &loop) {
  JobStatistics result;
  const WeightInput &input = request.input;
  if (input.hasMoments(statistics)) {
    auto moments = input.moments(statistics);
    if (!moments)
      return moments.error();
    if (*moments)
      result.moments = std::move(**moments);
  }
  if (!result.hasMoments()) {
    auto diagonal = input.diagonal(statistics);
    if (!diagonal)
      return diagonal.error();
    if (*diagonal)
      result.diagonal = std::move(**diagonal);
    return result;
  }
  result.diagonal.resize(input.columns());
  for (int64_t k = 0; k < input.columns(); ++k)
    result.diagonal[k] = result.moments[k * (k + 3) / 2];
  result.drift = input.drift(statistics);
  if (!request.usesFeedback() && !result.hasTarget())
    return result;
  FeedbackOrder order =
      request.usesFeedback()
          ? request.format->feedbackOrder(result.view(), request.encoder)
          : columnOrder(input.columns(), 1);
  result.factor.emplace();
  if (std::optional<Defect> defect =
          FeedbackFactor::compute(result.view(), std::move(order),
                                  request.encoder.damp, loop, *result.factor))
    return badInput("moments", input.tensors().front(), describe(*defect));
  return result;
}

JobStatistics JobStatistics::identity(const StatisticsRequest &request) {
  JobStatistics result;
  int64_t columns = request.input.columns();
  result.diagonal.assign(columns, 1.0f);
  result.moments.assign(columns * (columns + 1) / 2, 0.0f);
  for (int64_t k = 0; k < columns; ++k)
    result.moments[k * (k + 1) / 2 + k] = 1.0f;
  result.factor.emplace(FeedbackFactor::identity(
      request.format->feedbackOrder(result.view(), request.encoder)));
  return result;
}

void JobStatistics::tell(EncoderOptions &options) const {
  options.importance = importance();
  options.factor = factor ? &*factor : nullptr;
}

double JobStatistics::outputEnergy(const TileInput &rows) const {
  LaneRows lanes;
  lanes.load(rows);
  return quadraticForm(view(), lanes);
}

void JobStatistics::replaceByTarget(const TileInput &rows, float *out) const {
  LaneRows lanes;
  lanes.load(rows);
  CalibratedTarget(*factor, drift).solve(lanes);
  for (int64_t r = 0; r < rows.rows; ++r)
    for (int64_t k = 0; k < rows.columns; ++k)
      out[r * rows.stride + k] = lanes.column(k)[r];
}

int64_t JobStatistics::peakBytes(const InputStatistics &statistics,
                                 const StatisticsRequest &request) {
  int64_t columns = request.input.columns();
  int64_t diagonal = 4 * columns;
  if (!request.input.hasMoments(statistics))
    return diagonal;
  // H and the factor in f32; in f64, by tiles, what is being factored.
  return diagonal +
         std::max(8 * columns * columns, request.input.peakBytes(statistics));
}

double JobStatistics::factorSeconds(const StatisticsRequest &request) {
  auto columns = static_cast<double>(request.input.columns());
  return request.usesFeedback() ? columns * columns * columns / 3 * 2e-10 : 0;
}
