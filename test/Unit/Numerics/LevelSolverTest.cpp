//===- LevelSolverTest.cpp ------------------------------------ -*- C++ -*-===//
//
// Free levels and codes of one bit: the fit against golden values and
// exhaustive ones, solvers with and without error feedback, bytes there and
// back.
//
//===----------------------------------------------------------------------===//
#include "LevelSolver.h"

#include "EncodedTile.h"
#include "FeedbackInputs.h"
#include "NaiveInteger.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/WeightFormat.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace lowbit;

namespace {

Encoded encode(const WeightFormat &format, const std::vector<float> &weights,
               int64_t rows, int64_t columns, const float *importance = nullptr,
               const FeedbackFactor *factor = nullptr,
               CodePath path = fastestCodePath()) {
  EncoderOptions options;
  options.solver = factor ? "gptq" : "em";
  options.importance = importance;
  options.factor = factor;
  options.path = path;
  return encode(format, weights, rows, columns, options);
}

/// Σ h (w − nearest level)².
double errorOf(const std::vector<float> &w, const std::vector<float> &h,
               const std::vector<double> &levels) {
  double error = 0;
  for (size_t k = 0; k < w.size(); ++k) {
    double least = HUGE_VAL;
    for (double level : levels)
      least = std::min(least, (w[k] - level) * (w[k] - level));
    error += h[k] * least;
  }
  return error;
}

} // namespace

/// Methods, T20: 2 and 4 levels on a Gaussian, and the error that it returns.
TEST(FitLevels, ReachesLloydMaxOnAGaussian) {
  std::vector<float> w = naive::gaussian(200000, 7);
  std::vector<float> h(w.size(), 1.0f);
  double energy = 0;
  for (float x : w)
    energy += double(x) * double(x);
  for (auto [count, golden] : {std::pair{2, 0.3634}, std::pair{4, 0.1175}}) {
    std::vector<double> levels(count);
    double error =
        fitLevels(w.data(), h.data(), int64_t(w.size()), count, levels.data());
    EXPECT_NEAR(error / energy, golden, 0.002);
    EXPECT_NEAR(errorOf(w, h, levels), error, 1e-9 * energy);
    EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
  }
}

/// Against every way to cut the sorted weights in two: the fit is a fixed point
/// that no single move betters, so at most little above the best.
TEST(FitLevels, IsCloseToTheBestCutInTwo) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::vector<float> w = naive::gaussian(64, seed);
    std::vector<float> h = naive::gaussian(64, seed + 1000);
    for (float &x : h)
      x = x * x;
    double levels[2];
    double error = fitLevels(w.data(), h.data(), 64, 2, levels);
    std::vector<float> sorted = w;
    std::sort(sorted.begin(), sorted.end());
    double best = HUGE_VAL;
    for (size_t cut = 1; cut < sorted.size(); ++cut) {
      double sums[2][3] = {};
      for (size_t k = 0; k < w.size(); ++k) {
        double *s = sums[w[k] >= sorted[cut]];
        s[0] += h[k];
        s[1] += double(h[k]) * w[k];
        s[2] += double(h[k]) * w[k] * w[k];
      }
      best =
          std::min(best, sums[0][2] - sums[0][1] * sums[0][1] / sums[0][0] +
                             sums[1][2] - sums[1][1] * sums[1][1] / sums[1][0]);
    }
    EXPECT_GE(error, best * (1 - 1e-9));
    EXPECT_LE(error, best * 1.25);
  }
}

/// Weights that are four numbers are stored as they are, to the levels' step;
/// weights without importance and equal weights do no harm.
TEST(FitLevels, TakesWhatThereIs) {
  std::vector<float> w, h;
  for (int k = 0; k < 128; ++k) {
    w.push_back(std::vector<float>{-3, -0.5f, 0.25f, 2}[k * 7 % 4]);
    h.push_back(1);
  }
  double levels[4];
  EXPECT_EQ(fitLevels(w.data(), h.data(), 128, 4, levels), 0);
  std::fill(h.begin(), h.end(), 0.0f);
  EXPECT_EQ(fitLevels(w.data(), h.data(), 128, 4, levels), 0);
  std::fill(h.begin(), h.end(), 1.0f);
  std::fill(w.begin(), w.end(), -0.75f);
  EXPECT_NEAR(fitLevels(w.data(), h.data(), 128, 4, levels), 0, 1e-12);
}

