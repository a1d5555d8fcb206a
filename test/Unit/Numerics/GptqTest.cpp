//===- GptqTest.cpp ------------------------------------------- -*- C++ -*-===//
//
// Grouped integers by error feedback: against nearest where nothing can be
// repaired, against its error where much can, and against GPTQ as published.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Gptq.h"

#include "FeedbackInputs.h"
#include "NaiveInteger.h"
#include "lowbit/Numerics/Float.h"
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

using namespace lowbit;
using namespace lowbit::feedback;

namespace {

float factorFor(const IntegerFormat &format, const TileInput &input) {
  if (!format.hasFactor())
    return 1.0f;
  TileSolver solver(format, input.columns, SolverKind::Nearest, nullptr);
  float scale = 0;
  EXPECT_FALSE(solver.maximalScale(input, scale));
  return tensorFactor(scale);
}

IntegerTile solveGptq(const IntegerFormat &format, const TileInput &input,
                      SolverKind scales, const FeedbackFactor &factor,
                      const float *importance = nullptr,
                      CodePath path = fastestCodePath()) {
  GptqSolver solver(format, scales, importance, factor, path);
  IntegerTile tile;
  EXPECT_FALSE(solver.solve(input, factorFor(format, input), tile));
  return tile;
}

IntegerTile solvePlain(const IntegerFormat &format, const TileInput &input,
                       SolverKind kind, const float *importance = nullptr) {
  TileSolver solver(format, input.columns, kind, importance);
  IntegerTile tile;
  EXPECT_FALSE(solver.solve(input, factorFor(format, input), tile));
  return tile;
}

double errorThrough(const Moments &h, const IntegerTile &tile,
                    const std::vector<float> &weights) {
  std::vector<float> error(weights.size());
  dequantize(tile, error.data(), tile.columns);
  for (size_t i = 0; i < error.size(); ++i)
    error[i] = weights[i] - error[i];
  return outputError(h, error, tile.rows);
}

/// GPTQ as published (methods, 9.7): H⁻¹ = Uᵀ U by an explicit inverse, errors
/// divided by U_jj and fed to the columns behind at once. f64, no permutation.
std::vector<double> publishedGptq(const Moments &h, double lambda,
                                  const IntegerTile &scales,
                                  std::vector<double> row, int64_t r) {
  int64_t n = h.columns;
  std::vector<double> a(n * n), inverse(n * n);
  for (int64_t i = 0; i < n; ++i) {
    inverse[i * n + i] = 1;
    for (int64_t j = 0; j < n; ++j)
      a[i * n + j] = double(h.at(i, j)) + (i == j ? lambda : 0);
  }
  for (int64_t p = 0; p < n; ++p) { // Gauss-Jordan; positive definite.
    double pivot = a[p * n + p];
    for (int64_t j = 0; j < n; ++j) {
      a[p * n + j] /= pivot;
      inverse[p * n + j] /= pivot;
    }
    for (int64_t i = 0; i < n; ++i) {
      double factor = a[i * n + p];
      for (int64_t j = 0; i != p && j < n; ++j) {
        a[i * n + j] -= factor * a[p * n + j];
        inverse[i * n + j] -= factor * inverse[p * n + j];
      }
    }
  }
  std::vector<double> u(n * n); // Upper: inverse = Uᵀ U.
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i; j < n; ++j) {
      double sum = inverse[i * n + j];
      for (int64_t k = 0; k < i; ++k)
        sum -= u[k * n + i] * u[k * n + j];
      u[i * n + j] = i == j ? std::sqrt(sum) : sum / u[i * n + i];
    }
  int64_t width = groupColumns(scales.format, n);
  std::vector<double> codes(n);
  for (int64_t j = 0; j < n; ++j) {
    int64_t g = j / width;
    double step =
        double(scales.scales[r * scales.groups + g]) * double(scales.factor);
    double zero = double(scales.zero(r, g));
    double low = scales.format.offset == Offset::Integer ? 1 : 0;
    codes[j] = std::clamp(scales.format.offset == Offset::Half
                              ? std::rint(row[j] / step - 0.5) +
                                    scales.format.codes() / 2
                              : std::rint(row[j] / step + zero),
                          low, double(scales.format.codes() - 1));
    double error = (row[j] - (codes[j] - zero) * step) / u[j * n + j];
    for (int64_t k = j; k < n; ++k)
      row[k] -= error * u[j * n + k];
  }
  return codes;
}

} // namespace

