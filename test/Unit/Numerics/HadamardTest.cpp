//===- HadamardTest.cpp - Matrices, signs, transforms of rows -------------===//

#include "lowbit/Numerics/Hadamard.h"
#include "lowbit/Numerics/RowTransform.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace lowbit;

namespace {

std::vector<double> gaussian(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> values(count);
  for (double &value : values)
    value = normal(random);
  return values;
}

/// All cores up to a size.
std::vector<int64_t> cores(int64_t limit) {
  std::vector<int64_t> result;
  for (int64_t n = 1; n <= limit; ++n)
    if (auto order = hadamardOrder(n); order && order->core == n)
      result.push_back(n);
  return result;
}

TEST(Hadamard, RowsOfEveryCoreAreOrthogonal) {
  int64_t count = 0;
  for (int64_t m : cores(400)) {
    std::vector<int8_t> h = hadamardCore(m);
    ASSERT_EQ(static_cast<int64_t>(h.size()), m * m);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j <= i; ++j) {
        int64_t sum = 0;
        for (int64_t k = 0; k < m; ++k) {
          ASSERT_EQ(std::abs(h[i * m + k]), 1);
          sum += h[i * m + k] * h[j * m + k];
        }
        ASSERT_EQ(sum, i == j ? m : 0) << m << ": " << i << ", " << j;
      }
    ++count;
  }
  // 1, 12, 20, 28, 36, 44, 52, … , 344 and 364.
  EXPECT_GT(count, 30);
}

TEST(Hadamard, Orders) {
  auto core = [](int64_t n) {
    auto order = hadamardOrder(n);
    return order ? order->core : 0;
  };
  EXPECT_EQ(core(4096), 1);
  EXPECT_EQ(core(2), 1);
  EXPECT_EQ(core(352), 44);
  EXPECT_EQ(core(9728), 76);
  EXPECT_EQ(core(11008), 344);
  EXPECT_EQ(core(18944), 148);
  EXPECT_EQ(core(14336), 28);
  EXPECT_EQ(core(13824), 108);
  EXPECT_EQ(core(5120), 20);
  for (int64_t none : {0L, -4L, 3L, 6L, 92L, 172L, 116L, 43L})
    EXPECT_EQ(core(none), 0) << none;
  EXPECT_EQ(largestHadamardBlock(172), 4);
  EXPECT_EQ(largestHadamardBlock(688), 688);
  EXPECT_EQ(largestHadamardBlock(97), 1);
}

TEST(Hadamard, SignsOfSeed) {
  // splitmix64 of seed 0 starts with 0xE220A8397B1DCDAF.
  std::vector<int8_t> signs = signsOfSeed(0, 70);
  for (int k = 0; k < 64; ++k)
    EXPECT_EQ(signs[k] < 0, (0xE220A8397B1DCDAFu >> k & 1) != 0) << k;
  // … and goes on with 0x6E789E6AA1B965F4.
  for (int k = 64; k < 70; ++k)
    EXPECT_EQ(signs[k] < 0, (0x6E789E6AA1B965F4u >> (k - 64) & 1) != 0) << k;
}

TEST(Hadamard, TransposeUndoes) {
  for (int64_t block : {1, 2, 16, 12, 20, 28, 36, 52, 76, 344, 688}) {
    std::vector<double> x = gaussian(2 * block, 7), y = x, scratch(block);
    HadamardTransform(block, 5, false)
        .apply(y.data(), 2 * block, scratch.data());
    double before = 0, after = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      before += x[i] * x[i];
      after += y[i] * y[i];
    }
    EXPECT_NEAR(after / before, 1, 1e-12);
    HadamardTransform(block, 5, true)
        .apply(y.data(), 2 * block, scratch.data());
    for (size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(x[i], y[i], 1e-12);
  }
}

TEST(Hadamard, FloatsAreCloseToDoubles) {
  std::vector<double> x = gaussian(688, 3), scratch(688);
  std::vector<float> y(x.begin(), x.end()), narrow(688);
  x.assign(y.begin(), y.end());
  HadamardTransform transform(688, 1, false);
  transform.apply(x.data(), 688, scratch.data());
  transform.apply(y.data(), 688, narrow.data());
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(x[i], y[i], 3e-6);
}

TEST(RowTransform, PathsGiveTheSameBits) {
  for (int64_t n : {1, 3, 64, 65, 520}) {
    std::vector<double> p = gaussian(n * n, 1), x = gaussian(11 * n, 2);
    std::vector<double> a(x.size()), b(x.size());
    makeKroneckerRows(n, {}, 1, p, n, CodePath::Portable)
        ->apply(x.data(), 11, a.data());
    makeKroneckerRows(n, {}, 1, p, n)->apply(x.data(), 11, b.data());
    EXPECT_EQ(a, b) << n;
    std::vector<double> q = p, r = p;
    ASSERT_TRUE(invertMatrix(q, n, CodePath::Portable));
    ASSERT_TRUE(invertMatrix(r, n));
    EXPECT_EQ(q, r) << n;
  }
}

TEST(RowTransform, KroneckerIsTheDenseProduct) {
  int64_t a = 3, b = 5, n = a * b;
  std::vector<double> p1 = gaussian(a * a, 1), p2 = gaussian(b * b, 2);
  std::vector<double> dense(n * n), x = gaussian(4 * n, 3);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      dense[i * n + j] = p1[i / b * a + j / b] * p2[i % b * b + j % b];
  std::vector<double> y(x.size()), z(x.size());
  makeKroneckerRows(2 * n, p1, a, p2, b)->apply(x.data(), 2, y.data());
  makeKroneckerRows(2 * n, {}, 1, dense, n)->apply(x.data(), 2, z.data());
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(y[i], z[i], 1e-12);
}

TEST(RowTransform, InverseAndNorms) {
  int64_t n = 40;
  std::vector<double> p = gaussian(n * n, 9), inverse = p;
  ASSERT_TRUE(invertMatrix(inverse, n));
  std::vector<double> product(n * n);
  makeKroneckerRows(n, {}, 1, inverse, n)->apply(p.data(), n, product.data());
  for (int64_t i = 0; i < n * n; ++i)
    EXPECT_NEAR(product[i], i % (n + 1) == 0 ? 1 : 0, 1e-11);
  std::vector<double> singular(n * n, 1.0);
  EXPECT_FALSE(invertMatrix(singular, n));
  EXPECT_EQ(columnSumNorm({1, -2, 3, 4}, 2), 6);
  EXPECT_GT(orthogonalityError(p, n), 1);
  std::vector<double> rotation = {0.6, -0.8, 0.8, 0.6};
  EXPECT_LT(orthogonalityError(rotation, 2), 1e-15);
  rotation[0] = std::nan("");
  EXPECT_FALSE(orthogonalityError(rotation, 2) < 1);
}

TEST(RowTransform, GatherAndItsInverse) {
  std::vector<int64_t> index = {0, 1, 1, 2, 2, 2, -1, 3};
  auto gather = makeGatherRows(4, index, false, false);
  auto back = makeGatherRows(4, index, true, true);
  std::vector<double> x = {1, 2, 3, 4, 5, 6, 7, 8}, y(16), z(8);
  gather->apply(x.data(), 2, y.data());
  EXPECT_EQ(std::vector<double>(y.begin(), y.begin() + 8),
            (std::vector<double>{1, 2, 2, 3, 3, 3, 0, 4}));
  back->apply(y.data(), 2, z.data());
  EXPECT_EQ(x, z);
}

} // namespace
