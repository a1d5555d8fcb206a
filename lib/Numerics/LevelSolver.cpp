//===- LevelSolver.cpp - Levels of each group, alternating ------*- C++ -*-===//
#include "LevelSolver.h"

#include "TileDefects.h"
#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace lowbit {

//===----------------------------------------------------------------------===//
// Fit
//===----------------------------------------------------------------------===//

namespace {

/// Turns after which a fit ends; few need as many.
constexpr int maxTurns = 30;

/// Sums of one level.
struct LevelSums {
  double h = 0;
  double hw = 0;
};

/// Index of the nearest of `count` ascending levels, the lower one on ties.
int nearestLevel(double w, const double *levels, int count) {
  int index = 0;
  for (int i = 1; i < count; ++i)
    index += w - levels[i - 1] > levels[i] - w;
  return index;
}

} // namespace

double fitLevels(const float *weights, const float *h, int64_t size, int count,
                 double *levels) {
  assert(count == 2 || count == 4);
  double sum = 0;
  double moment = 0;
  double total = 0;
  for (int64_t k = 0; k < size; ++k) {
    double w = weights[k];
    double hk = h[k];
    total += hk;
    sum += hk * w;
    moment += hk * (w * w);
  }
  double mean = total > 0 ? sum / total : 0;
  double deviation =
      total > 0 ? std::sqrt(std::max(moment / total - mean * mean, 0.0)) : 0;
  // Lloyd–Max for a Gaussian.
  static constexpr double two[] = {-0.79788, 0.79788};
  static constexpr double four[] = {-1.51042, -0.45278, 0.45278, 1.51042};
  for (int i = 0; i < count; ++i)
    levels[i] = mean + (count == 2 ? two : four)[i] * deviation;

  double error = moment;
  for (int turn = 0; turn < maxTurns; ++turn) {
    LevelSums sums[freeLevels];
    double now = 0;
    for (int64_t k = 0; k < size; ++k) {
      double w = weights[k];
      double hk = h[k];
      int i = nearestLevel(w, levels, count);
      now += hk * ((w - levels[i]) * (w - levels[i]));
      sums[i].h += hk;
      sums[i].hw += hk * w;
    }
    if (turn > 0 && !(now < error))
      return now;
    error = now;
    // A level without weights stays; means of neighbours stay in order.
    for (int i = 0; i < count; ++i)
      if (sums[i].h > 0)
        levels[i] = sums[i].hw / sums[i].h;
    std::sort(levels, levels + count);
  }
  return error;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

LevelSolver::LevelSolver(const IntegerFormat &format, int64_t columns,
                         const float *importance)
    : format(format), columns(columns) {
  assert(!whyInvalid(format) && format.element == Element::Free);
  badImportance = reportBadImportance(importance, columns);
  importances.resize(static_cast<size_t>(columns), 1.0f);
  if (importance)
    std::copy_n(importance, columns, importances.begin());
}

std::optional<Defect> LevelSolver::storeLevels(const double *levels,
                                               int64_t row, int64_t group,
                                               int64_t firstRow,
                                               IntegerTile &tile) {
  double magnitude =
      std::max(std::fabs(levels[0]), std::fabs(levels[freeLevels - 1]));
  auto scale = static_cast<float>(magnitude / largestFreeLevel);
  uint16_t bits =
      format.hasFactor() ? roundToE4M3(scale / tile.factor) : roundToF16(scale);
  float step = scaleValue(format.scale, bits) * tile.factor;
  if (!isScale(format.scale, bits) || !isFiniteFloat(step))
    return reportOverflow(format, firstRow + row, group, format.group, scale);
  auto at = static_cast<size_t>(row * tile.groups + group);
  Lanes &lanes = groupLanes[static_cast<size_t>(group)];
  bool isZero = step == 0;
  tile.vanishedGroups += isZero && magnitude != 0;
  tile.scaleBits[at] = isZero ? 0 : bits;
  tile.scales[at] = scaleValue(format.scale, tile.scaleBits[at]);
  int8_t *stored = tile.groupLevels(row, group);
  for (int i = 0; i < freeLevels; ++i) {
    constexpr double most = largestFreeLevel;
    double level =
        isZero ? 0
               : std::clamp(std::rint(levels[i] / static_cast<double>(step)),
                            -most, most);
    stored[i] = static_cast<int8_t>(level);
    float value = (static_cast<float>(level) * tile.scales[at]) * tile.factor;
    lanes.values[i][row] = value;
    if (i > 0)
      lanes.middles[i - 1][row] = (lanes.values[i - 1][row] + value) * 0.5f;
  }
  return std::nullopt;
}

std::optional<Defect> LevelSolver::chooseLevels(const TileInput &input,
                                                float factor,
                                                IntegerTile &tile) {
  if (badImportance)
    return badImportance;
  if (std::optional<Defect> found = reportNonFinite(input))
    return found;
  tile.reset(format, input.rows, columns);
  tile.factor = factor;
  groupLanes.assign(static_cast<size_t>(tile.groups), Lanes());
  for (int64_t row = 0; row < input.rows; ++row)
    for (int64_t group = 0; group < tile.groups; ++group) {
      int64_t begin = group * format.group;
      int64_t count = std::min(format.group, columns - begin);
      double levels[freeLevels];
      fitLevels(input.weights + row * input.stride + begin,
                importances.data() + begin, count, freeLevels, levels);
      if (std::optional<Defect> found =
              storeLevels(levels, row, group, input.firstRow, tile))
        return found;
    }
  return std::nullopt;
}

void LevelSolver::roundColumn(const Lanes &lanes, const float *weights,
                              uint8_t *codes) {
  for (int64_t row = 0; row < tileRows; ++row) {
    int code = 0;
    for (const float *middles : lanes.middles)
      code += weights[row] > middles[row];
    codes[row] = static_cast<uint8_t>(code);
  }
}

/// Rounds single columns to the levels that were fitted for a tile.
class LevelColumns final : public BlockQuantizer {
public:
  LevelColumns(const LevelSolver &solver, IntegerTile &tile)
      : solver(solver), tile(tile) {}

  void quantize(const FeedbackBlock &block, float *values) override {
    assert(block.count == 1 && block.lanes == tileRows);
    roundColumn(block.columns[0], block.targets, values);
  }
  /// Chooses the codes of a column; `values`, where not null, takes what they
  /// decode to.
  void roundColumn(int64_t column, const float *weights, float *values) {
    const LevelSolver::Lanes &lanes =
        solver.groupLanes[static_cast<size_t>(column / tile.format.group)];
    uint8_t codes[tileRows];
    LevelSolver::roundColumn(lanes, weights, codes);
    for (int64_t row = 0; row < tile.rows; ++row) {
      tile.codes[static_cast<size_t>(row * tile.columns + column)] = codes[row];
      if (values)
        values[row] = lanes.values[codes[row]][row];
    }
  }

private:
  const LevelSolver &solver;
  IntegerTile &tile;
};

std::optional<Defect> LevelSolver::solve(const TileInput &input, float factor,
                                         ErrorFeedback *feedback,
                                         IntegerTile &tile) {
  if (std::optional<Defect> defect = chooseLevels(input, factor, tile))
    return defect;
  rows.load(input);
  LevelColumns rounding(*this, tile);
  if (feedback)
    feedback->run(rows, rounding);
  else
    for (int64_t k = 0; k < columns; ++k)
      rounding.roundColumn(k, rows.column(k), nullptr);
  return std::nullopt;
}

} // namespace lowbit
