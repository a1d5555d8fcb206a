//===- IntegerFormatTest.cpp ---------------------------------- -*- C++ -*-===//
//
// Sizes and places against naively packed tiles.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/IntegerFormat.h"

#include "NaiveInteger.h"
#include <gtest/gtest.h>

#include <limits>

using namespace lowbit;

TEST(IntegerFormat, SizesEqualTheBytesOfNaiveTiles) {
  std::mt19937 random(1);
  for (const IntegerFormat &format : naive::allFormats())
    for (int64_t columns : naive::raggedColumns())
      for (int64_t rows : {1, 16, 33}) {
        SCOPED_TRACE(naive::name(format) + " x " + std::to_string(columns));
        IntegerTile tile = naive::randomTile(format, 16, columns, random);
        int64_t tileBytes = static_cast<int64_t>(naive::pack(tile).size());
        std::optional<TileGeometry> g = tileGeometry(format, rows, columns);
        ASSERT_TRUE(g);
        int64_t tiles = (rows + 15) / 16;
        bool hasFactor = format.scale == ScaleType::E4M3;
        EXPECT_EQ(g->tileBytes, tileBytes);
        EXPECT_EQ(g->tiles, tiles);
        EXPECT_EQ(g->trailerBytes, hasFactor ? 64 : 0);
        EXPECT_EQ(g->bytes, tiles * tileBytes + g->trailerBytes);

        std::optional<StoredSize> size = storedSize(format, rows, columns);
        ASSERT_TRUE(size);
        int64_t width = format.group ? format.group : columns;
        int64_t groups = (columns + width - 1) / width, bits = 0;
        for (int64_t row = 0; row < rows; ++row)
          for (int64_t group = 0; group < groups; ++group) {
            bits += std::min(width, columns - group * width) * format.bits;
            bits += hasFactor ? 8 : 16;
            bits += format.offset != Offset::Stored ? 0
                    : format.bits == 1              ? 8
                                                    : format.bits;
          }
        bits += hasFactor ? 32 : 0;
        EXPECT_EQ(size->bytes, g->bytes);
        EXPECT_EQ(size->payload, (bits + 7) / 8);
        EXPECT_EQ(size->padding, size->bytes - size->payload);
        EXPECT_GE(size->padding, 0);
      }
}

TEST(IntegerFormat, GroupsFollowEachOther) {
  for (const IntegerFormat &format : naive::allFormats())
    for (int64_t columns : naive::raggedColumns()) {
      SCOPED_TRACE(naive::name(format) + " x " + std::to_string(columns));
      TileGeometry g = *tileGeometry(format, 16, columns);
      int64_t column = 0, byte = 0;
      for (int64_t i = 0; i < g.groups; ++i) {
        GroupPlace place = g.group(i);
        EXPECT_EQ(place.firstColumn, column);
        EXPECT_EQ(place.codes, byte);
        EXPECT_EQ(place.codesBytes, place.blocks * g.blockBytes);
        EXPECT_GE(place.blocks * g.blockColumns, place.columns);
        EXPECT_LT((place.blocks - 1) * g.blockColumns, place.columns);
        EXPECT_EQ(place.scales, place.codes + place.codesBytes);
        EXPECT_EQ(place.zeros, place.scales + 16 * format.scaleSize());
        byte = place.zeros + (format.offset != Offset::Stored ? 0
                              : format.bits == 1 ? 16
                                                 : 2 * format.bits);
        EXPECT_EQ(place.codes + place.bytes, byte);
        if (i + 1 < g.groups) {
          EXPECT_EQ(place.bytes, g.groupBytes);
          EXPECT_EQ(place.codesBytes, g.codesBytes);
        }
        column += place.columns;
      }
      EXPECT_EQ(column, columns);
      EXPECT_EQ(g.tileBytes, (byte + 63) / 64 * 64);
    }
}

TEST(IntegerFormat, BlocksAreThoseOfTheTable) {
  EXPECT_EQ(blockColumns(2), 16);
  EXPECT_EQ(blockColumns(3), 32);
  EXPECT_EQ(blockColumns(4), 8);
  EXPECT_EQ(blockColumns(8), 4);
  EXPECT_EQ(blockBytes(2), 64);
  EXPECT_EQ(blockBytes(3), 192);
  EXPECT_EQ(blockBytes(4), 64);
  EXPECT_EQ(blockBytes(8), 64);
}

