//===- Solver.cpp - Choose scales, zero points and codes --------*- C++ -*-===//
//
// Nearest (Spec.md, section 1.1) and the weighted search over clip factors.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Solver.h"

#include "GroupKernels.h"
#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <cassert>

namespace lowbit {

/// Scale and zero point of one group, and how weights are rounded with them.
struct GroupChoice {
  uint16_t scaleBits = 0;
  float scale = 0;
  uint8_t zero = 0;
  Grid grid;
};

/// What stays the same while one group is solved.
struct GroupTask {
  const IntegerFormat &format;
  const GroupKernels &kernels;
  float factor;
  const float *weights;
  const float *importances;
  int64_t count;
  /// 2^-exponent(step of nearest), for GroupKernels::error.
  float unit;
};

float tensorFactor(float maximalScale) {
  float factor = maximalScale / maxE4M3;
  return factor > 0 ? factor : 1.0f;
}

/// Scale before division by F and rounding, for values in [minimum, maximum].
static float unroundedScale(const IntegerFormat &format, float minimum,
                            float maximum) {
  float half = static_cast<float>(format.codes() / 2);
  float amax = std::max(-minimum, maximum);
  switch (format.offset) {
  case Offset::Integer:
    return amax / (half - 1.0f);
  case Offset::Half:
    return amax / (half - 0.5f);
  case Offset::Stored:
    return (maximum - minimum) / static_cast<float>(format.codes() - 1);
  }
  return 0;
}

/// z of `stored`: clamp(rint(−minimum / scale), 0, 2^b − 1).
static uint8_t storedZero(const IntegerFormat &format, float minimum,
                          float scale) {
  float limit = static_cast<float>(format.codes() - 1);
  float zero = std::min(std::max(-minimum / scale, 0.0f), limit);
  return static_cast<uint8_t>(__builtin_elementwise_roundeven(zero));
}

/// The grid of a scale and a zero point. `lowest` is the smallest code used.
static Grid makeGrid(const IntegerFormat &format, float step, uint8_t zero,
                     int lowest) {
  int half = format.codes() / 2;
  Grid grid;
  grid.step = step;
  if (format.offset == Offset::Half) {
    grid.shift = -0.5f;
    grid.low = static_cast<float>(-half);
    grid.high = static_cast<float>(half - 1);
    grid.level = 0.5f;
    grid.base = half;
    return grid;
  }
  float z = format.offset == Offset::Integer ? static_cast<float>(half) : zero;
  grid.shift = z;
  grid.low = static_cast<float>(lowest);
  grid.high = static_cast<float>(format.codes() - 1);
  grid.level = -z;
  return grid;
}

/// Rounds a scale to its stored type. The result may be 0 or (f16) infinite.
static GroupChoice chooseScale(const IntegerFormat &format, float unrounded,
                               float factor, uint8_t zero, int lowest) {
  GroupChoice choice;
  choice.scaleBits = format.scale == ScaleType::F16
                         ? roundToF16(unrounded)
                         : roundToE4M3(unrounded / factor);
  choice.scale = scaleValue(format.scale, choice.scaleBits);
  choice.zero = zero;
  choice.grid = makeGrid(format, choice.scale * factor, zero, lowest);
  return choice;
}

/// 2^-exponent(step), within ±126; `step` is finite and above 0.
static float unitOf(float step) {
  int exponent = static_cast<int>(floatToBits(step) >> 23) - 127;
  exponent = std::min(std::max(exponent, -126), 126);
  return bitsToFloat(static_cast<uint32_t>(127 - exponent) << 23);
}

static std::vector<float> makeFactors(float first, float last, int count) {
  std::vector<float> factors;
  for (int i = 0; i < count; ++i)
    factors.push_back(first + (last - first) * static_cast<float>(i) /
                                  static_cast<float>(count - 1));
  return factors;
}

#ifdef EXPERIMENT
std::vector<float> gFactors;
const std::vector<float> &searchFactors(const IntegerFormat &format) { return gFactors; }
#else
const std::vector<float> &searchFactors(const IntegerFormat &format) {
  static std::vector<float> f = makeFactors(1.0f, 0.3f, 32);
  return f;
}
#endif

/// Keeps the better of `best` and one more candidate.
static void tryCandidate(const GroupTask &task, float unrounded, uint8_t zero,
                         GroupChoice &best, double &bestError) {
  GroupChoice choice =
      chooseScale(task.format, unrounded, task.factor, zero, 0);
  if (!(choice.grid.step > 0) || !isFiniteFloat(choice.grid.step))
    return;
  double error = task.kernels.error(task.weights, task.importances, task.count,
                                    choice.grid, task.unit);
  if (error < bestError) {
    best = choice;
    bestError = error;
  }
}

#ifdef EXPERIMENT
int gMode = 0;
#else
static int gMode = 0;
#endif
/// The search; `best` holds the choice of nearest when it starts.
static void searchGroup(const GroupTask &task, const GroupRange &range,
                        GroupChoice &best) {
  const std::vector<float> &factors = searchFactors(task.format);
  double bestError = task.kernels.error(task.weights, task.importances,
                                        task.count, best.grid, task.unit);
  float scale = unroundedScale(task.format, range.minimum, range.maximum);
  if (task.format.offset != Offset::Stored) {
    for (float factor : factors)
      tryCandidate(task, factor * scale, 0, best, bestError);
    return;
  }
  if (gMode == 0) {
  for (float factor : factors)
    for (int shift : {0, -1, 1}) {
      int z0 = storedZero(task.format, range.minimum, scale) + shift;
      if (z0 >= 0 && z0 < task.format.codes())
        tryCandidate(task, factor * scale, z0, best, bestError);
    }
  } else {
    float bestLow = 1, bestHigh = 1;
    auto tryEnds = [&](float lowFactor, float highFactor) {
      float low = lowFactor * range.minimum, high = highFactor * range.maximum;
      float s = unroundedScale(task.format, low, high);
      double before = bestError;
      tryCandidate(task, s, storedZero(task.format, low, s), best, bestError);
      if (bestError < before) { bestLow = lowFactor; bestHigh = highFactor; }
    };
    if (gMode == 9) { for (float a : factors) for (float b : factors) tryEnds(a, b); return; }
    for (float f : factors) tryEnds(f, f);
    for (int i = 0; i < gMode; ++i) {
      float h = bestHigh; for (float f : factors) tryEnds(f, h);
      float l = bestLow; for (float f : factors) tryEnds(l, f);
    }
  }
}

TileSolver::TileSolver(const IntegerFormat &format, int64_t columns,
                       SolverKind kind, const float *importance, CodePath path)
    : format(format), columns(columns), kind(kind), path(path) {
  assert(!whyInvalid(format) && columns >= 1);
  groupWidth = groupColumns(format, columns);
  groups = columns / groupWidth + (columns % groupWidth != 0);
  paddedWidth = (groupWidth + groupLanes - 1) / groupLanes * groupLanes;
  size_t padded = static_cast<size_t>(groups * paddedWidth);
  weights.assign(padded, 0.0f);
  importances.assign(padded, 0.0f);
  paddedCodes.assign(static_cast<size_t>(paddedWidth), 0);
  for (int64_t k = 0; k < columns; ++k) {
    float h = importance ? importance[k] : 1.0f;
    if ((!isFiniteFloat(h) || h < 0) && badImportance < 0) {
      badImportance = k;
      badImportanceValue = h;
    }
    importances[static_cast<size_t>(k / groupWidth * paddedWidth +
                                    k % groupWidth)] = h;
  }
}

void TileSolver::loadRow(const TileInput &input, int64_t row) {
  const float *source = input.weights + row * input.stride;
  for (int64_t group = 0; group < groups; ++group) {
    int64_t begin = group * groupWidth;
    int64_t end = std::min(begin + groupWidth, columns);
    std::copy(source + begin, source + end,
              weights.begin() + group * paddedWidth);
  }
}

/// The first weight of a tile that is not finite, and how many there are.
static Defect reportNonFinite(const TileInput &input) {
  Defect defect;
  defect.kind = Defect::Kind::NonFiniteWeight;
  defect.count = 0;
  for (int64_t row = 0; row < input.rows; ++row)
    for (int64_t k = 0; k < input.columns; ++k) {
      float value = input.weights[row * input.stride + k];
      if (isFiniteFloat(value))
        continue;
      if (defect.count++ == 0) {
        defect.row = input.firstRow + row;
        defect.column = k;
        defect.value = value;
      }
    }
  return defect;
}

static Defect reportOverflow(int64_t row, int64_t column, float scale) {
  Defect defect;
  defect.kind = Defect::Kind::ScaleOverflow;
  defect.row = row;
  defect.column = column;
  defect.value = scale;
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
        return reportOverflow(input.firstRow + row, group * groupWidth,
                              groupScale);
      scale = std::max(scale, groupScale);
    }
  }
  return std::nullopt;
}

