//===- SolverTest.cpp ----------------------------------------- -*- C++ -*-===//
//
// Solver nearest against the formulas of Spec.md, and bad or odd weights
// (reliability.md section 3D).
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Solver.h"

#include "NaiveInteger.h"
#include "lowbit/Numerics/Elements.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/Packing.h"
#include <gtest/gtest.h>

#include <limits>

using namespace lowbit;

static TileInput inputOf(const std::vector<float> &w, int64_t rows,
                         int64_t columns) {
  return {w.data(), columns, rows, columns, 0};
}

/// F of a matrix of up to 16 rows.
static float factorOf(TileSolver &solver, const IntegerFormat &format,
                      const TileInput &input) {
  if (!format.hasFactor())
    return 1.0f;
  float scale = 0;
  EXPECT_FALSE(solver.maximalScale(input, scale));
  return tensorFactor(scale);
}

static IntegerTile solveOrFail(const IntegerFormat &format,
                               const TileInput &input, SolverKind kind,
                               const float *importance = nullptr,
                               CodePath path = fastestCodePath()) {
  TileSolver solver(format, input.columns, kind, importance, path);
  IntegerTile tile;
  float factor = factorOf(solver, format, input);
  std::optional<Defect> defect = solver.solve(input, factor, tile);
  EXPECT_FALSE(defect) << describe(*defect);
  return tile;
}

/// Compares each group of `tile` with what the formulas of the Spec give.
static void expectNearest(const IntegerTile &tile, const TileInput &input) {
  const IntegerFormat &format = tile.format;
  int64_t width = format.group ? format.group : tile.columns;
  for (int64_t row = 0; row < 16; ++row)
    for (int64_t g = 0; g < tile.groups; ++g) {
      size_t at = static_cast<size_t>(row * tile.groups + g);
      int64_t begin = g * width, end = std::min(begin + width, tile.columns);
      naive::Group expected;
      expected.codes.assign(static_cast<size_t>(end - begin), 0);
      if (row < tile.rows)
        expected = naive::solveNearest(
            format, input.weights + row * input.stride + begin, end - begin,
            tile.factor);
      ASSERT_EQ(tile.scaleBits[at], expected.scaleBits);
      ASSERT_EQ(tile.scales[at],
                naive::loadScale(format.scale, expected.scaleBits));
      if (format.offset == Offset::Stored) {
        ASSERT_EQ(tile.zeros[at], expected.zero);
      }
      for (int64_t k = begin; k < end; ++k)
        ASSERT_EQ(tile.codes[static_cast<size_t>(row * tile.columns + k)],
                  expected.codes[static_cast<size_t>(k - begin)])
            << "row " << row << " column " << k;
    }
}

TEST(Solver, NearestEqualsTheFormulaBitForBit) {
  unsigned seed = 1;
  for (const IntegerFormat &format : naive::allFormats())
    for (int64_t columns : naive::raggedColumns())
      for (int64_t rows : {1, 16}) {
        SCOPED_TRACE(naive::name(format) + " x " + std::to_string(columns));
        std::vector<float> w = naive::gaussian(rows * columns, ++seed, 0.03f);
        TileInput input = inputOf(w, rows, columns);
        expectNearest(solveOrFail(format, input, SolverKind::Nearest), input);
      }
}

TEST(Solver, NearestOnSkewedAndTinyAndHugeWeights) {
  for (const IntegerFormat &format : naive::allFormats())
    for (float scale : {1e-40f, 1e-7f, 1e-5f, 3.0f, 4e4f})
      for (float mean : {0.0f, 2.0f, -5.0f}) {
        if (format.bits == 1 && scale > 1e4f)
          continue; // twice the largest weight is more than an f16 holds
        SCOPED_TRACE(naive::name(format) + " scale " + std::to_string(scale));
        std::vector<float> w = naive::gaussian(16 * 200, 5);
        for (float &x : w)
          x = (x + mean) * scale * 0.1f;
        TileInput input = inputOf(w, 16, 200);
        expectNearest(solveOrFail(format, input, SolverKind::Nearest), input);
      }
}

