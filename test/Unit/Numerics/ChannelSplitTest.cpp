//===- ChannelSplitTest.cpp - Codes of copies sum to that of the column ---===//
//
// Spec.md, section 3, Spread: Hermite's identity in exact integers, and through
// the solver `nearest`, whose codes must add up to the unclipped code of the
// original rounded half up, ties included.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/ChannelSplit.h"

#include "NaiveInteger.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/IntegerTile.h"
#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace lowbit;

namespace {

/// floor(a / b) for b > 0.
int64_t floorDivide(int64_t a, int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/// Σ floor((w − (k−1)/2 + t)/k + ½) = floor(w + ½) for every w = n / d.
TEST(ChannelSplit, HermiteInExactIntegers) {
  int64_t ties = 0;
  for (int64_t k = 2; k <= 8; ++k)
    for (int64_t d = 1; d <= 24; ++d)
      for (int64_t n = -40 * d; n <= 40 * d; ++n) {
        int64_t sum = 0;
        for (int64_t t = 0; t < k; ++t)
          sum += floorDivide(2 * n + d * (2 * t - (k - 1)) + k * d, 2 * k * d);
        ASSERT_EQ(sum, floorDivide(2 * n + d, 2 * d))
            << n << "/" << d << " in " << k;
        ties += (2 * n) % d == 0 && (2 * n / d) % 2 != 0;
      }
  EXPECT_GT(ties, 1000);
}

struct Split {
  IntegerFormat format;
  std::vector<int64_t> index;
  int64_t columns = 0;
};

/// A group of 32: columns 0 and 1 once, then columns k times while there is
/// room.
Split makeSplit(int bits, Offset offset, int64_t k) {
  Split split;
  split.format = {bits, 32, ScaleType::F16, offset};
  split.index = {0, 1};
  split.columns = 2;
  while (static_cast<int64_t>(split.index.size()) + k <= 32)
    split.index.insert(split.index.end(), k, split.columns++);
  split.index.resize(32, -1);
  return split;
}

/// Checks one group; adds up ties that it met.
void expectIdentity(const Split &split, const std::vector<double> &weights,
                    int64_t k, int64_t &ties) {
  std::vector<double> row;
  for (int64_t column : split.index)
    row.push_back(column < 0   ? 0
                  : column < 2 ? weights[column]
                               : weights[column] / static_cast<double>(k));
  std::vector<double> sums(split.columns);
  ChannelSplit(split.format, split.index).spread(row.data());
  for (size_t i = 0; i < row.size(); ++i)
    if (split.index[i] >= 0)
      sums[split.index[i]] += row[i];
  for (int64_t column = 0; column < split.columns; ++column)
    ASSERT_NEAR(sums[column], weights[column],
                1e-14 * (1 + std::fabs(weights[column])));

  std::vector<float> narrow(row.begin(), row.end());
  naive::Group group =
      naive::solveNearest(split.format, narrow.data(), 32, 1.0f);
  double step = scaleValue(ScaleType::F16, group.scaleBits);
  ASSERT_GT(step, 0);
  bool isHalf = split.format.offset == Offset::Half;
  int zero = split.format.offset == Offset::Stored ? group.zero
                                                   : split.format.codes() / 2;
  std::vector<double> codes(split.columns);
  for (size_t i = 0; i < row.size(); ++i) {
    if (split.index[i] < 0)
      continue;
    // As the solver computes it, in f32, but not clipped.
    float quotient = narrow[i] / static_cast<float>(step);
    float code = isHalf ? std::rint(quotient - 0.5f)
                        : std::rint(quotient + static_cast<float>(zero)) -
                              static_cast<float>(zero);
    codes[split.index[i]] += code;
    // The step covers all; z, of the scale before it is rounded, may be one
    // short.
    if (split.format.offset != Offset::Stored)
      ASSERT_EQ(group.codes[i] - zero, code);
  }
  for (int64_t column = 2; column < split.columns; ++column) {
    double quotient = weights[column] / step;
    // Σ floor(v_t/s + ½); for half grids Σ floor(v_t/s).
    double shifted =
        quotient + (isHalf ? -static_cast<double>(k - 1) / 2 : 0.5);
    ties += shifted == std::floor(shifted);
    ASSERT_EQ(codes[column], std::floor(shifted))
        << split.format.bits << " bits, " << k << " copies, " << quotient;
  }
}

TEST(ChannelSplit, CodesAddUpThroughNearest) {
  std::mt19937 random(4);
  std::normal_distribution<double> normal;
  int64_t ties = 0;
  for (int bits = 2; bits <= 8; ++bits)
    for (Offset offset : {Offset::Integer, Offset::Half, Offset::Stored})
      for (int64_t k : {2, 3, 4, 5, 8})
        for (int trial = 0; trial < 20; ++trial) {
          Split split = makeSplit(bits, offset, k);
          std::vector<double> weights(split.columns);
          for (double &weight : weights)
            weight = static_cast<float>(normal(random));
          // Splits are for what is large.
          for (int64_t column = 2; column < split.columns; ++column)
            weights[column] *= 4;
          ASSERT_NO_FATAL_FAILURE(expectIdentity(split, weights, k, ties))
              << trial;
        }
}

/// Columns that are not split fix the step to 1/8; the others stand on ties.
TEST(ChannelSplit, TiesAreRoundedUp) {
  std::mt19937 random(5);
  int64_t ties = 0, all = 0;
  for (int bits = 2; bits <= 7; ++bits)
    for (Offset offset : {Offset::Integer, Offset::Half, Offset::Stored})
      for (int64_t k : {2, 4, 8, 3, 6})
        for (int trial = 0; trial < 10; ++trial) {
          Split split = makeSplit(bits, offset, k);
          std::vector<double> weights(split.columns);
          double half = split.format.codes() / 2;
          weights[0] = (offset == Offset::Integer ? half - 1 : half - 0.5) / 8;
          weights[1] = -weights[0];
          if (offset == Offset::Stored) { // z is a whole number.
            weights[0] = (half - 1) / 8;
            weights[1] = -half / 8;
          }
          auto reach = static_cast<int64_t>(half - 1) * k;
          for (int64_t column = 2; column < split.columns; ++column) {
            auto whole = static_cast<double>(
                static_cast<int64_t>(random() % (2 * reach + 1)) - reach);
            bool onHalves = offset != Offset::Half || k % 2 == 0;
            weights[column] = (whole + (onHalves ? 0.5 : 0)) / 8;
            ++all;
          }
          // Copies must not be wider than what fixes the step.
          for (int64_t column = 2; column < split.columns; ++column)
            if (std::fabs(weights[column]) >
                weights[0] * double(k) - double(k) / 8)
              weights[column] = 0;
          ASSERT_NO_FATAL_FAILURE(expectIdentity(split, weights, k, ties))
              << trial;
        }
  EXPECT_GT(ties, all / 4);
}

/// A row that is all zero, or has no copies, stays.
TEST(ChannelSplit, LeavesOtherColumnsAlone) {
  Split split = makeSplit(2, Offset::Half, 2);
  std::vector<double> row(32);
  ChannelSplit(split.format, split.index).spread(row.data());
  EXPECT_EQ(row, std::vector<double>(32));
  std::vector<int64_t> plain(40);
  for (int64_t i = 0; i < 40; ++i)
    plain[i] = i;
  std::vector<double> other;
  for (int64_t i = 0; i < 40; ++i)
    other.push_back(std::sin(double(i)));
  std::vector<double> before = other;
  ChannelSplit(split.format, plain).spread(other.data());
  EXPECT_EQ(other, before);
}

/// One outlier in a group at 2 bits: the error with the split is smaller, and
/// the scale is the one that the split's own range gives.
TEST(ChannelSplit, ShrinksTheError) {
  std::mt19937 random(6);
  std::normal_distribution<double> normal;
  Split split = makeSplit(2, Offset::Half, 2);
  split.index = {0, 1, 2, 2};
  for (int64_t i = 3; i < 31; ++i)
    split.index.push_back(i);
  double with = 0, without = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> weights(31), row;
    for (double &weight : weights)
      weight = normal(random);
    weights[2] *= 6;
    for (int64_t column : split.index)
      row.push_back(column == 2 ? weights[2] / 2 : weights[column]);
    ChannelSplit(split.format, split.index).spread(row.data());
    auto errorOf = [&](const std::vector<double> &numbers) {
      std::vector<float> narrow(numbers.begin(), numbers.end());
      naive::Group group =
          naive::solveNearest(split.format, narrow.data(), narrow.size(), 1.0f);
      double step = scaleValue(ScaleType::F16, group.scaleBits), sum = 0;
      std::vector<double> delta(numbers.size());
      for (size_t i = 0; i < numbers.size(); ++i)
        delta[i] = numbers[i] - step * (group.codes[i] - 1.5);
      if (numbers.size() == 32) { // Copies see the same input.
        delta[2] += delta[3];
        delta[3] = 0;
      }
      for (double d : delta)
        sum += d * d;
      return sum;
    };
    with += errorOf(row);
    without += errorOf(weights);
  }
  EXPECT_LT(with, 0.8 * without);
}

} // namespace
