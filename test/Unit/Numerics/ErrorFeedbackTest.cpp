//===- ErrorFeedbackTest.cpp ---------------------------------- -*- C++ -*-===//
//
// The factor, the loop and the quadratic form, against their definitions.
//
//===----------------------------------------------------------------------===//
#include "FeedbackInputs.h"
#include "lowbit/Numerics/CalibratedTarget.h"
#include "lowbit/Numerics/InputMoments.h"
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

using namespace lowbit;
using namespace lowbit::feedback;

namespace {

std::vector<CodePath> paths() {
  std::vector<CodePath> result = {CodePath::Portable};
  if (fastestCodePath() != CodePath::Portable)
    result.push_back(fastestCodePath());
  return result;
}

/// Rounds to multiples of a step, and adds up the metric of each block.
class StepQuantizer : public BlockQuantizer {
public:
  explicit StepQuantizer(float step) : step(step) {}

  void quantize(const FeedbackBlock &block, float *values) override {
    seen.insert(seen.end(), block.columns, block.columns + block.count);
    for (int64_t r = 0; r < block.rows; ++r)
      for (int64_t j = 0; j < block.count; ++j) {
        float target = block.targets[j * block.lanes + r];
        values[j * block.lanes + r] = step * std::rint(target / step);
      }
    for (int64_t r = 0; r < block.rows; ++r)
      for (int64_t j = 0; j < block.count; ++j) {
        double sum = 0;
        for (int64_t i = 0; i <= j; ++i)
          sum += (double(block.targets[i * block.lanes + r]) -
                  double(values[i * block.lanes + r])) *
                 double(block.metric(i, j));
        loss += sum * sum;
      }
    results.insert(results.end(), values, values + block.count * block.lanes);
  }

  float step;
  double loss = 0;
  std::vector<int32_t> seen;
  /// By position, in lanes.
  std::vector<float> results;
};

/// W − Q, row-major.
std::vector<float> errorOf(const std::vector<float> &weights, int64_t rows,
                           int64_t columns, const StepQuantizer &quantizer,
                           int64_t lanes) {
  std::vector<float> error(rows * columns);
  for (int64_t position = 0; position < columns; ++position)
    for (int64_t r = 0; r < rows; ++r) {
      int64_t k = quantizer.seen[position];
      error[r * columns + k] =
          weights[r * columns + k] - quantizer.results[position * lanes + r];
    }
  return error;
}

} // namespace

TEST(FeedbackFactor, MultipliesBackToTheDampedMoments) {
  for (int64_t columns : {1, 3, 64, 65, 150}) {
    Moments h = measured(columns, 3 * columns, 7);
    FeedbackOrder order = activationOrder(h.view(), 1);
    FeedbackFactor factor = factorOf(h, order, 0.02);
    double mean = 0;
    for (int64_t k = 0; k < columns; ++k)
      mean += double(h.at(k, k)) / double(columns);
    EXPECT_NEAR(factor.damping(), 0.02 * mean, 1e-9 * mean);
    for (int64_t i = 0; i < columns; ++i)
      for (int64_t j = i; j < columns; ++j) {
        double sum = 0;
        for (int64_t k = j; k < columns; ++k)
          sum += double(factor.column(k)[i]) * double(factor.column(k)[j]);
        double expected = double(h.at(order.columns[i], order.columns[j])) +
                          (i == j ? factor.damping() : 0);
        ASSERT_NEAR(sum, expected, 1e-5 * mean * double(columns));
      }
  }
}

TEST(FeedbackFactor, HasEqualBytesOnAllPathsAndThreads) {
  Moments h = measured(200, 500, 3);
  FeedbackFactor reference =
      factorOf(h, columnOrder(200, 1), 0.01, CodePath::Portable);
  for (CodePath path : paths())
    for (const ParallelLoop &loop :
         {ParallelLoop(runInOrder), ParallelLoop(runBackwards)}) {
      FeedbackFactor factor =
          factorOf(h, columnOrder(200, 1), 0.01, path, loop);
      EXPECT_EQ(std::memcmp(factor.column(0), reference.column(0),
                            200 * 201 / 2 * sizeof(float)),
                0);
    }
}

TEST(FeedbackFactor, TakesSingularMoments) {
  // Four samples for 100 columns: rank 4. Without damping λ grows until it
  // goes.
  Moments h = measured(100, 4, 5);
  FeedbackFactor damped = factorOf(h, columnOrder(100, 1), 0.01);
  FeedbackFactor grown = factorOf(h, columnOrder(100, 1), 0);
  EXPECT_GT(grown.damping(), 0);
  EXPECT_LT(grown.damping(), damped.damping());
  Moments nothing(10);
  FeedbackFactor identity = factorOf(nothing, columnOrder(10, 1), 0.01);
  for (int64_t j = 0; j < 10; ++j)
    for (int64_t i = 0; i <= j; ++i)
      EXPECT_EQ(identity.column(j)[i], i == j ? 1.0f : 0.0f);
}