std::optional<Defect> TileSolver::solve(const TileInput &input, float factor,
                                        IntegerTile &tile) {
  assert(input.columns == columns && input.rows >= 1 && input.rows <= tileRows);
  Defect defect;
  defect.value = badImportanceValue;
  defect.column = badImportance;
  defect.kind = Defect::Kind::BadImportance;
  if (badImportance >= 0)
    return defect;
  if (!isFiniteFloat(factor) || !(factor > 0) ||
      (!format.hasFactor() && factor != 1.0f)) {
    defect.kind = Defect::Kind::BadFactor;
    defect.value = factor;
    return defect;
  }
  tile.reset(format, input.rows, columns);
  tile.factor = factor;
  for (int64_t row = 0; row < input.rows; ++row) {
    loadRow(input, row);
    for (int64_t group = 0; group < groups; ++group)
      if (std::optional<Defect> found = solveGroup(input, row, group, tile))
        return found;
  }
  return std::nullopt;
}

std::optional<Defect> TileSolver::solveGroup(const TileInput &input,
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
    return reportOverflow(input.firstRow + row, begin, scale);

  size_t at = static_cast<size_t>(row * tile.groups + group);
  uint8_t *codes = tile.codes.data() + row * columns + begin;
  if (choice.grid.step > 0) {
    if (kind == SolverKind::Search) {
      GroupTask task = {format,
                        kernels,
                        tile.factor,
                        groupWeights,
                        importances.data() + group * paddedWidth,
                        paddedWidth,
                        unitOf(choice.grid.step)};
      searchGroup(task, range, choice);
    }
    kernels.codes(groupWeights, paddedWidth, choice.grid, paddedCodes.data());
    std::copy(paddedCodes.begin(), paddedCodes.begin() + count, codes);
  } else {
    uint8_t nearest = format.offset == Offset::Stored
                          ? zero
                          : static_cast<uint8_t>(format.codes() / 2);
    std::fill(codes, codes + count, nearest);
    choice.scaleBits = 0;
    choice.scale = 0;
    tile.vanishedGroups += range.minimum != 0 || range.maximum != 0;
  }
  tile.scaleBits[at] = choice.scaleBits;
  tile.scales[at] = choice.scale;
  if (format.offset == Offset::Stored)
    tile.zeros[at] = choice.zero;
  return std::nullopt;
}

} // namespace lowbit