TEST(LevelSolver, BytesComeBack) {
  constexpr int64_t rows = 13, columns = 301; // a ragged group
  std::vector<float> weights = naive::gaussian(rows * columns, 1, 0.03f);
  std::fill_n(weights.begin() + 128, 128, 0.0f); // a group of zeros
  for (const char *name : {"free4-g32", "free4-g64-e4m3", "free4-g128"}) {
    SCOPED_TRACE(name);
    FormatPtr f = format(name);
    Encoded e = encode(*f, weights, rows, columns);
    std::vector<uint8_t> again(e.bytes.size());
    packTile(e.tile, again.data());
    EXPECT_EQ(e.bytes, again);
    std::vector<float> values(rows * columns);
    ASSERT_FALSE(
        f->decode(e.bytes.data(), rows, columns, 0, e.facts, values.data()));
    int64_t group = f->integers()->group;
    double error = 0;
    for (int64_t i = 0; i < rows * columns; ++i) {
      int64_t row = i / columns, k = i % columns;
      auto at = static_cast<size_t>(row * e.tile.groups + k / group);
      const int8_t *levels = e.tile.groupLevels(row, k / group);
      ASSERT_TRUE(std::is_sorted(levels, levels + 4));
      float expected =
          (float(levels[e.tile.codes[size_t(i)]]) * e.tile.scales[at]) *
          e.facts.factor;
      ASSERT_EQ(values[size_t(i)], expected);
      double d = double(weights[size_t(i)]) - double(expected);
      error += d * d;
    }
    EXPECT_NEAR(e.sums.error, error, 1e-9 * e.sums.energy);
    // Groups see their own levels: better than 0.1175 of one for all.
    EXPECT_LT(e.sums.error, 0.125 * e.sums.energy);
    StoredSize size = *f->storedSize(rows, columns);
    int64_t groups = (columns + group - 1) / group;
    int64_t scaleBits = f->integers()->hasFactor() ? 8 : 16;
    int64_t bits = rows * columns * 2 + rows * groups * (32 + scaleBits) +
                   (f->integers()->hasFactor() ? 32 : 0);
    EXPECT_EQ(size.payload, (bits + 7) / 8);
    EXPECT_EQ(size.payload + size.padding, size.bytes);
  }
  EXPECT_DOUBLE_EQ(
      completeBits(*format("free4-g128")->storedSize(64, 4096), 64, 4096),
      2.375);
}

TEST(LevelSolver, DiagonalMomentsGiveThePlainSolver) {
  constexpr int64_t rows = 16, columns = 160;
  std::vector<float> weights = naive::gaussian(rows * columns, 4);
  feedback::Moments h(columns);
  std::vector<float> diagonal;
  for (int64_t k = 0; k < columns; ++k) {
    h.at(k, k) = 1.0f + float(k % 5);
    diagonal.push_back(h.at(k, k));
  }
  FeedbackFactor factor =
      feedback::factorOf(h, activationOrder(h.view(), 1), 0.01);
  for (const char *name : {"free4-g64", "free4-g128-e4m3"}) {
    FormatPtr f = format(name);
    EXPECT_EQ(
        encode(*f, weights, rows, columns, diagonal.data()).bytes,
        encode(*f, weights, rows, columns, diagonal.data(), &factor).bytes);
  }
}

TEST(LevelSolver, FeedbackRepairsMostOfTheError) {
  constexpr int64_t rows = 16, columns = 256;
  feedback::Moments h = feedback::autoregressive(columns, 0.9);
  std::vector<float> weights = feedback::gaussian(rows * columns, 2);
  FeedbackFactor factor =
      feedback::factorOf(h, activationOrder(h.view(), 1), 0.01);
  FormatPtr f = format("free4-g128");
  Encoded plain = encode(*f, weights, rows, columns);
  Encoded fed = encode(*f, weights, rows, columns, nullptr, &factor);
  EXPECT_EQ(plain.tile.levels, fed.tile.levels);
  EXPECT_LT(outputError(*f, fed, weights, rows, h),
            0.35 * outputError(*f, plain, weights, rows, h));
  EXPECT_EQ(fed.bytes, encode(*f, weights, rows, columns, nullptr, &factor,
                              CodePath::Portable)
                           .bytes);
}

