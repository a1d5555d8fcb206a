//===- Solver.cpp - Choose scales, zero points and codes --------*- C++ -*-===//
//
// Nearest (Spec.md, section 1.1) and the weighted search over clip factors.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Solver.h"

#include "GroupKernels.h"
#include "GroupRounding.h"
#include "LevelSolver.h"
#include "ScaleSearch.h"
#include "TileDefects.h"
#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace lowbit {

float tensorFactor(float maximalScale) {
  float factor = maximalScale / maxE4M3;
  return factor > 0 ? factor : 1.0f;
}

TileSolver::TileSolver(const IntegerFormat &format, int64_t columns,
                       SolverKind kind, const float *importance, CodePath path)
    : format(format), columns(columns), kind(kind), path(path),
      plan(searchPlan(format)) {
  assert(!whyInvalid(format) && columns >= 1);
  groupWidth = groupColumns(format, columns);
  groups = groupCount(format, columns);
  paddedWidth = (groupWidth + groupLanes - 1) / groupLanes * groupLanes;
  size_t padded = static_cast<size_t>(groups * paddedWidth);
  weights.assign(padded, 0.0f);
  importances.assign(padded, 0.0f);
  paddedCodes.assign(static_cast<size_t>(paddedWidth), 0);
  badImportance = reportBadImportance(importance, columns);
  for (int64_t k = 0; k < columns; ++k)
    importances[static_cast<size_t>(k / groupWidth * paddedWidth +
                                    k % groupWidth)] =
        importance ? importance[k] : 1.0f;
}

TileSolver::~TileSolver() = default;

void TileSolver::loadRow(const TileInput &input, int64_t row) {
  const float *source = input.weights + row * input.stride;
  for (int64_t group = 0; group < groups; ++group) {
    int64_t begin = group * groupWidth;
    int64_t end = std::min(begin + groupWidth, columns);
    std::copy(source + begin, source + end,
              weights.begin() + group * paddedWidth);
  }
}

Defect reportOverflow(const IntegerFormat &format, int64_t row, int64_t group,
                      int64_t width, float scale) {
  Defect defect =
      defectAt(Defect::Kind::ScaleOverflow, row, group * width, scale);
  defect.group = group;
  defect.limit =
      format.hasFactor() ? std::numeric_limits<float>::max() : maxF16;
  return defect;
}

std::optional<Defect> TileSolver::maximalScale(const TileInput &input,
                                               float &scale) {
  assert(input.columns == columns && input.rows <= tileRows);
  const GroupKernels &kernels = groupKernels(path);
  scale = 0;
  for (int64_t row = 0; row < input.rows; ++row) {
    loadRow(input, row);
    for (int64_t group = 0; group < groups; ++group) {
      GroupRange range =
          kernels.range(weights.data() + group * paddedWidth, paddedWidth);
      if (!range.finite)
        return reportNonFinite(input);
      float groupScale = unroundedScale(format, range.minimum, range.maximum);
      if (!isFiniteFloat(groupScale))
        return reportOverflow(format, input.firstRow + row, group, groupWidth,
                              groupScale);
      scale = std::max(scale, groupScale);
    }
  }
  return std::nullopt;
}

std::optional<Defect> TileSolver::solve(const TileInput &input, float factor,
                                        IntegerTile &tile) {
  return chooseGroups(input, factor, /*takeCodes=*/true, tile);
}

std::optional<Defect> TileSolver::chooseScales(const TileInput &input,
                                               float factor,
                                               IntegerTile &tile) {
  return chooseGroups(input, factor, /*takeCodes=*/false, tile);
}

std::optional<Defect> TileSolver::chooseGroups(const TileInput &input,
                                               float factor, bool takeCodes,
                                               IntegerTile &tile) {
  assert(input.columns == columns && input.rows >= 1 && input.rows <= tileRows);
  if (badImportance)
    return badImportance;
  if (!isFiniteFloat(factor) || !(factor > 0) ||
      (!format.hasFactor() && factor != 1.0f))
    return defectAt(Defect::Kind::BadFactor, -1, -1, factor);
  tile.reset(format, input.rows, columns);
  tile.factor = factor;
  tileGrids.assign(static_cast<size_t>(tileRows * groups), Grid{});
  for (int64_t row = 0; row < input.rows; ++row) {
    loadRow(input, row);
    for (int64_t group = 0; group < groups; ++group) {
      if (std::optional<Defect> found = chooseGroup(input, row, group, tile))
        return found;
      if (takeCodes)
        storeCodes(row, group, tile);
    }
  }
  return std::nullopt;
}

