//===- PackingTest.cpp ---------------------------------------- -*- C++ -*-===//
//
// Bytes against Spec.md section 2, bit by bit, and back.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Packing.h"

#include "NaiveInteger.h"
#include "lowbit/Numerics/Float.h"
#include <gtest/gtest.h>

#include <limits>

using namespace lowbit;

/// Packs into poisoned memory with a red zone, so that unwritten and stray
/// bytes show.
static std::vector<uint8_t> packPoisoned(const IntegerTile &tile) {
  int64_t size = tileGeometry(tile.format, 16, tile.columns)->tileBytes;
  std::vector<uint8_t> bytes(static_cast<size_t>(size) + 64, 0xAB);
  packTile(tile, bytes.data());
  for (size_t i = static_cast<size_t>(size); i < bytes.size(); ++i)
    EXPECT_EQ(bytes[i], 0xAB) << "byte past the tile";
  bytes.resize(static_cast<size_t>(size));
  return bytes;
}

static void expectEqual(const IntegerTile &a, const IntegerTile &b) {
  EXPECT_EQ(a.codes, b.codes);
  EXPECT_EQ(a.scaleBits, b.scaleBits);
  EXPECT_EQ(a.scales, b.scales);
  EXPECT_EQ(a.zeros, b.zeros);
  EXPECT_EQ(a.factor, b.factor);
  EXPECT_EQ(a.rows, b.rows);
}

TEST(Packing, EveryFormatAndTailEqualsNaiveBitsAndComesBack) {
  std::mt19937 random(3);
  for (const IntegerFormat &format : naive::allFormats())
    for (int64_t columns : naive::raggedColumns())
      for (int64_t rows : {1, 7, 16}) {
        SCOPED_TRACE(naive::name(format) + " x " + std::to_string(columns));
        IntegerTile tile = naive::randomTile(format, rows, columns, random);
        std::vector<uint8_t> bytes = packPoisoned(tile);
        ASSERT_EQ(bytes, naive::pack(tile));
        IntegerTile back;
        ASSERT_FALSE(
            unpackTile(format, rows, columns, 0, 1.0f, bytes.data(), back));
        expectEqual(tile, back);
      }
}

TEST(Packing, EveryCodeInEveryPlaceOfABlock) {
  for (int bits : {2, 3, 4, 8}) {
    IntegerFormat format{bits, 32, ScaleType::F16, Offset::Integer};
    for (int code = 0; code < format.codes(); ++code)
      for (int64_t place = 0; place < 32; ++place) {
        IntegerTile tile;
        tile.reset(format, 16, 32);
        int64_t row = (code + place) % 16;
        tile.codes[static_cast<size_t>(row * 32 + place)] =
            static_cast<uint8_t>(code);
        ASSERT_EQ(packPoisoned(tile), naive::pack(tile));
      }
  }
}

TEST(Packing, EveryZeroPointInEveryRow) {
  for (int bits : {2, 3, 4, 8}) {
    IntegerFormat format{bits, 0, ScaleType::E4M3, Offset::Stored};
    for (int zero = 0; zero < format.codes(); ++zero)
      for (size_t row = 0; row < 16; ++row) {
        IntegerTile tile, back;
        tile.reset(format, 16, 5);
        tile.zeros[row] = static_cast<uint8_t>(zero);
        std::vector<uint8_t> bytes = packPoisoned(tile);
        ASSERT_EQ(bytes, naive::pack(tile));
        ASSERT_FALSE(unpackTile(format, 16, 5, 0, 1.0f, bytes.data(), back));
        ASSERT_EQ(back.zeros, tile.zeros);
      }
  }
}