TEST(Solver, FactorMapsTheLargestScaleTo448) {
  for (const IntegerFormat &format : naive::allFormats()) {
    std::vector<float> w = naive::gaussian(16 * 172, 9);
    TileInput input = inputOf(w, 16, 172);
    TileSolver solver(format, 172, SolverKind::Nearest, nullptr);
    float scale = 0, expected = 0;
    ASSERT_FALSE(solver.maximalScale(input, scale));
    int64_t width = format.group ? format.group : 172;
    for (int64_t row = 0; row < 16; ++row)
      for (int64_t k = 0; k < 172; k += width)
        expected = std::max(
            expected,
            naive::unrounded(format, naive::rangeOf(w.data() + row * 172 + k,
                                                    std::min(width, 172 - k))));
    EXPECT_EQ(scale, expected);
    if (!format.hasFactor())
      continue;
    IntegerTile tile = solveOrFail(format, input, SolverKind::Nearest);
    EXPECT_EQ(tile.factor, expected / 448.0f);
    EXPECT_EQ(*std::max_element(tile.scaleBits.begin(), tile.scaleBits.end()),
              0x7E);
  }
  EXPECT_EQ(tensorFactor(0.0f), 1.0f);
  EXPECT_EQ(tensorFactor(1e-45f), 1.0f);
}

// reliability.md D3.
TEST(Solver, ZerosDecodeToZeros) {
  for (SolverKind kind : {SolverKind::Nearest, SolverKind::Search})
    for (const IntegerFormat &format : naive::allFormats()) {
      SCOPED_TRACE(naive::name(format));
      std::vector<float> w(16 * 100, 0.0f);
      for (size_t i = 0; i < w.size(); i += 3)
        w[i] = -0.0f;
      IntegerTile tile = solveOrFail(format, inputOf(w, 16, 100), kind);
      EXPECT_EQ(tile.factor, 1.0f);
      EXPECT_EQ(tile.vanishedGroups, 0);
      int code = format.offset == Offset::Stored ? 0 : format.codes() / 2;
      for (uint8_t c : tile.codes)
        ASSERT_EQ(c, code);
      for (uint16_t s : tile.scaleBits)
        ASSERT_EQ(s, 0);
      for (uint8_t z : tile.zeros)
        ASSERT_EQ(z, 0);
      std::vector<float> values(16 * 100, 1.0f);
      dequantize(tile, values.data(), 100);
      for (float value : values)
        ASSERT_EQ(value, 0.0f);
    }
}

// reliability.md D4: an outlier that f16 cannot scale is refused; with E4M3 the
// factor takes it and the error sums tell.
TEST(Solver, OutlierIsRefusedByF16AndMeasuredWithE4M3) {
  for (SolverKind kind : {SolverKind::Nearest, SolverKind::Search})
    for (const IntegerFormat &format : naive::allFormats()) {
      SCOPED_TRACE(naive::name(format));
      std::vector<float> w = naive::gaussian(4 * 256, 3);
      w[2 * 256 + 200] = 1e30f;
      TileInput input = inputOf(w, 4, 256);
      input.firstRow = 32;
      TileSolver solver(format, 256, kind, nullptr);
      IntegerTile tile;
      if (!format.hasFactor()) {
        std::optional<Defect> defect = solver.solve(input, 1.0f, tile);
        ASSERT_TRUE(defect);
        EXPECT_EQ(defect->kind, Defect::Kind::ScaleOverflow);
        EXPECT_EQ(defect->row, 34);
        int64_t width = format.group ? format.group : 256;
        EXPECT_EQ(defect->column, 200 / width * width);
        EXPECT_GT(defect->value, 65504.0f);
        EXPECT_EQ(defect->group, 200 / width);
        EXPECT_EQ(defect->limit, 65504.0f);
        char expected[100];
        std::snprintf(expected, sizeof(expected),
                      "scale at row 34, group %d is %.9g, exceeds 65504, the "
                      "largest that is stored",
                      int(defect->group), double(defect->value));
        EXPECT_EQ(describe(*defect), expected);
        continue;
      }
      float factor = factorOf(solver, format, input);
      ASSERT_FALSE(solver.solve(input, factor, tile));
      ErrorSums sums = measureError(tile, input, nullptr);
      EXPECT_TRUE(std::isfinite(sums.error));
      // `half` has no level at 0: the small weights become ±½ of a huge step.
      if (format.offset == Offset::Half)
        EXPECT_GT(sums.error / sums.energy, 1e-6);
      else
        EXPECT_LT(sums.error / sums.energy, 0.01);
    }
}

// reliability.md D5, and Spec 1.1: a scale that rounds to 0 is counted.
TEST(Solver, ScalesThatVanishAreCounted) {
  for (SolverKind kind : {SolverKind::Nearest, SolverKind::Search})
    for (const IntegerFormat &format : naive::allFormats()) {
      if (format.hasFactor() || format.group == 0)
        continue;
      SCOPED_TRACE(naive::name(format));
      std::vector<float> w = naive::gaussian(2 * 256, 3);
      // One group of small negative weights, one of positive ones.
      for (int64_t k = 0; k < format.group; ++k) {
        float &negative = w[static_cast<size_t>(256 + k)];
        float &positive = w[static_cast<size_t>(256 + format.group + k)];
        negative = -1e-10f * std::fabs(negative);
        positive = 1e-10f * std::fabs(positive);
      }
      IntegerTile tile = solveOrFail(format, inputOf(w, 2, 256), kind);
      EXPECT_EQ(tile.vanishedGroups, 2);
      EXPECT_EQ(tile.scaleBits[static_cast<size_t>(tile.groups)], 0);
      auto group = static_cast<size_t>(tile.groups);
      int code = format.offset == Offset::Stored
                     ? static_cast<int>(std::rint(tile.zeros[group] *
                                                  naive::zeroUnit(format)))
                     : format.codes() / 2;
      for (int64_t k = 0; k < format.group; ++k)
        ASSERT_EQ(tile.codes[static_cast<size_t>(256 + k)], code);
    }
}

