//===- SearchTest.cpp ----------------------------------------- -*- C++ -*-===//
//
// The search against its own definition in plain loops, and its promises.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Solver.h"

#include "NaiveInteger.h"
#include <gtest/gtest.h>

using namespace lowbit;

static IntegerTile solve(const IntegerFormat &format, const TileInput &input,
                         SolverKind kind, const float *importance) {
  TileSolver solver(format, input.columns, kind, importance);
  IntegerTile tile;
  float factor = 1;
  if (format.hasFactor()) {
    EXPECT_FALSE(solver.maximalScale(input, factor));
    factor = tensorFactor(factor);
  }
  EXPECT_FALSE(solver.solve(input, factor, tile));
  return tile;
}

/// One candidate for a group.
struct Candidate {
  float factor;
  int zero;
  int lowest;
};

/// Its error, as GroupKernels::errors states, one operation after the other.
static double errorOf(const IntegerFormat &f, const float *w, const float *h,
                      int64_t count, float unrounded, float factor,
                      Candidate c) {
  int bits = naive::storeScale(f.scale, c.factor * unrounded / factor);
  float step = naive::loadScale(f.scale, bits) * factor;
  if (!(step >= 0x1p-126f))
    return HUGE_VAL;
  float half = std::ldexp(1.0f, f.bits - 1), inverse = 1.0f / step;
  bool isHalf = f.offset == Offset::Half;
  float shift = isHalf ? -0.5f : f.offset == Offset::Integer ? half : c.zero;
  float base = isHalf ? half : 0;
  double total = 0;
  float sum = 0;
  for (int64_t k = 0; k < count; ++k) {
    if (k % 512 == 0) {
      total += sum;
      sum = 0;
    }
    float t = w[k] * inverse + shift;
    float r = std::rint(naive::clamp(t, c.lowest - base, 2 * half - 1 - base));
    float e = t - r;
    sum = sum + (h ? h[k] : 1.0f) * e * e;
  }
  total += sum;
  return total * (static_cast<double>(step) * step);
}

/// The search of SearchPlan for one group, in plain loops.
static naive::Group searchNaive(const IntegerFormat &f, const float *w,
                                const float *h, int64_t count, float factor) {
  naive::Group group = naive::solveNearest(f, w, count, factor);
  naive::Range range = naive::rangeOf(w, count);
  float s = naive::unrounded(f, range);
  if (naive::loadScale(f.scale, group.scaleBits) * factor == 0)
    return group;
  SearchPlan plan = searchPlan(f);
  std::vector<Candidate> candidates = {
      {1.0f, group.zero, f.offset == Offset::Integer ? 1 : 0}};
  for (int i = 1; i < 16; ++i)
    candidates.push_back({plan.coarse[static_cast<size_t>(i)], group.zero, 0});
  if (f.offset == Offset::Stored)
    for (int zero : {group.zero - 1, group.zero + 1})
      for (float x : plan.coarse)
        if (zero >= 0 && zero < f.codes())
          candidates.push_back({x, zero, 0});
  Candidate best = candidates[0];
  double bestError = errorOf(f, w, h, count, s, factor, best);
  auto compare = [&](Candidate candidate) {
    double error = errorOf(f, w, h, count, s, factor, candidate);
    if (error < bestError) {
      bestError = error;
      best = candidate;
    }
  };
  for (const Candidate &candidate : candidates)
    compare(candidate);
  Candidate center = best;
  for (float x : plan.fine)
    compare({center.factor * x, center.zero, 0});
  group.scaleBits = naive::storeScale(f.scale, best.factor * s / factor);
  group.zero = best.zero;
  float step = naive::loadScale(f.scale, group.scaleBits) * factor;
  for (int64_t k = 0; k < count; ++k)
    group.codes[static_cast<size_t>(k)] =
        naive::code(f, w[k], step, best.zero, best.lowest);
  return group;
}