TEST(IntegerFormat, CompleteBitsOfKnownShapes) {
  auto bits = [](IntegerFormat format, int64_t rows, int64_t columns) {
    return completeBits(*storedSize(format, rows, columns), rows, columns);
  };
  EXPECT_EQ(bits({2, 64, ScaleType::F16, Offset::Half}, 4096, 4096), 2.25);
  EXPECT_EQ(bits({4, 64, ScaleType::F16, Offset::Integer}, 2048, 8192), 4.25);
  // methods.md 0b.15: 2 bits, g64, stored zero points take 2.28125 with f16
  // scales; tiles of 64 groups need no padding.
  EXPECT_EQ(bits({2, 64, ScaleType::F16, Offset::Stored}, 4096, 4096), 2.28125);
  EXPECT_EQ(bits({2, 64, ScaleType::E4M3, Offset::Half}, 16, 64),
            8.0 * (64 * 4 + 16 + 48 + 64) / 1024);
}

TEST(IntegerFormat, EachConstraintIsNamed) {
  IntegerFormat good;
  EXPECT_EQ(whyInvalid(good), nullptr);
  for (int bits : {-1, 0, 9, 32}) {
    IntegerFormat format = good;
    format.bits = bits;
    EXPECT_STREQ(whyInvalid(format), "bits must be 1 to 8");
    EXPECT_FALSE(tileGeometry(format, 16, 64));
    EXPECT_FALSE(storedSize(format, 16, 64));
  }
  for (int64_t group : {-1, 1, 8, 63, 256}) {
    IntegerFormat format = good;
    format.group = group;
    EXPECT_STREQ(whyInvalid(format), "group must be 16, 32, 64, 128 or row");
    EXPECT_FALSE(tileGeometry(format, 16, 64));
  }
  IntegerFormat format = good;
  format.scale = static_cast<ScaleType>(7);
  EXPECT_STREQ(whyInvalid(format), "scale must be f16 or f8E4M3FN");
  format = good;
  format.offset = static_cast<Offset>(7);
  EXPECT_STREQ(whyInvalid(format), "offset must be integer, half or stored");
  format = {1, 64, ScaleType::F16, Offset::Integer};
  EXPECT_TRUE(whyInvalid(format));
  format.offset = Offset::Half;
  EXPECT_FALSE(whyInvalid(format));
  for (int bits : {1, 3, 5, 7}) // blocks of 32 columns
    EXPECT_TRUE(whyInvalid({bits, 16, ScaleType::F16, Offset::Half}));
}

/// A name is understood, and is the format's own.
TEST(FormatNames, AreThoseOfTheFormats) {
  for (const char *name :
       {"int1-row-half", "int1-g128-stored", "int2-g64-e4m3-stored", "int4-g16",
        "int5-g32", "int6-g128-half", "int7-row", "int8-g64", "mxfp4", "nvfp4",
        "mxfp6-e2m3", "mxfp6-e3m2", "mxfp8-e4m3", "mxfp8-e5m2", "mxint8",
        "ternary-g64", "ternary-row-e4m3", "levels.m127.m80.0.1.127-g32"}) {
    std::string why;
    FormatPtr format = findFormat(name, why);
    ASSERT_TRUE(format) << name << " " << why;
    EXPECT_EQ(format->name(), name);
    EXPECT_TRUE(format->places(5, 77));
  }
}

TEST(FormatNames, SayWhatIsWrong) {
  for (auto [name, reason] : {std::pair{"int9-g64", "bits must be 1 to 8"},
                              {"int1-g64", "bits 1 goes with offset half"},
                              {"int3-g16-half", "group 16 goes with bits"},
                              {"mxfp8-e2m5", "mxfp8-e4m3 or mxfp8-e5m2"},
                              {"mxfp4-g64", "is not known"},
                              {"levels.0.0-g64", "levels must ascend"},
                              {"levels.1.2-g64", "0 must be one of the levels"},
                              {"levels.m129.0-g64", "from m128 to 127"},
                              {"ternary-g64-e8m0", "is not known"},
                              {"int4--g64", "is not known"},
                              {"", "is not known"}}) {
    std::string why;
    EXPECT_FALSE(findFormat(name, why)) << name;
    EXPECT_NE(why.find(reason), std::string::npos) << name << ": " << why;
  }
}

TEST(IntegerFormat, WhatDoesNotFitHasNoSize) {
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  for (const IntegerFormat &format : naive::allFormats()) {
    EXPECT_FALSE(tileGeometry(format, 0, 64));
    EXPECT_FALSE(tileGeometry(format, 16, 0));
    EXPECT_FALSE(tileGeometry(format, -16, 64));
    EXPECT_FALSE(tileGeometry(format, 16, most));
    EXPECT_FALSE(tileGeometry(format, most, most));
    EXPECT_FALSE(storedSize(format, most, 64));
    EXPECT_FALSE(storedSize(format, most / 4, most / 4));
  }
}

TEST(IntegerFormat, EqualMeansAllFields) {
  std::vector<IntegerFormat> formats = naive::allFormats();
  for (size_t i = 0; i < formats.size(); ++i)
    for (size_t j = 0; j < formats.size(); ++j) {
      EXPECT_EQ(formats[i] == formats[j], i == j);
      EXPECT_EQ(formats[i] != formats[j], i != j);
    }
}