TEST(Gptq, DiagonalMomentsGiveThePlainSolver) {
  int64_t columns = 200; // Ragged for every group.
  std::vector<float> weights = gaussian(13 * columns, 1);
  std::fill_n(weights.begin() + 64, 64, 0.0f); // Groups of zeros.
  for (int64_t k = 0; k < 128; ++k)            // Groups that vanish.
    weights[columns + k] = 1e-30f;
  TileInput input = {weights.data(), columns, 13, columns, 0};
  Moments h(columns);
  std::vector<float> diagonal;
  for (int64_t k = 0; k < columns; ++k) {
    h.at(k, k) = 1.0f + float(k % 7);
    diagonal.push_back(h.at(k, k));
  }
  for (const FeedbackOrder &order :
       {columnOrder(columns, 1), activationOrder(h.view(), 1)}) {
    FeedbackFactor factor = factorOf(h, order, 0.01);
    for (const IntegerFormat &format : naive::allFormats())
      for (SolverKind kind : {SolverKind::Nearest, SolverKind::Search}) {
        IntegerTile plain = solvePlain(format, input, kind, diagonal.data());
        IntegerTile tile =
            solveGptq(format, input, kind, factor, diagonal.data());
        ASSERT_EQ(plain.codes, tile.codes);
        ASSERT_EQ(plain.scaleBits, tile.scaleBits);
        ASSERT_EQ(plain.zeros, tile.zeros);
        ASSERT_EQ(plain.vanishedGroups, tile.vanishedGroups);
      }
  }
}

TEST(Gptq, RepairsMostOfTheErrorOfCorrelatedInputs) {
  int64_t columns = 256;
  Moments h = autoregressive(columns, 0.9);
  std::vector<float> weights = gaussian(16 * columns, 2);
  TileInput input = {weights.data(), columns, 16, columns, 0};
  FeedbackFactor factor = factorOf(h, activationOrder(h.view(), 1), 0.01);
  for (int bits : {2, 3, 4})
    for (Offset offset : {Offset::Half, Offset::Integer, Offset::Stored})
      for (SolverKind kind : {SolverKind::Nearest, SolverKind::Search}) {
        IntegerFormat format = {bits, 64, ScaleType::F16, offset};
        double plain =
            errorThrough(h, solvePlain(format, input, kind), weights);
        double fed =
            errorThrough(h, solveGptq(format, input, kind, factor), weights);
        EXPECT_LE(fed, 0.3 * plain) << bits << " bits, offset " << int(offset)
                                    << ", solver " << int(kind);
      }
}

TEST(Gptq, AgreesWithThePublishedLoop) {
  int64_t columns = 160;
  Moments h = measured(columns, 400, 5);
  std::vector<float> weights = gaussian(16 * columns, 6);
  TileInput input = {weights.data(), columns, 16, columns, 0};
  FeedbackFactor factor = factorOf(h, columnOrder(columns, 1), 0.01);
  int64_t equal = 0, all = 0;
  for (const IntegerFormat &format : naive::allFormats()) {
    if (format.bits == 8 || format.group == 128)
      continue;
    IntegerTile tile = solveGptq(format, input, SolverKind::Nearest, factor);
    for (int64_t r = 0; r < 16; r += 5) {
      std::vector<double> row(weights.begin() + r * columns,
                              weights.begin() + (r + 1) * columns);
      std::vector<double> codes =
          publishedGptq(h, factor.damping(), tile, row, r);
      for (int64_t k = 0; k < columns; ++k)
        equal += codes[k] == double(tile.codes[r * columns + k]);
      all += columns;
    }
  }
  // f32 against f64: a tie may fall the other way, and what follows with it.
  EXPECT_GE(double(equal), 0.998 * double(all)) << equal << " of " << all;
}