TEST(Search, EqualsPlainLoopsBitForBit) {
  unsigned seed = 50;
  for (const IntegerFormat &format : naive::allFormats())
    for (int64_t columns : naive::raggedColumns())
      for (bool weighted : {false, true}) {
        if (format.bits == 1)
          continue; // fitted: LevelSolverTest
        SCOPED_TRACE(naive::name(format) + " x " + std::to_string(columns));
        std::vector<float> w = naive::gaussian(3 * columns, ++seed);
        std::vector<float> h = naive::gaussian(columns, ++seed);
        for (float &x : h)
          x = x * x * 100;
        const float *importance = weighted ? h.data() : nullptr;
        TileInput input = {w.data(), columns, 3, columns, 0};
        IntegerTile tile = solve(format, input, SolverKind::Search, importance);
        int64_t width = format.group ? format.group : columns;
        for (int64_t row = 0; row < 3; ++row)
          for (int64_t g = 0; g < tile.groups; ++g) {
            int64_t begin = g * width, end = std::min(begin + width, columns);
            naive::Group expected =
                searchNaive(format, w.data() + row * columns + begin,
                            weighted ? h.data() + begin : nullptr, end - begin,
                            tile.factor);
            size_t at = static_cast<size_t>(row * tile.groups + g);
            ASSERT_EQ(tile.scaleBits[at], expected.scaleBits);
            if (format.offset == Offset::Stored) {
              ASSERT_EQ(tile.zeros[at], expected.zero);
            }
            for (int64_t k = begin; k < end; ++k)
              ASSERT_EQ(tile.codes[static_cast<size_t>(row * columns + k)],
                        expected.codes[static_cast<size_t>(k - begin)]);
          }
      }
}

TEST(Search, IsNeverWorseThanNearest) {
  std::mt19937 random(4);
  std::student_t_distribution<float> heavy(4);
  for (const IntegerFormat &format : naive::allFormats())
    for (int64_t columns : {1, 17, 64, 172, 513})
      for (float size : {1e-20f, 1e-3f, 1.0f, 1e3f}) {
        if (!format.hasFactor() && size < 1e-6f)
          continue;
        SCOPED_TRACE(naive::name(format) + " x " + std::to_string(columns));
        std::vector<float> w(static_cast<size_t>(16 * columns));
        for (float &x : w)
          x = heavy(random) * size;
        std::vector<float> h(static_cast<size_t>(columns));
        for (float &x : h)
          x = std::fabs(heavy(random));
        TileInput input = {w.data(), columns, 16, columns, 0};
        IntegerTile a = solve(format, input, SolverKind::Nearest, h.data());
        IntegerTile b = solve(format, input, SolverKind::Search, h.data());
        double sumA = 0, sumB = 0;
        for (int64_t row = 0; row < 16; ++row) {
          const float *weights = w.data() + row * columns;
          double errorA = naive::objective(a, row, weights, h.data());
          double errorB = naive::objective(b, row, weights, h.data());
          // The solver compares in f32; energy · 2^-24 is its noise.
          double energy = 0;
          for (int64_t k = 0; k < columns; ++k)
            energy += static_cast<double>(h[static_cast<size_t>(k)]) *
                      weights[k] * weights[k];
          ASSERT_LE(errorB, errorA * (1 + 1e-5) + energy * 1e-11);
          sumA += errorA;
          sumB += errorB;
        }
        // It does search: 172 columns of heavy tails are never best unclipped.
        if (columns >= 172 && format.bits <= 4) {
          EXPECT_LT(sumB, sumA * 0.99);
        }
      }
}

TEST(Search, UsesTheCodeThatNearestLeavesOut) {
  // All weights negative: with offset integer, −2 · s is the better end.
  IntegerFormat format{2, 32, ScaleType::F16, Offset::Integer};
  std::vector<float> w(32);
  for (size_t i = 0; i < 32; ++i)
    w[i] = i % 2 ? -1.0f : -0.5f;
  TileInput input = {w.data(), 32, 1, 32, 0};
  IntegerTile tile = solve(format, input, SolverKind::Search, nullptr);
  EXPECT_EQ(tile.codes[1], 0);
  EXPECT_EQ(tile.codes[0], 1);
  EXPECT_NEAR(tile.scales[0], 0.5f, 0.01f);
}

