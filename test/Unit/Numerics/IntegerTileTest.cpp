//===- IntegerTileTest.cpp ------------------------------------ -*- C++ -*-===//
//
// Decoding, given numbers and error sums against plain loops.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/IntegerTile.h"

#include "NaiveInteger.h"
#include "lowbit/Numerics/Packing.h"
#include <gtest/gtest.h>

#include <limits>

using namespace lowbit;

TEST(IntegerTile, DecodesEveryCodeAndZeroPoint) {
  for (const IntegerFormat &format : naive::allFormats()) {
    SCOPED_TRACE(naive::name(format));
    int64_t columns = format.codes();
    int zeros = format.offset == Offset::Stored ? format.codes() : 1;
    for (int first = 0; first < zeros; first += 16) {
      IntegerTile tile;
      tile.reset(format, 16, columns);
      tile.factor = format.hasFactor() ? 0.3f : 1.0f;
      for (int64_t row = 0; row < 16; ++row)
        for (int64_t k = 0; k < columns; ++k) {
          tile.codes[static_cast<size_t>(row * columns + k)] =
              static_cast<uint8_t>(k);
          size_t group = static_cast<size_t>(row * tile.groups +
                                             k / groupColumns(format, columns));
          tile.scaleBits[group] = static_cast<uint16_t>(0x2A + row);
          tile.scales[group] = scaleValue(format.scale, tile.scaleBits[group]);
          if (format.offset == Offset::Stored)
            tile.zeros[group] =
                static_cast<uint8_t>((first + row) % format.codes());
        }
      std::vector<float> values(static_cast<size_t>(16 * columns));
      dequantize(tile, values.data(), columns);
      for (int64_t row = 0; row < 16; ++row)
        for (int64_t k = 0; k < columns; ++k) {
          float level = static_cast<float>(
              naive::level(format, static_cast<int>(k),
                           static_cast<int>((first + row) % format.codes())));
          float scale =
              naive::loadScale(format.scale, static_cast<int>(0x2A + row));
          float expected = level * scale;
          expected = expected * tile.factor;
          ASSERT_EQ(values[static_cast<size_t>(row * columns + k)], expected);
        }
    }
  }
}

TEST(IntegerTile, GivenNumbersComeThroughToTheBit) {
  std::mt19937 random(11);
  for (const IntegerFormat &format : naive::allFormats())
    for (int64_t columns : naive::raggedColumns()) {
      IntegerTile source = naive::randomTile(format, 5, columns, random);
      source.factor = format.hasFactor() ? 0.125f : 1.0f;
      GivenTile given = {source.codes.data(),
                         source.scaleBits.data(),
                         source.zeros.data(),
                         source.factor,
                         5,
                         columns,
                         0};
      IntegerTile tile;
      std::optional<Defect> defect = takeGiven(format, given, tile);
      ASSERT_FALSE(defect) << describe(*defect);
      EXPECT_EQ(tile.codes, source.codes);
      EXPECT_EQ(tile.scaleBits, source.scaleBits);
      EXPECT_EQ(tile.scales, source.scales);
      EXPECT_EQ(tile.zeros, source.zeros);
      std::vector<uint8_t> bytes(naive::pack(source).size());
      packTile(tile, bytes.data());
      EXPECT_EQ(bytes, naive::pack(source));
    }
}

TEST(IntegerTile, GivenNumbersThatTheFormatLacksAreRefused) {
  std::mt19937 random(11);
  IntegerFormat format{3, 32, ScaleType::E4M3, Offset::Stored};
  IntegerTile good = naive::randomTile(format, 4, 70, random);
  auto refuse = [&](const IntegerTile &source, float factor) {
    GivenTile given = {source.codes.data(),
                       source.scaleBits.data(),
                       source.zeros.data(),
                       factor,
                       4,
                       70,
                       160};
    IntegerTile tile;
    std::optional<Defect> defect = takeGiven(format, given, tile);
    EXPECT_TRUE(defect);
    return defect ? *defect : Defect();
  };
  IntegerTile bad = good;
  bad.codes[2 * 70 + 69] = 8;
  Defect defect = refuse(bad, 1.0f);
  EXPECT_EQ(defect.kind, Defect::Kind::BadCode);
  EXPECT_EQ(defect.row, 162);
  EXPECT_EQ(defect.column, 69);
  EXPECT_EQ(describe(defect),
            "code at row 162, column 69 is 8, must be below 2^bits");
  bad = good;
  bad.zeros[3 * 3 + 1] = 8;
  defect = refuse(bad, 1.0f);
  EXPECT_EQ(defect.kind, Defect::Kind::BadZero);
  EXPECT_EQ(defect.row, 163);
  EXPECT_EQ(defect.column, 32);
  for (int bits : {0x7F, 0x80, 0xFF, 0x100}) {
    bad = good;
    bad.scaleBits[2] = static_cast<uint16_t>(bits);
    defect = refuse(bad, 1.0f);
    EXPECT_EQ(defect.kind, Defect::Kind::BadScale);
    EXPECT_EQ(defect.column, 64);
  }
  float infinity = std::numeric_limits<float>::infinity();
  for (float factor : {0.0f, -0.5f, infinity, infinity - infinity})
    EXPECT_EQ(refuse(good, factor).kind, Defect::Kind::BadFactor);
  format.scale = ScaleType::F16;
  EXPECT_EQ(refuse(good, 0.5f).kind, Defect::Kind::BadFactor);
  good.scaleBits[0] = 0x7C00;
  EXPECT_EQ(refuse(good, 1.0f).kind, Defect::Kind::BadScale);
}

