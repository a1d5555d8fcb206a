//===- ScaleSearch.cpp - The best of a list of scales -----------*- C++ -*-===//
//
// Candidates are compared 16 at a time in one walk over the group. The first of
// equal ones wins, so their order is part of the result.
//
//===----------------------------------------------------------------------===//
#include "ScaleSearch.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace lowbit {

/// Ratio of neighbouring coarse and fine factors: fine^9 is about coarse.
struct FactorRatios {
  float coarse;
  float fine;
};

static FactorRatios factorRatios(const IntegerFormat &format) {
  bool isRow = format.group == 0;
  switch (format.bits) {
  case 2:
    return isRow ? FactorRatios{0.80f, 0.9755f} : FactorRatios{0.84f, 0.9808f};
  case 3:
    return isRow ? FactorRatios{0.80f, 0.9755f} : FactorRatios{0.885f, 0.9865f};
  case 4:
    return isRow ? FactorRatios{0.84f, 0.9808f} : FactorRatios{0.91f, 0.9896f};
  case 5:
    return isRow ? FactorRatios{0.87f, 0.9846f} : FactorRatios{0.93f, 0.9920f};
  case 6:
    return isRow ? FactorRatios{0.90f, 0.9884f} : FactorRatios{0.95f, 0.9943f};
  case 7:
    return isRow ? FactorRatios{0.92f, 0.9908f} : FactorRatios{0.97f, 0.9966f};
  default:
    return isRow ? FactorRatios{0.93f, 0.9920f} : FactorRatios{0.98f, 0.9978f};
  }
}

SearchPlan searchPlan(const IntegerFormat &format) {
  FactorRatios ratios = factorRatios(format);
  SearchPlan plan;
  plan.coarse[0] = 1.0f;
  float factor = 1.1f;
  for (int i = 1; i < SearchPlan::candidates; ++i) {
    plan.coarse[i] = factor;
    factor = factor * ratios.coarse;
  }
  float down = 1.0f;
  float up = 1.0f;
  for (int i = 0; i < SearchPlan::candidates; i += 2) {
    down = down * ratios.fine;
    up = up / ratios.fine;
    plan.fine[i] = down;
    plan.fine[i + 1] = up;
  }
  return plan;
}

/// The best candidate so far.
struct BestCandidate {
  double error;
  float factor;
  int zero;
  float low;
};

/// Compares 16 candidates with zero point `zero` with the best. The first of
/// the batch has lowest code `firstLow`.
static void compareBatch(const GroupTask &task, float unrounded,
                         const float *factors, int zero, const Grid &grid,
                         float firstLow, BestCandidate &best) {
  bool stored = task.format.offset == Offset::Stored;
  CandidateBatch batch;
  batch.factors = factors;
  batch.unrounded = unrounded;
  batch.shift = stored ? static_cast<float>(zero) : grid.shift;
  batch.firstLow = firstLow;
  batch.low = grid.low;
  batch.high = grid.high;
  double errors[SearchPlan::candidates];
  task.kernels.errors(task.weights, task.importances, task.count, task.rounding,
                      batch, errors);
  for (int i = 0; i < SearchPlan::candidates; ++i)
    if (errors[i] < best.error)
      best = {errors[i], factors[i], zero, i == 0 ? firstLow : grid.low};
}

GroupChoice searchScale(const GroupTask &task, float unrounded,
                        const GroupChoice &nearest) {
  static_assert(SearchPlan::candidates == groupLanes, "one lane each");
  // All candidates but nearest use all codes, −2^(b−1) of `integer` included.
  Grid grid = nearest.grid;
  if (task.format.offset == Offset::Integer)
    grid.low = 0;
  float nearestLow = nearest.grid.low;
  BestCandidate best = {HUGE_VAL, 1.0f, nearest.zero, nearestLow};

  const float *coarse = task.plan.coarse.data();
  compareBatch(task, unrounded, coarse, nearest.zero, grid, nearestLow, best);
  if (task.format.offset == Offset::Stored) {
    if (nearest.zero > 0)
      compareBatch(task, unrounded, coarse, nearest.zero - 1, grid, grid.low,
                   best);
    if (nearest.zero < task.format.codes() - 1)
      compareBatch(task, unrounded, coarse, nearest.zero + 1, grid, grid.low,
                   best);
  }
  std::array<float, SearchPlan::candidates> fine;
  for (int i = 0; i < SearchPlan::candidates; ++i)
    fine[i] = best.factor * task.plan.fine[i];
  compareBatch(task, unrounded, fine.data(), best.zero, grid, grid.low, best);

  // Like the candidates: at most the largest f16 (E4M3 saturates by itself).
  float scale = best.factor * unrounded;
  if (task.format.scale == ScaleType::F16)
    scale = std::min(scale, task.rounding.largest);
  GroupChoice choice = chooseScale(task.format, scale, task.rounding.factor,
                                   static_cast<uint8_t>(best.zero), 0);
  choice.grid.low = best.low;
  return choice;
}

} // namespace lowbit