TEST(Search, CandidatesStopAtTheLargestF16) {
  // The best scale is 65504; Nearest has 65024 and 1.1 times that overflows.
  IntegerFormat format{4, 32, ScaleType::F16, Offset::Integer};
  std::vector<float> w(32, 3 * 65504.0f);
  w[0] = 7 * 65024.0f;
  TileInput input = {w.data(), 32, 1, 32, 0};
  EXPECT_EQ(solve(format, input, SolverKind::Nearest, nullptr).scales[0],
            65024.0f);
  EXPECT_EQ(solve(format, input, SolverKind::Search, nullptr).scaleBits[0],
            0x7BFF);
}

TEST(Search, StoredMovesBothEnds) {
  // One outlier on the positive side should not cost the other weights.
  IntegerFormat format{4, 128, ScaleType::F16, Offset::Stored};
  std::vector<float> w = naive::gaussian(128, 6);
  w[70] = 12.0f;
  std::vector<float> h(128, 1.0f);
  h[70] = 0.0f; // nothing is lost by clipping it
  TileInput input = {w.data(), 128, 1, 128, 0};
  IntegerTile a = solve(format, input, SolverKind::Nearest, h.data());
  IntegerTile b = solve(format, input, SolverKind::Search, h.data());
  double errorA = naive::objective(a, 0, w.data(), h.data());
  double errorB = naive::objective(b, 0, w.data(), h.data());
  EXPECT_LT(errorB, 0.5 * errorA);
  EXPECT_NE(a.zeros[0], b.zeros[0]);
}

TEST(Search, ImportanceDecidesWhatIsClipped) {
  IntegerFormat format{2, 64, ScaleType::F16, Offset::Half};
  std::vector<float> w = naive::gaussian(64, 6), h(64, 1.0f);
  w[10] = 6.0f;
  TileInput input = {w.data(), 64, 1, 64, 0};
  h[10] = 0.0f;
  float ignored = solve(format, input, SolverKind::Search, h.data()).scales[0];
  h[10] = 1e6f;
  float kept = solve(format, input, SolverKind::Search, h.data()).scales[0];
  EXPECT_LT(ignored, 1.6f);
  EXPECT_NEAR(kept * 1.5f, 6.0f, 0.1f);
}

TEST(Search, AllZeroImportanceKeepsNearest) {
  for (const IntegerFormat &format : naive::allFormats()) {
    std::vector<float> w = naive::gaussian(100, 6), h(100, 0.0f);
    TileInput input = {w.data(), 100, 1, 100, 0};
    IntegerTile a = solve(format, input, SolverKind::Nearest, nullptr);
    IntegerTile b = solve(format, input, SolverKind::Search, h.data());
    EXPECT_EQ(a.codes, b.codes);
    EXPECT_EQ(a.scaleBits, b.scaleBits);
    EXPECT_EQ(a.zeros, b.zeros);
  }
}

// methods.md 0b.9: relative error of the best scale on a Gaussian.
TEST(Search, GaussianErrorOfTwoBits) {
  std::vector<float> w = naive::gaussian(16 * 16384, 12);
  TileInput input = {w.data(), 16384, 16, 16384, 0};
  auto relative = [&](Offset offset) {
    IntegerFormat format{2, 0, ScaleType::F16, offset};
    IntegerTile tile = solve(format, input, SolverKind::Search, nullptr);
    ErrorSums sums = measureError(tile, input, nullptr);
    return sums.error / sums.energy;
  };
  EXPECT_NEAR(relative(Offset::Integer), 0.149, 0.004);
  EXPECT_NEAR(relative(Offset::Half), 0.119, 0.004);
}

TEST(Search, PlanHasAtLeastSixteenCandidates) {
  for (const IntegerFormat &format : naive::allFormats()) {
    SearchPlan plan = searchPlan(format);
    EXPECT_EQ(plan.coarse[0], 1.0f);
    EXPECT_GE(plan.coarse.size(), 16u);
    for (size_t i = 2; i < plan.coarse.size(); ++i)
      EXPECT_LT(plan.coarse[i], plan.coarse[i - 1]);
    // The fine factors reach about the neighbouring coarse ones.
    EXPECT_NEAR(plan.fine[14] * plan.fine[14],
                plan.coarse[2] / plan.coarse[1] * plan.coarse[2] /
                    plan.coarse[1],
                0.06);
    EXPECT_NEAR(plan.fine[0] * plan.fine[1], 1.0f, 1e-6f);
  }
}