// reliability.md D6.
TEST(Solver, EqualWeightsAndSingleColumns) {
  for (SolverKind kind : {SolverKind::Nearest, SolverKind::Search})
    for (const IntegerFormat &format : naive::allFormats())
      for (int64_t columns : {1, 65, 129})
        for (float value : {1.0f, -1.0f, 0.37f}) {
          SCOPED_TRACE(naive::name(format));
          std::vector<float> w(static_cast<size_t>(columns), value);
          TileInput input = inputOf(w, 1, columns);
          IntegerTile tile = solveOrFail(format, input, kind);
          if (kind == SolverKind::Nearest)
            expectNearest(tile, input);
          std::vector<float> decoded(w.size());
          dequantize(tile, decoded.data(), columns);
          // Half a unit of the scale's last place, relative.
          float tolerance = format.scale == ScaleType::F16 ? 0x1p-11f : 0x1p-4f;
          // A mean of one bit has steps of 1/256.
          if (format.bits == 1 && format.offset == Offset::Stored)
            tolerance += 0x1p-8f;
          for (float x : decoded)
            ASSERT_NEAR(x, value, tolerance * std::fabs(value) * 1.001f);
        }
}

// reliability.md D11: with s = 1/4, multiples of 1/8 are ties; even codes win.
TEST(Solver, TiesGoToEven) {
  IntegerFormat format{4, 32, ScaleType::F16, Offset::Integer};
  std::vector<float> w(32, 0.0f);
  w[0] = 1.75f; // amax: s = 1.75 / 7
  for (int i = -6; i <= 6; ++i)
    w[static_cast<size_t>(i + 7)] = (static_cast<float>(i) + 0.5f) * 0.25f;
  IntegerTile tile =
      solveOrFail(format, inputOf(w, 1, 32), SolverKind::Nearest);
  ASSERT_EQ(tile.scales[0], 0.25f);
  for (int i = -6; i <= 6; ++i) {
    int even = i % 2 == 0 ? i : i + 1;
    EXPECT_EQ(tile.codes[static_cast<size_t>(i + 7)], even + 8) << i;
  }
  format.offset = Offset::Half; // s = 1.875 / 7.5; ties at multiples of s
  w[0] = 1.875f;
  for (int i = -6; i <= 6; ++i)
    w[static_cast<size_t>(i + 7)] = static_cast<float>(i) * 0.25f;
  tile = solveOrFail(format, inputOf(w, 1, 32), SolverKind::Nearest);
  ASSERT_EQ(tile.scales[0], 0.25f);
  for (int i = -6; i <= 6; ++i) {
    int even = i % 2 == 0 ? i : i - 1; // rint(i − ½)
    EXPECT_EQ(tile.codes[static_cast<size_t>(i + 7)], even + 8) << i;
  }
}

// reliability.md D12.
TEST(Solver, BF16AndTheSameWidenedGiveTheSameBytes) {
  for (const IntegerFormat &format : naive::allFormats()) {
    std::vector<float> w = naive::gaussian(16 * 129, 8), widened(w.size());
    std::vector<uint16_t> bits(w.size());
    int64_t count = static_cast<int64_t>(w.size());
    ASSERT_EQ(narrowElements(ElementType::BF16, w.data(), count, bits.data()),
              -1);
    for (size_t i = 0; i < w.size(); ++i)
      w[i] = bf16ToFloat(bits[i]); // the f32 checkpoint
    widenElements(ElementType::BF16, bits.data(), count, widened.data());
    IntegerTile a =
        solveOrFail(format, inputOf(w, 16, 129), SolverKind::Search);
    IntegerTile b =
        solveOrFail(format, inputOf(widened, 16, 129), SolverKind::Search);
    size_t size = static_cast<size_t>(tileGeometry(format, 16, 129)->tileBytes);
    std::vector<uint8_t> bytesA(size), bytesB(size);
    packTile(a, bytesA.data());
    packTile(b, bytesB.data());
    EXPECT_EQ(bytesA, bytesB);
    EXPECT_EQ(a.factor, b.factor);
  }
}