TEST(FeedbackFactor, RefusesBadMoments) {
  FeedbackFactor factor;
  Moments h = autoregressive(20, 0.5);
  h.at(7, 3) = NAN;
  auto defect = FeedbackFactor::compute(h.view(), columnOrder(20, 1), 0.01,
                                        runInOrder, factor);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::BadImportance);
  EXPECT_EQ(defect->column, 7);
  h.at(7, 3) = 0;
  h.at(9, 9) = -1;
  defect = FeedbackFactor::compute(h.view(), columnOrder(20, 1), 0.01,
                                   runInOrder, factor);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->column, 9);
}

TEST(FeedbackOrder, CutsBlocks) {
  FeedbackOrder forward = columnOrder(7, 3);
  EXPECT_EQ(forward.columns, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(forward.blocks, (std::vector<int32_t>{0, 3, 6, 7}));
  FeedbackOrder backward = reversedOrder(7, 3);
  EXPECT_EQ(backward.columns, (std::vector<int32_t>{6, 3, 4, 5, 0, 1, 2}));
  EXPECT_EQ(backward.blocks, (std::vector<int32_t>{0, 1, 4, 7}));
  Moments h(5);
  const float diagonal[] = {1, 3, 2, 3, 9};
  for (int64_t k = 0; k < 5; ++k)
    h.at(k, k) = diagonal[k];
  EXPECT_EQ(activationOrder(h.view(), 1).columns,
            (std::vector<int32_t>{4, 1, 3, 2, 0}));
  EXPECT_EQ(activationOrder(h.view(), 2).columns,
            (std::vector<int32_t>{4, 2, 3, 0, 1}));
}

TEST(ErrorFeedback, LossIsTheOutputError) {
  // The sum of the blocks' metrics is tr(Δ (H + λI) Δᵀ), whatever the blocks.
  int64_t columns = 150;
  Moments h = measured(columns, 600, 11);
  for (int64_t rows : {1, 16, 40, 64}) {
    std::vector<float> weights = gaussian(rows * columns, 2);
    LaneRows lanes;
    lanes.load({weights.data(), columns, rows, columns, 0});
    for (const FeedbackOrder &order :
         {columnOrder(columns, 1), activationOrder(h.view(), 1),
          columnOrder(columns, 20), reversedOrder(columns, 4),
          columnOrder(columns, 140)}) {
      FeedbackFactor factor = factorOf(h, order, 0.01);
      StepQuantizer quantizer(0.5f);
      ErrorFeedback feedback(factor);
      feedback.run(lanes, quantizer);
      ASSERT_EQ(quantizer.seen, order.columns);
      std::vector<float> error =
          errorOf(weights, rows, columns, quantizer, lanes.lanes);
      double squares = 0;
      for (float e : error)
        squares += double(e) * double(e);
      double expected =
          outputError(h, error, rows) + factor.damping() * squares;
      EXPECT_NEAR(quantizer.loss, expected, 1e-4 * expected);
      LaneRows errorLanes;
      errorLanes.load({error.data(), columns, rows, columns, 0});
      for (CodePath path : paths())
        EXPECT_NEAR(quadraticForm(h.view(), errorLanes, path),
                    outputError(h, error, rows), 1e-5 * expected);
    }
  }
}

TEST(ErrorFeedback, IdentityReturnsTheWeights) {
  class Identity : public BlockQuantizer {
  public:
    void quantize(const FeedbackBlock &block, float *values) override {
      std::copy_n(block.targets, block.count * block.lanes, values);
      targets.insert(targets.end(), block.targets,
                     block.targets + block.count * block.lanes);
    }
    std::vector<float> targets;
  };
  Moments h = measured(70, 200, 1);
  std::vector<float> weights = gaussian(16 * 70, 3);
  LaneRows lanes;
  lanes.load({weights.data(), 70, 16, 70, 0});
  FeedbackFactor factor = factorOf(h, columnOrder(70, 2), 0.01);
  Identity identity;
  ErrorFeedback(factor).run(lanes, identity);
  EXPECT_EQ(identity.targets, lanes.values);
}

TEST(ErrorFeedback, NextTargetsAreThoseOfABlockWithoutError) {
  /// Every second block becomes what it was; then the next one must find what
  /// was foretold.
  class Seer : public BlockQuantizer {
  public:
    explicit Seer(const LaneRows &weights) : weights(weights) {}
    bool looksAhead() const override { return true; }
    void quantize(const FeedbackBlock &block, float *values) override {
      int64_t size = block.count * block.lanes;
      if (!foretold.empty()) {
        EXPECT_EQ(std::vector<float>(block.targets, block.targets + size),
                  foretold);
        ++compared;
      }
      foretold.clear();
      bool isExact = blocks++ % 2;
      for (int64_t i = 0; i < size; ++i) {
        float w =
            weights.column(block.columns[i / block.lanes])[i % block.lanes];
        values[i] = isExact ? w : std::rint(block.targets[i]);
      }
      EXPECT_EQ(block.nextTargets == nullptr,
                block.position + block.count == weights.columns);
      if (isExact && block.nextTargets)
        foretold.assign(block.nextTargets, block.nextTargets + 4 * block.lanes);
    }
    const LaneRows &weights;
    std::vector<float> foretold;
    int blocks = 0, compared = 0;
  };
  int64_t columns = 400; // several chunks
  Moments h = measured(columns, 600, 5);
  std::vector<float> weights = gaussian(20 * columns, 3);
  LaneRows lanes;
  lanes.load({weights.data(), columns, 20, columns, 0});
  FeedbackFactor factor = factorOf(h, reversedOrder(columns, 4), 0.01);
  for (CodePath path : paths()) {
    Seer seer(lanes);
    ErrorFeedback(factor, path).run(lanes, seer);
    EXPECT_EQ(seer.compared, 49);
  }
}

TEST(ErrorFeedback, RowsDoNotDependOnEachOther) {
  int64_t columns = 130;
  Moments h = measured(columns, 300, 21);
  FeedbackFactor factor = factorOf(h, reversedOrder(columns, 4), 0.01);
  std::vector<float> weights = gaussian(64 * columns, 4);
  LaneRows all, some;
  all.load({weights.data(), columns, 64, columns, 0});
  some.load({weights.data() + 16 * columns, columns, 5, columns, 0});
  for (CodePath path : paths()) {
    StepQuantizer whole(0.7f), part(0.7f);
    ErrorFeedback(factor, path).run(all, whole);
    ErrorFeedback(factor, path).run(some, part);
    for (int64_t position = 0; position < columns; ++position)
      for (int64_t r = 0; r < 5; ++r)
        ASSERT_EQ(whole.results[position * 64 + 16 + r],
                  part.results[position * 16 + r]);
  }
}

TEST(CalibratedTarget, SolvesTheLeastSquares) {
  // Q (Ĥ + λI) = W (G + λI), G = D + Ĥ, for each row.
  int64_t columns = 140, rows = 19;
  Moments h = measured(columns, 500, 31);
  std::vector<float> drift = gaussian(columns * columns, 32);
  std::vector<float> weights = gaussian(rows * columns, 33);
  for (const FeedbackOrder &order :
       {columnOrder(columns, 1), activationOrder(h.view(), 1)}) {
    FeedbackFactor factor = factorOf(h, order, 0.05);
    LaneRows first;
    for (CodePath path : paths()) {
      LaneRows lanes;
      lanes.load({weights.data(), columns, rows, columns, 0});
      CalibratedTarget target(factor, {drift.data(), columns}, path);
      target.solve(lanes);
      if (first.values.empty())
        first = lanes;
      EXPECT_EQ(first.values, lanes.values);
    }
    double worst = 0, largest = 0;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < columns; ++j) {
        double left = 0, right = 0;
        for (int64_t i = 0; i < columns; ++i) {
          double change =
              double(first.column(i)[r]) - double(weights[r * columns + i]);
          left +=
              change * (double(h.at(i, j)) + (i == j ? factor.damping() : 0.0));
          right +=
              double(weights[r * columns + i]) * double(drift[j * columns + i]);
        }
        worst = std::max(worst, std::abs(left - right));
        largest = std::max(largest, std::abs(right));
      }
    EXPECT_LT(worst, 1e-3 * largest);
  }
}