TEST(Packing, ScalesThatAreNotLegalAreRefused) {
  IntegerFormat f16{4, 32, ScaleType::F16, Offset::Half};
  IntegerTile tile;
  tile.reset(f16, 16, 40);
  for (int bits : {0x7C00, 0x7E00, 0x8000, 0xBC00, 0xFFFF}) {
    tile.scaleBits[3 * 2 + 1] = static_cast<uint16_t>(bits);
    std::vector<uint8_t> bytes = packPoisoned(tile);
    IntegerTile back;
    std::optional<Defect> defect =
        unpackTile(f16, 16, 40, 160, 1.0f, bytes.data(), back);
    ASSERT_TRUE(defect);
    EXPECT_EQ(defect->kind, Defect::Kind::BadScale);
    EXPECT_EQ(defect->row, 163);
    EXPECT_EQ(defect->column, 32);
  }
  IntegerFormat e4m3{4, 32, ScaleType::E4M3, Offset::Half};
  tile.reset(e4m3, 16, 40);
  for (int code = 0; code < 256; ++code) {
    tile.scaleBits[0] = static_cast<uint16_t>(code);
    std::vector<uint8_t> bytes = packPoisoned(tile);
    IntegerTile back;
    EXPECT_EQ(unpackTile(e4m3, 16, 40, 0, 1.0f, bytes.data(), back).has_value(),
              code >= 0x7F);
  }
}

TEST(Packing, TrailerHoldsTheFactor) {
  std::vector<uint8_t> bytes(64, 0xAB);
  packTrailer(0.1f, bytes.data());
  EXPECT_EQ(bytes[0], 0xCD);
  EXPECT_EQ(bytes[3], 0x3D);
  for (size_t i = 4; i < 64; ++i)
    EXPECT_EQ(bytes[i], 0);
  float factor = 0;
  EXPECT_FALSE(readTrailer(bytes.data(), factor));
  EXPECT_EQ(factor, 0.1f);
  for (float bad : {0.0f, -1.0f, std::numeric_limits<float>::infinity(),
                    std::numeric_limits<float>::quiet_NaN()}) {
    packTrailer(bad, bytes.data());
    std::optional<Defect> defect = readTrailer(bytes.data(), factor);
    ASSERT_TRUE(defect);
    EXPECT_EQ(defect->kind, Defect::Kind::BadFactor);
  }
}

template <typename Word> static void checkFloats(ElementType type) {
  for (int64_t columns : naive::raggedColumns())
    for (int64_t rows : {1, 15, 16}) {
      int64_t stride = columns + 3;
      std::vector<Word> elements(static_cast<size_t>(16 * stride));
      for (size_t i = 0; i < elements.size(); ++i)
        elements[i] = static_cast<Word>(i * 2654435761u + 1);
      size_t size =
          static_cast<size_t>(floatLayout(type, 16, columns)->tileBytes);
      std::vector<uint8_t> bytes(size + 64, 0xAB);
      packFloatTile(type, elements.data(), stride, rows, columns, bytes.data());
      std::vector<uint8_t> expected(size, 0);
      for (int64_t k = 0; k < columns; ++k)
        for (int64_t row = 0; row < rows; ++row)
          for (size_t b = 0; b < sizeof(Word); ++b)
            expected[static_cast<size_t>(k * 16 + row) * sizeof(Word) + b] =
                static_cast<uint8_t>(
                    elements[static_cast<size_t>(row * stride + k)] >> (8 * b));
      for (int i = 0; i < 64; ++i)
        expected.push_back(0xAB);
      ASSERT_EQ(bytes, expected);

      std::vector<Word> back(elements.size(), 0);
      unpackFloatTile(type, bytes.data(), rows, columns, back.data(), stride);
      for (int64_t row = 0; row < 16; ++row)
        for (int64_t k = 0; k < stride; ++k) {
          size_t at = static_cast<size_t>(row * stride + k);
          bool exists = row < rows && k < columns;
          ASSERT_EQ(back[at], exists ? elements[at] : 0);
        }
    }
}

TEST(Packing, FloatTilesAreColumnsOf16Rows) {
  checkFloats<uint32_t>(ElementType::F32);
  checkFloats<uint16_t>(ElementType::F16);
  checkFloats<uint16_t>(ElementType::BF16);
}