TEST(LevelSolver, RefusesWhatCannotBeStored) {
  FormatPtr f = format("free4-g32");
  std::vector<float> weights(32, 1.0f);
  std::vector<uint8_t> bytes(static_cast<size_t>(f->places(1, 32)->tileBytes));
  ErrorSums sums;
  EncoderOptions options;
  options.solver = "em";
  auto encoder = f->makeEncoder(32, options);
  TileInput input{weights.data(), 32, 1, 32, 4};
  weights[9] = INFINITY;
  std::optional<Defect> defect = encoder->encode(input, {}, bytes.data(), sums);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::NonFiniteWeight);
  EXPECT_EQ(defect->row, 4);
  EXPECT_EQ(defect->column, 9);
  std::fill(weights.begin(), weights.end(), 1e9f);
  defect = encoder->encode(input, {}, bytes.data(), sums);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::ScaleOverflow);
  std::vector<float> importance(32, 1.0f);
  importance[3] = -1;
  options.importance = importance.data();
  defect = f->makeEncoder(32, options)->encode(input, {}, bytes.data(), sums);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::BadImportance);
}

//===----------------------------------------------------------------------===//
// Codes of one bit
//===----------------------------------------------------------------------===//

/// The scale of ±a is twice the weighted mean of |w|, rounded.
TEST(BinaryFit, IsTheMeanMagnitude) {
  constexpr int64_t columns = 300;
  std::vector<float> w = naive::gaussian(columns, 3, 0.05f);
  std::vector<float> h = naive::gaussian(columns, 4);
  for (float &x : h)
    x = x * x;
  FormatPtr f = format("int1-g128-half");
  Encoded e = encode(*f, w, 1, columns, h.data());
  for (int64_t g = 0; g < 3; ++g) {
    double sum = 0, total = 0;
    for (int64_t k = g * 128; k < std::min<int64_t>(columns, (g + 1) * 128);
         ++k) {
      sum += double(h[size_t(k)]) * std::fabs(double(w[size_t(k)]));
      total += h[size_t(k)];
      EXPECT_EQ(e.tile.codes[size_t(k)], w[size_t(k)] >= 0);
    }
    EXPECT_EQ(e.tile.scaleBits[size_t(g)],
              roundToF16(static_cast<float>(2 * (sum / total))));
  }
}

/// A mean makes it better where there is one, to the error of the two best
/// levels but for the rounding of scale and zero point; and on a Gaussian both
/// are 0.363.
TEST(BinaryFit, TakesTheMean) {
  constexpr int64_t rows = 16, columns = 4096;
  for (float mean : {0.0f, 0.02f, -0.04f}) {
    std::vector<float> w = naive::gaussian(rows * columns, 9, 0.05f);
    for (float &x : w)
      x += mean;
    double plain =
        encode(*format("int1-g128-half"), w, rows, columns).sums.error;
    Encoded e = encode(*format("int1-g128-stored"), w, rows, columns);
    double best = 0;
    std::vector<float> h(128, 1.0f);
    for (int64_t g = 0; g < rows * columns / 128; ++g) {
      double levels[2];
      best += fitLevels(w.data() + g * 128, h.data(), 128, 2, levels);
    }
    // Zero lies between the levels, which costs where the mean is large.
    EXPECT_LE(e.sums.error, best * (std::fabs(mean) < 0.03f ? 1.001 : 1.02));
    EXPECT_LT(e.sums.error, plain);
    EXPECT_NEAR(e.sums.energy,
                double(rows * columns) * (0.0025 + double(mean) * double(mean)),
                0.02 * e.sums.energy);
    if (mean == 0.0f) {
      EXPECT_NEAR(plain / e.sums.energy, 0.363, 0.006);
    } else {
      EXPECT_LT(e.sums.error, 0.9 * plain);
    }
  }
  EXPECT_DOUBLE_EQ(
      completeBits(*format("int1-g128-stored")->storedSize(64, 4096), 64, 4096),
      1.1875);
}

TEST(BinaryFit, FeedbackRepairsMuchOfTheError) {
  constexpr int64_t rows = 16, columns = 256;
  feedback::Moments h = feedback::autoregressive(columns, 0.9);
  std::vector<float> weights = feedback::gaussian(rows * columns, 2);
  FeedbackFactor factor =
      feedback::factorOf(h, activationOrder(h.view(), 1), 0.01);
  for (const char *name : {"int1-g128-half", "int1-row-stored"}) {
    FormatPtr f = format(name);
    Encoded plain = encode(*f, weights, rows, columns);
    Encoded fed = encode(*f, weights, rows, columns, nullptr, &factor);
    EXPECT_EQ(plain.tile.scaleBits, fed.tile.scaleBits);
    EXPECT_EQ(plain.tile.zeros, fed.tile.zeros);
    EXPECT_LT(outputError(*f, fed, weights, rows, h),
              0.5 * outputError(*f, plain, weights, rows, h));
  }
}