TEST(CalibratedTarget, KeepsWeightsWhereNothingMoved) {
  Moments h = measured(50, 100, 41);
  std::vector<float> drift(50 * 50), weights = gaussian(3 * 50, 42);
  FeedbackFactor factor = factorOf(h, columnOrder(50, 1), 0.01);
  LaneRows lanes;
  lanes.load({weights.data(), 50, 3, 50, 0});
  std::vector<float> before = lanes.values;
  CalibratedTarget(factor, {drift.data(), 50}).solve(lanes);
  EXPECT_EQ(before, lanes.values);
}

TEST(InputMoments, AreTheSumsOfTheirDefinition) {
  int64_t columns = 150, rows = 70;
  std::vector<float> seen = gaussian(rows * columns, 51);
  std::vector<float> wanted = gaussian(rows * columns, 52);
  std::vector<float> first;
  for (CodePath path : paths())
    for (const ParallelLoop &loop :
         {ParallelLoop(runInOrder), ParallelLoop(runBackwards)}) {
      InputMoments sums(columns, path);
      sums.add(seen.data(), wanted.data(), 50, loop);
      sums.add(seen.data() + 50 * columns, wanted.data() + 50 * columns,
               rows - 50, loop);
      std::vector<float> moments = sums.moments(), drift = sums.drift();
      if (first.empty())
        first = drift;
      EXPECT_EQ(first, drift);
      for (int64_t i = 0; i < columns; ++i)
        for (int64_t j = 0; j < columns; ++j) {
          double h = 0, d = 0;
          for (int64_t r = 0; r < rows; ++r) {
            double x = seen[r * columns + i];
            h += x * double(seen[r * columns + j]);
            d += x * double(wanted[r * columns + j] - seen[r * columns + j]);
          }
          ASSERT_NEAR(drift[i * columns + j], d, 1e-4 * rows);
          if (j <= i)
            ASSERT_NEAR(moments[i * (i + 1) / 2 + j], h, 1e-4 * rows);
        }
    }
}
