//===- GroupKernelsTest.cpp ----------------------------------- -*- C++ -*-===//
//
// Code paths against each other on inputs of every magnitude.
//
//===----------------------------------------------------------------------===//
#include "GroupKernels.h"

#include "NaiveInteger.h"
#include "lowbit/Numerics/Float.h"
#include <gtest/gtest.h>

#include <cstring>

using namespace lowbit;

/// Floats of every magnitude, finite.
static std::vector<float> wildFloats(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> floats;
  while (floats.size() < count) {
    float x = bitsToFloat(static_cast<uint32_t>(random()));
    if (isFiniteFloat(x))
      floats.push_back(x);
  }
  return floats;
}

class BothPaths : public testing::Test {
protected:
  void SetUp() override {
    if (fastestCodePath() == CodePath::Portable)
      GTEST_SKIP() << "this CPU has only the portable path";
  }
  const GroupKernels &portable = groupKernels(CodePath::Portable);
  const GroupKernels &fast = groupKernels(fastestCodePath());
};

TEST_F(BothPaths, Range) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::vector<float> w = wildFloats(128, seed);
    if (seed % 4 == 3)
      w[seed % 128] = bitsToFloat(seed % 8 == 3 ? 0x7F800000u : 0xFFC00001u);
    GroupRange a = portable.range(w.data(), 128);
    GroupRange b = fast.range(w.data(), 128);
    EXPECT_EQ(a.finite, b.finite);
    EXPECT_EQ(a.finite, seed % 4 != 3);
    if (!a.finite)
      continue;
    naive::Range expected = naive::rangeOf(w.data(), 128);
    EXPECT_EQ(a.minimum, expected.minimum);
    EXPECT_EQ(a.maximum, expected.maximum);
    EXPECT_EQ(a.minimum, b.minimum);
    EXPECT_EQ(a.maximum, b.maximum);
  }
}

TEST_F(BothPaths, ErrorsOfWildWeights) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    int64_t count = 1 + seed * 7 % 1200;
    std::vector<float> w = wildFloats(static_cast<size_t>(count), seed);
    std::vector<float> h = wildFloats(static_cast<size_t>(count), seed + 1000);
    for (size_t i = 0; i < h.size(); ++i) {
      h[i] = std::fabs(h[i]);
      if (seed % 2) // ordinary ones
        w[i] = std::ldexp(w[i], -std::ilogb(w[i]));
    }
    ScaleRounding rounding;
    rounding.largest = seed % 3 ? 65504.0f : 448.0f;
    rounding.smallestNormal = seed % 3 ? 0x1p-14f : 0x1p-6f;
    rounding.mantissaBits = seed % 3 ? 10 : 3;
    rounding.factor =
        seed % 3 ? 1.0f : std::ldexp(1.3f, static_cast<int>(seed) % 100 - 50);
    float factors[16];
    for (int i = 0; i < 16; ++i)
      factors[i] = std::ldexp(1.1f, -i);
    CandidateBatch batch = {factors, rounding.factor * 3, 8.0f, 1.0f, 0.0f,
                            15.0f};
    double a[16], b[16];
    portable.errors(w.data(), h.data(), count, rounding, batch, a);
    fast.errors(w.data(), h.data(), count, rounding, batch, b);
    for (int i = 0; i < 16; ++i)
      if (std::isnan(a[i])) // 0 · ∞ of a weight and an importance
        ASSERT_TRUE(std::isnan(b[i]));
      else
        ASSERT_EQ(a[i], b[i]) << "seed " << seed << " candidate " << i;
  }
}