TEST(Gptq, DeadColumnsAreRoundedAlone) {
  int64_t columns = 96;
  Moments h = measured(columns, 300, 9);
  for (int64_t k = 0; k < columns; ++k)
    h.at(40, k) = h.at(41, k) = 0;
  std::vector<float> weights = gaussian(16 * columns, 10);
  TileInput input = {weights.data(), columns, 16, columns, 0};
  FeedbackFactor factor = factorOf(h, columnOrder(columns, 1), 0.01);
  IntegerFormat format = {3, 32, ScaleType::F16, Offset::Half};
  IntegerTile tile = solveGptq(format, input, SolverKind::Nearest, factor);
  IntegerTile plain = solvePlain(format, input, SolverKind::Nearest);
  for (int64_t r = 0; r < 16; ++r)
    for (int64_t k : {40, 41})
      EXPECT_EQ(tile.codes[r * columns + k], plain.codes[r * columns + k]);
}

TEST(Gptq, SingularMomentsStillBeatNearest) {
  int64_t columns = 128;
  Moments h = measured(columns, 20, 13);
  std::vector<float> weights = gaussian(16 * columns, 14);
  TileInput input = {weights.data(), columns, 16, columns, 0};
  for (double damp : {0.01, 0.0}) {
    FeedbackFactor factor = factorOf(h, activationOrder(h.view(), 1), damp);
    IntegerFormat format = {3, 0, ScaleType::F16, Offset::Half};
    EXPECT_LT(
        errorThrough(h, solveGptq(format, input, SolverKind::Nearest, factor),
                     weights),
        errorThrough(h, solvePlain(format, input, SolverKind::Nearest),
                     weights));
  }
}

TEST(Gptq, HasEqualBytesOnAllPaths) {
  int64_t columns = 333;
  Moments h = measured(columns, 700, 15);
  std::vector<float> diagonal;
  for (int64_t k = 0; k < columns; ++k)
    diagonal.push_back(h.at(k, k));
  std::vector<float> weights = gaussian(11 * columns, 16);
  TileInput input = {weights.data(), columns, 11, columns, 0};
  FeedbackOrder order = activationOrder(h.view(), 1);
  FeedbackFactor portable = factorOf(h, order, 0.01, CodePath::Portable);
  FeedbackFactor fast =
      factorOf(h, order, 0.01, fastestCodePath(), runBackwards);
  for (const IntegerFormat &format : naive::allFormats()) {
    IntegerTile a = solveGptq(format, input, SolverKind::Search, portable,
                              diagonal.data(), CodePath::Portable);
    IntegerTile b =
        solveGptq(format, input, SolverKind::Search, fast, diagonal.data());
    ASSERT_EQ(a.codes, b.codes);
    ASSERT_EQ(a.scaleBits, b.scaleBits);
  }
}

TEST(Gptq, ReportsWhatNearestReports) {
  int64_t columns = 64;
  Moments h = autoregressive(columns, 0.5);
  FeedbackFactor factor = factorOf(h, columnOrder(columns, 1), 0.01);
  std::vector<float> weights = gaussian(2 * columns, 1);
  weights[columns + 9] = std::numeric_limits<float>::quiet_NaN();
  GptqSolver solver({4, 32, ScaleType::F16, Offset::Half}, SolverKind::Nearest,
                    nullptr, factor);
  IntegerTile tile;
  auto defect =
      solver.solve({weights.data(), columns, 2, columns, 100}, 1.0f, tile);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::NonFiniteWeight);
  EXPECT_EQ(defect->row, 101);
  EXPECT_EQ(defect->column, 9);
}