// reliability.md D1.
TEST(Solver, WeightsThatAreNotFiniteAreReported) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(),
                    std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()})
    for (const IntegerFormat &format : naive::allFormats()) {
      std::vector<float> w = naive::gaussian(16 * 130, 8);
      w[5 * 130 + 129] = bad;
      w[9 * 130 + 2] = bad;
      TileInput input = inputOf(w, 16, 130);
      input.firstRow = 48;
      TileSolver solver(format, 130, SolverKind::Search, nullptr);
      IntegerTile tile;
      float scale = 0;
      for (std::optional<Defect> defect : {solver.solve(input, 1.0f, tile),
                                           solver.maximalScale(input, scale)}) {
        ASSERT_TRUE(defect);
        EXPECT_EQ(defect->kind, Defect::Kind::NonFiniteWeight);
        EXPECT_EQ(defect->row, 53);
        EXPECT_EQ(defect->column, 129);
        EXPECT_EQ(defect->count, 2);
        EXPECT_EQ(floatToBits(defect->value), floatToBits(bad));
      }
    }
}

TEST(Solver, BadFactorsAndImportancesAreReported) {
  std::vector<float> w = naive::gaussian(40, 2), h(40, 1.0f);
  TileInput input = inputOf(w, 1, 40);
  IntegerTile tile;
  IntegerFormat f16{4, 32, ScaleType::F16, Offset::Half};
  IntegerFormat e4m3{4, 32, ScaleType::E4M3, Offset::Half};
  float nan = std::numeric_limits<float>::quiet_NaN();
  for (float factor : {0.0f, -1.0f, nan, 2.0f}) {
    TileSolver solver(f16, 40, SolverKind::Nearest, nullptr);
    std::optional<Defect> defect = solver.solve(input, factor, tile);
    ASSERT_TRUE(defect);
    EXPECT_EQ(defect->kind, Defect::Kind::BadFactor);
  }
  TileSolver withFactor(e4m3, 40, SolverKind::Nearest, nullptr);
  EXPECT_FALSE(withFactor.solve(input, 2.0f, tile));
  EXPECT_TRUE(withFactor.solve(input, nan, tile));
  for (float bad : {nan, -1.0f, std::numeric_limits<float>::infinity()}) {
    h[33] = bad;
    TileSolver solver(f16, 40, SolverKind::Search, h.data());
    std::optional<Defect> defect = solver.solve(input, 1.0f, tile);
    ASSERT_TRUE(defect);
    EXPECT_EQ(defect->kind, Defect::Kind::BadImportance);
    EXPECT_EQ(defect->column, 33);
  }
}

TEST(Solver, ScalesBeyondF32AreReported) {
  // max − min overflows.
  IntegerFormat format{8, 32, ScaleType::E4M3, Offset::Stored};
  std::vector<float> w(32, 3e38f);
  w[1] = -3e38f;
  TileSolver solver(format, 32, SolverKind::Search, nullptr);
  float scale = 0;
  std::optional<Defect> defect = solver.maximalScale(inputOf(w, 1, 32), scale);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::ScaleOverflow);
}

TEST(Solver, CodePathsGiveTheSameBytes) {
  if (fastestCodePath() == CodePath::Portable)
    GTEST_SKIP() << "this CPU has only the portable path";
  unsigned seed = 100;
  for (SolverKind kind : {SolverKind::Nearest, SolverKind::Search})
    for (const IntegerFormat &format : naive::allFormats())
      for (int64_t columns : naive::raggedColumns()) {
        SCOPED_TRACE(naive::name(format) + " x " + std::to_string(columns));
        std::vector<float> w = naive::gaussian(16 * columns, ++seed);
        std::vector<float> h = naive::gaussian(columns, ++seed);
        for (float &x : h)
          x *= x;
        TileInput input = inputOf(w, 16, columns);
        IntegerTile a =
            solveOrFail(format, input, kind, h.data(), CodePath::Portable);
        IntegerTile b =
            solveOrFail(format, input, kind, h.data(), CodePath::AVX2);
        ASSERT_EQ(a.codes, b.codes);
        ASSERT_EQ(a.scaleBits, b.scaleBits);
        ASSERT_EQ(a.zeros, b.zeros);
        ASSERT_EQ(a.factor, b.factor);
        ErrorSums p = measureError(a, input, h.data(), CodePath::Portable);
        ErrorSums q = measureError(a, input, h.data(), CodePath::AVX2);
        ASSERT_EQ(p.error, q.error);
        ASSERT_EQ(p.energy, q.energy);
        ASSERT_EQ(p.weightedError, q.weightedError);
        ASSERT_EQ(p.weightedEnergy, q.weightedEnergy);
      }
}
