//===- FloatTest.cpp ------------------------------------------ -*- C++ -*-===//
//
// Conversions against the definitions of the formats, exhaustively or around
// every midpoint.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Float.h"

#include "NaiveInteger.h"
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

using namespace lowbit;

/// Every f32 that a rounding test should see: random bits, and around each
/// midpoint between neighbours of a format.
template <typename Value>
static std::vector<float> interestingFloats(int last, Value value) {
  std::vector<float> floats;
  std::mt19937 random(7);
  for (int i = 0; i < 400000; ++i)
    floats.push_back(
        bitsToFloat(static_cast<uint32_t>(random()) & 0x7FFFFFFFu));
  for (int code = 0; code < last; ++code) {
    // Exact: neighbours have few bits.
    float middle = static_cast<float>((value(code) + value(code + 1)) / 2);
    for (float x : {middle, static_cast<float>(value(code))})
      for (float y : {std::nextafterf(x, 0.0f), x,
                      std::nextafterf(x, std::numeric_limits<float>::max())})
        floats.push_back(y);
  }
  for (uint32_t bits : {0u, 1u, 0x7FFFFFu, 0x800000u, 0x7F7FFFFFu})
    floats.push_back(bitsToFloat(bits));
  return floats;
}

TEST(Float, F16WidensExactly) {
  for (int bits = 0; bits < 0x7C00; ++bits) {
    float expected = static_cast<float>(naive::f16Value(bits));
    ASSERT_EQ(f16ToFloat(static_cast<uint16_t>(bits)), expected) << bits;
    ASSERT_EQ(floatToBits(f16ToFloat(static_cast<uint16_t>(bits | 0x8000))),
              floatToBits(-expected))
        << bits;
  }
  EXPECT_EQ(floatToBits(f16ToFloat(0x7C00)), 0x7F800000u);
  EXPECT_EQ(floatToBits(f16ToFloat(0xFC00)), 0xFF800000u);
}

TEST(Float, F16NaNsBecomeQuietAndKeepTheirPayload) {
  for (uint32_t payload = 1; payload < 0x400; ++payload) {
    uint16_t bits = static_cast<uint16_t>(0xFC00u | payload);
    EXPECT_EQ(floatToBits(f16ToFloat(bits)), 0xFFC00000u | (payload << 13));
    EXPECT_EQ(roundToF16(f16ToFloat(bits)), bits | 0x200u);
  }
}

TEST(Float, RoundingF16InvertsWidening) {
  for (int bits = 0; bits <= 0xFFFF; ++bits)
    if ((bits & 0x7FFF) <= 0x7C00) {
      ASSERT_EQ(roundToF16(f16ToFloat(static_cast<uint16_t>(bits))), bits);
    }
}

TEST(Float, F16RoundsToNearestEven) {
  for (float x : interestingFloats(0x7BFF, naive::f16Value)) {
    if (std::isnan(x))
      continue;
    // 65520 is halfway to 65536, whose code would be even.
    int expected =
        x >= 65520.0f ? 0x7C00 : naive::nearestCode(x, 0x7BFF, naive::f16Value);
    ASSERT_EQ(roundToF16(x), expected) << x;
    ASSERT_EQ(roundToF16(-x), expected | 0x8000) << x;
  }
}

TEST(Float, BF16RoundsToNearestEven) {
  auto value = [](int code) {
    return static_cast<double>(bitsToFloat(static_cast<uint32_t>(code) << 16));
  };
  for (float x : interestingFloats(0x7F7F, value)) {
    if (std::isnan(x))
      continue;
    // The step after the largest, 0x7F80, would be 2^128.
    double largest = value(0x7F7F), limit = (largest + std::ldexp(1, 128)) / 2;
    int expected = x >= limit ? 0x7F80 : naive::nearestCode(x, 0x7F7F, value);
    ASSERT_EQ(roundToBF16(x), expected) << x;
    ASSERT_EQ(roundToBF16(-x), expected | 0x8000) << x;
  }
  for (int bits = 0; bits <= 0xFFFF; ++bits) {
    float x = bf16ToFloat(static_cast<uint16_t>(bits));
    ASSERT_EQ(floatToBits(x), static_cast<uint32_t>(bits) << 16);
    ASSERT_EQ(roundToBF16(x), std::isnan(x) ? (bits | 0x40) : bits);
  }
}

TEST(Float, NaNsNeverBecomeNumbers) {
  for (uint32_t bits : {0x7F800001u, 0x7FBFFFFFu, 0x7FC00000u, 0x7FFFFFFFu,
                        0xFF800001u, 0xFFFFFFFFu}) {
    float nan = bitsToFloat(bits);
    EXPECT_TRUE(std::isnan(f16ToFloat(roundToF16(nan))));
    EXPECT_TRUE(std::isnan(bf16ToFloat(roundToBF16(nan))));
    EXPECT_TRUE(std::isnan(e4m3ToFloat(roundToE4M3(nan))));
  }
}

TEST(Float, E4M3WidensExactly) {
  for (int code = 0; code < 0x7F; ++code) {
    float expected = static_cast<float>(naive::e4m3Value(code));
    EXPECT_EQ(e4m3ToFloat(static_cast<uint8_t>(code)), expected);
    EXPECT_EQ(floatToBits(e4m3ToFloat(static_cast<uint8_t>(code | 0x80))),
              floatToBits(-expected));
  }
  EXPECT_EQ(e4m3ToFloat(0x7E), maxE4M3);
  EXPECT_TRUE(std::isnan(e4m3ToFloat(0x7F)));
  EXPECT_TRUE(std::isnan(e4m3ToFloat(0xFF)));
}

TEST(Float, E4M3RoundsToNearestEvenAndSaturates) {
  for (float x : interestingFloats(0x7E, naive::e4m3Value)) {
    if (std::isnan(x))
      continue;
    int expected = naive::nearestCode(x, 0x7E, naive::e4m3Value);
    ASSERT_EQ(roundToE4M3(x), expected) << x;
    ASSERT_EQ(roundToE4M3(-x), expected | 0x80) << x;
  }
  EXPECT_EQ(roundToE4M3(std::numeric_limits<float>::infinity()), 0x7E);
  EXPECT_EQ(roundToE4M3(464.0f), 0x7E);
  EXPECT_EQ(roundToE4M3(1e30f), 0x7E);
}

TEST(Float, LegalScales) {
  for (int code = 0; code < 256; ++code)
    EXPECT_EQ(isScaleE4M3(static_cast<uint8_t>(code)), code < 0x7F);
  for (int bits = 0; bits < 65536; ++bits)
    EXPECT_EQ(isScaleF16(static_cast<uint16_t>(bits)), bits < 0x7C00);
}