TEST(GroupKernels, ErrorsAreAddedInOneOrder) {
  for (int64_t count : {1, 511, 512, 513, 1300}) {
    std::vector<float> w = naive::gaussian(count, 1);
    std::vector<float> h = naive::gaussian(count, 2);
    for (float &x : h)
      x *= x;
    ScaleRounding rounding = {1.0f, 65504.0f, 0x1p-14f, 10};
    float factors[16];
    for (int i = 0; i < 16; ++i)
      factors[i] = 1.1f - 0.05f * static_cast<float>(i);
    CandidateBatch batch = {factors, 0.4f, 8.0f, 1.0f, 0.0f, 15.0f};
    double errors[16];
    groupKernels(CodePath::Portable)
        .errors(w.data(), h.data(), count, rounding, batch, errors);
    for (int i = 0; i < 16; ++i) {
      float step = naive::loadScale(
          ScaleType::F16, naive::storeScale(ScaleType::F16, factors[i] * 0.4f));
      float inverse = 1.0f / step, sum = 0;
      double total = 0;
      for (int64_t k = 0; k < count; ++k) {
        float t = w[static_cast<size_t>(k)] * inverse + 8.0f;
        float e = t - std::rint(naive::clamp(t, i == 0 ? 1.0f : 0.0f, 15.0f));
        sum = sum + h[static_cast<size_t>(k)] * e * e;
        if (k % 512 == 511 || k == count - 1) {
          total += sum;
          sum = 0;
        }
      }
      ASSERT_EQ(errors[i], total * (static_cast<double>(step) * step));
    }
  }
}

TEST(GroupKernels, StepsThatAreNotNormalNeverWin) {
  std::vector<float> w(32, 1e-39f), h(32, 1.0f);
  float factors[16];
  for (int i = 0; i < 16; ++i)
    factors[i] = 1.0f;
  for (float factor : {1e-45f, 1e-40f, 0x1p-127f, 1e37f}) {
    // 448 · factor is subnormal or infinite, or the scale rounds to 0.
    float unrounded = factor < 1 ? factor : HUGE_VALF;
    ScaleRounding rounding = {factor, 448.0f, 0x1p-6f, 3};
    CandidateBatch batch = {factors, unrounded, 8.0f, 1.0f, 0.0f, 15.0f};
    for (CodePath path : {CodePath::Portable, fastestCodePath()}) {
      double errors[16];
      groupKernels(path).errors(w.data(), h.data(), 32, rounding, batch,
                                errors);
      for (double error : errors)
        EXPECT_EQ(error, HUGE_VAL) << factor;
    }
  }
}

TEST_F(BothPaths, CodesOfWildWeights) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::vector<float> w = wildFloats(64, seed);
    Grid grid;
    grid.step = std::ldexp(1.7f, static_cast<int>(seed) - 150);
    grid.shift = seed % 2 ? -0.5f : 128.0f;
    grid.low = seed % 2 ? -128.0f : 0.0f;
    grid.high = seed % 2 ? 127.0f : 255.0f;
    grid.base = seed % 2 ? 128 : 0;
    uint8_t a[64], b[64];
    portable.codes(w.data(), 64, grid, a);
    fast.codes(w.data(), 64, grid, b);
    ASSERT_EQ(std::memcmp(a, b, sizeof(a)), 0);
    for (size_t i = 0; i < 64; ++i) {
      float t = std::rint(
          naive::clamp(w[i] / grid.step + grid.shift, grid.low, grid.high));
      ASSERT_EQ(a[i], static_cast<int>(t) + grid.base);
    }
  }
}

TEST_F(BothPaths, LedgerSumsOfWildWeights) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    int64_t count = 1 + seed % 130;
    std::vector<float> w = wildFloats(static_cast<size_t>(count), seed);
    std::vector<float> h = wildFloats(static_cast<size_t>(count), seed + 9);
    std::vector<uint8_t> codes(static_cast<size_t>(count));
    for (size_t i = 0; i < codes.size(); ++i)
      codes[i] = static_cast<uint8_t>(i * 37 + seed);
    CodedGroup group = {codes.data(), 127.5f, 0.37f, 1.3f};
    ErrorLanes a, b;
    const float *importance = seed % 2 ? h.data() : nullptr;
    portable.addErrors(w.data(), importance, count, group, a);
    fast.addErrors(w.data(), importance, count, group, b);
    ASSERT_EQ(std::memcmp(&a, &b, sizeof(a)), 0);
  }
}
