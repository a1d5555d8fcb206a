//===- PerplexityTest.cpp - Windows and scored tokens -----------*- C++ -*-===//

#include "TinyModule.h"

#include "lowbit/Reference/Perplexity.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace lowbit;

namespace {

/// Logits of a token are row `token` of a table, whatever came before.
constexpr const char *tableModule = R"mlir(
lowbit.parameter @table : tensor<3x3xf32> init {
  %0 = arith.constant dense<[[0.0, 0.0, 0.0], [0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]> : tensor<3x3xf32>
  lowbit.yield %0 : tensor<3x3xf32>
}
func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>) -> tensor<?x3xf32> {
  %0 = lowbit.weight @table : tensor<3x3xf32>
  %1 = lowbit.embedding %ids, %0 : tensor<?xi32>, tensor<3x3xf32> -> tensor<?x3xf32>
  %2 = lowbit.select_rows %1, %select : tensor<?x3xf32>, tensor<?xi32> -> tensor<?x3xf32>
  return %2 : tensor<?x3xf32>
}
)mlir";

/// −log p(next | token) of the table above.
double nats(int token, int next) {
  double rows[3][3] = {{0, 0, 0}, {0, 1, 2}, {3, 0, 0}};
  double sum = 0;
  for (double logit : rows[token])
    sum += std::exp(logit);
  return std::log(sum) - rows[token][next];
}

reference::PerplexityResult measure(const std::vector<int32_t> &ids,
                                    reference::PerplexityOptions options) {
  TinyModel model({}, tableModule);
  Result<reference::PerplexityResult> result =
      reference::perplexity(model.interpreter, ids, options);
  EXPECT_TRUE(bool(result)) << (result ? "" : result.error().message);
  return result ? *result : reference::PerplexityResult();
}

TEST(Perplexity, EveryTokenAfterBos) {
  // Windows: [0 1 2], [0 1 1], [0 2].
  reference::PerplexityOptions options;
  options.context = 3;
  options.bos = 0;
  reference::PerplexityResult result = measure({1, 2, 1, 1, 2}, options);
  EXPECT_EQ(result.windows, 3);
  EXPECT_EQ(result.scored, 5);
  double mean = (3 * nats(0, 1) + nats(1, 2) + nats(1, 1)) / 5;
  EXPECT_NEAR(result.meanNegativeLogLikelihood, mean, 1e-12);
  EXPECT_NEAR(result.perplexity, std::exp(mean), 1e-12);
}

TEST(Perplexity, WithoutBosTheFirstTokenIsNotScored) {
  // Windows: [1 2], [1 1], and [2], which scores nothing.
  reference::PerplexityOptions options;
  options.context = 2;
  reference::PerplexityResult result = measure({1, 2, 1, 1, 2}, options);
  EXPECT_EQ(result.windows, 2);
  EXPECT_EQ(result.scored, 2);
  EXPECT_NEAR(result.meanNegativeLogLikelihood, (nats(1, 2) + nats(1, 1)) / 2,
              1e-12);
}

TEST(Perplexity, LlamaCppScoresSecondHalves) {
  // [0 1 2 1] then [1→0 2 1 2]; tokens 3 of each are scored.
  reference::PerplexityOptions options;
  options.context = 4;
  options.bos = 0;
  options.llamaCpp = true;
  reference::PerplexityResult result =
      measure({1, 2, 1, 1, 2, 1, 2, 1}, options);
  EXPECT_EQ(result.windows, 2);
  EXPECT_EQ(result.scored, 2);
  EXPECT_NEAR(result.meanNegativeLogLikelihood, (nats(2, 1) + nats(1, 2)) / 2,
              1e-12);
}

TEST(Perplexity, StopsAfterWindows) {
  reference::PerplexityOptions options;
  options.context = 2;
  options.bos = 0;
  options.windows = 2;
  EXPECT_EQ(measure({1, 2, 1}, options).scored, 2);
}

TEST(Perplexity, RefusesTextsThatScoreNothing) {
  TinyModel model({}, tableModule);
  EXPECT_FALSE(bool(reference::perplexity(model.interpreter, {1}, {})));
  reference::PerplexityOptions options;
  options.context = 1;
  EXPECT_FALSE(bool(reference::perplexity(model.interpreter, {1, 2}, options)));
}

} // namespace