void TileSolver::storeCodes(int64_t row, int64_t group, IntegerTile &tile) {
  int64_t begin = group * groupWidth;
  int64_t count = std::min(groupWidth, columns - begin);
  groupKernels(path).codes(weights.data() + group * paddedWidth, paddedWidth,
                           tileGrids[row * groups + group], paddedCodes.data());
  std::copy_n(paddedCodes.begin(), count,
              tile.codes.data() + row * columns + begin);
}

/// The grid of a group whose scale is 0: one code, whatever the weight.
static Grid singleCode(uint8_t code) {
  Grid grid;
  grid.step = 1;
  grid.low = grid.high = static_cast<float>(code);
  return grid;
}

GroupChoice TileSolver::fitLevelsOfGroup(const float *groupWeights,
                                         const float *h, int64_t count,
                                         float factor,
                                         const GroupChoice &nearest) const {
  double scale = 0;
  uint8_t zero = 0;
  if (format.offset == Offset::Half) {
    // The best a of ±a is the mean of |w|.
    double sum = 0;
    double total = 0;
    for (int64_t k = 0; k < count; ++k) {
      double weight = h[k];
      sum += weight * std::fabs(static_cast<double>(groupWeights[k]));
      total += weight;
    }
    scale = total > 0 ? 2 * (sum / total) : 0;
  } else {
    double levels[2];
    fitLevels(groupWeights, h, count, 2, levels);
    // z is from 0 to 255/256: zero lies between the levels.
    double low = std::min(levels[0], 0.0);
    double high = std::max(levels[1], 0.0);
    scale = high - low;
    if (scale > 0)
      zero = storedZero(format, static_cast<float>(low),
                        static_cast<float>(scale));
  }
  GroupChoice choice = chooseScale(format, static_cast<float>(scale), factor,
                                   zero, /*lowestCode=*/0);
  return choice.grid.step > 0 ? choice : nearest;
}

std::optional<Defect> TileSolver::chooseGroup(const TileInput &input,
                                              int64_t row, int64_t group,
                                              IntegerTile &tile) {
  const GroupKernels &kernels = groupKernels(path);
  const float *groupWeights = weights.data() + group * paddedWidth;
  int64_t begin = group * groupWidth;
  int64_t count = std::min(groupWidth, columns - begin);
  GroupRange range = kernels.range(groupWeights, paddedWidth);
  if (!range.finite)
    return reportNonFinite(input);
  float scale = unroundedScale(format, range.minimum, range.maximum);
  uint8_t zero = 0;
  if (format.offset == Offset::Stored && scale > 0)
    zero = storedZero(format, range.minimum, scale);
  // `integer` leaves −2^(b−1) to the search.
  int lowest = format.offset == Offset::Integer ? 1 : 0;
  GroupChoice choice = chooseScale(format, scale, tile.factor, zero, lowest);
  if (!isFiniteFloat(choice.grid.step))
    return reportOverflow(format, input.firstRow + row, group, groupWidth,
                          scale);

  size_t at = static_cast<size_t>(row * tile.groups + group);
  if (choice.grid.step > 0) {
    if (kind == SolverKind::Search && format.bits == 1) {
      choice = fitLevelsOfGroup(groupWeights,
                                importances.data() + group * paddedWidth, count,
                                tile.factor, choice);
    } else if (kind == SolverKind::Search) {
      GroupTask task = {format,       kernels,
                        plan,         scaleRounding(format, tile.factor),
                        groupWeights, importances.data() + group * paddedWidth,
                        count};
      choice = searchScale(task, scale, choice);
    }
  } else {
    auto nearest = static_cast<uint8_t>(format.codes() / 2);
    if (format.offset == Offset::Stored)
      nearest = format.bits == 1 ? zero > 128 : zero;
    choice.grid = singleCode(nearest);
    choice.scaleBits = 0;
    choice.scale = 0;
    tile.vanishedGroups += range.minimum != 0 || range.maximum != 0;
  }
  tileGrids[at] = choice.grid;
  tile.scaleBits[at] = choice.scaleBits;
  tile.scales[at] = choice.scale;
  if (format.offset == Offset::Stored)
    tile.zeros[at] = choice.zero;
  return std::nullopt;
}

} // namespace lowbit