TEST(IntegerTile, ErrorSumsEqualPlainSums) {
  std::mt19937 random(13);
  for (const IntegerFormat &format : naive::allFormats())
    for (int64_t columns : naive::raggedColumns()) {
      IntegerTile tile = naive::randomTile(format, 7, columns, random);
      for (float &scale : tile.scales)
        scale = 0.25f;
      tile.factor = format.hasFactor() ? 0.5f : 1.0f;
      std::vector<float> w = naive::gaussian(7 * columns, 3);
      std::vector<float> h = naive::gaussian(columns, 4), values(w.size());
      for (float &x : h)
        x *= x;
      dequantize(tile, values.data(), columns);
      ErrorSums expected;
      for (size_t i = 0; i < w.size(); ++i) {
        double e = static_cast<double>(w[i]) - values[i];
        double weight = h[i % static_cast<size_t>(columns)];
        expected.error += e * e;
        expected.energy += static_cast<double>(w[i]) * w[i];
        expected.weightedError += weight * e * e;
        expected.weightedEnergy += weight * w[i] * w[i];
      }
      TileInput input = {w.data(), columns, 7, columns, 0};
      ErrorSums sums = measureError(tile, input, h.data());
      EXPECT_NEAR(sums.error, expected.error, 1e-12 * expected.error);
      EXPECT_NEAR(sums.energy, expected.energy, 1e-12 * expected.energy);
      EXPECT_NEAR(sums.weightedError, expected.weightedError,
                  1e-12 * expected.weightedError);
      EXPECT_NEAR(sums.weightedEnergy, expected.weightedEnergy,
                  1e-12 * expected.weightedEnergy);
      ErrorSums plain = measureError(tile, input, nullptr);
      EXPECT_EQ(plain.weightedError, plain.error);
      EXPECT_EQ(plain.weightedEnergy, plain.energy);
      plain.add(sums);
      EXPECT_EQ(plain.error, sums.error + sums.error);
    }
}

TEST(IntegerTile, ResetClearsWhatWasThere) {
  std::mt19937 random(2);
  IntegerFormat format{8, 32, ScaleType::F16, Offset::Stored};
  IntegerTile tile = naive::randomTile(format, 16, 100, random);
  tile.vanishedGroups = 3;
  tile.reset({2, 0, ScaleType::E4M3, Offset::Half}, 2, 33);
  EXPECT_EQ(tile.codes, std::vector<uint8_t>(16 * 33, 0));
  EXPECT_EQ(tile.scaleBits, std::vector<uint16_t>(16, 0));
  EXPECT_TRUE(tile.zeros.empty());
  EXPECT_EQ(tile.groups, 1);
  EXPECT_EQ(tile.vanishedGroups, 0);
}

TEST(Defect, SaysWhatWhereAndWhy) {
  Defect defect;
  defect.row = 3;
  defect.column = 17;
  defect.value = std::numeric_limits<float>::infinity();
  defect.count = 2;
  EXPECT_EQ(describe(defect), "weight at row 3, column 17 is inf, must be "
                              "finite (2 such in this tile)");
  defect = Defect();
  defect.kind = Defect::Kind::BadImportance;
  defect.column = 5;
  defect.value = -1;
  EXPECT_EQ(describe(defect),
            "importance at column 5 is -1, must be finite and not negative");
  defect = Defect();
  defect.kind = Defect::Kind::BadFactor;
  EXPECT_EQ(describe(defect), "factor of the scales is 0, must be finite and "
                              "positive, and 1 for formats without one");
}
