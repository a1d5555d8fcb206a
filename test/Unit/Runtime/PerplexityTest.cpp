//===- PerplexityTest.cpp -------------------------------------------------===//
#include "lowbit/Runtime/Perplexity.h"

#include "TinyModel.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace lowbit;
using namespace lowbit::test;

namespace {

std::vector<int32_t> someIds(int count) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i)
    ids.push_back((i * 37 + i * i) % 256);
  return ids;
}

std::shared_ptr<const Model> openTiny(const TemporaryFolder &folder,
                                      const char *name,
                                      const std::string &artifact) {
  writeFile(folder.file(name), artifact);
  ModelOptions options;
  options.trust = true;
  options.threads = 1;
  auto model = Model::open(folder.file(name), options);
  EXPECT_TRUE(bool(model)) << model.error().message;
  return *model;
}

std::unique_ptr<Session> session(std::shared_ptr<const Model> model,
                                 int threads = 1) {
  SessionOptions options;
  options.threads = threads;
  auto created = Session::create(std::move(model), options);
  EXPECT_TRUE(bool(created)) << created.error().message;
  return std::move(*created);
}

std::vector<double> logSoftmax(const std::vector<float> &logits) {
  double sum = 0;
  for (float logit : logits)
    sum += std::exp(double(logit));
  std::vector<double> result;
  for (float logit : logits)
    result.push_back(logit - std::log(sum));
  return result;
}

/// −log p of the scored tokens of all windows, plainly.
std::vector<double> naiveNats(const std::vector<Window> &windows) {
  std::vector<double> nats;
  for (const Window &window : windows)
    for (size_t i = window.firstScored; i < window.tokens.size(); ++i)
      nats.push_back(-logSoftmax(
          tinyLogits({window.tokens.begin(),
                      window.tokens.begin() + i}))[window.tokens[i]]);
  return nats;
}

} // namespace

TEST(Perplexity, CutsWindowsWithBosInFront) {
  PerplexityOptions options;
  options.context = 4;
  options.bos = 9;
  auto windows = makeWindows({1, 2, 3, 4, 5, 6, 7}, options);
  ASSERT_EQ(windows.size(), 3u);
  EXPECT_EQ(windows[0].tokens, (std::vector<int32_t>{9, 1, 2, 3}));
  EXPECT_EQ(windows[1].tokens, (std::vector<int32_t>{9, 4, 5, 6}));
  EXPECT_EQ(windows[2].tokens, (std::vector<int32_t>{9, 7}));
  EXPECT_EQ(windows[2].firstScored, 1);
  options.windows = 2;
  EXPECT_EQ(makeWindows({1, 2, 3, 4, 5, 6, 7}, options).size(), 2u);
}

TEST(Perplexity, CutsWindowsWithoutBos) {
  PerplexityOptions options;
  options.context = 3;
  auto windows = makeWindows({1, 2, 3, 4, 5, 6, 7}, options);
  // The last token alone has nothing to be foretold from.
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[1].tokens, (std::vector<int32_t>{4, 5, 6}));
}

TEST(Perplexity, CutsWindowsAsLlamaCppDoes) {
  PerplexityOptions options;
  options.context = 4;
  options.protocol = Protocol::LlamaCpp;
  options.bos = 9;
  auto windows = makeWindows({1, 2, 3, 4, 5, 6, 7, 8}, options);
  ASSERT_EQ(windows.size(), 2u); // 9 tokens with BOS; the last is cut off.
  EXPECT_EQ(windows[0].tokens, (std::vector<int32_t>{9, 1, 2, 3}));
  EXPECT_EQ(windows[1].tokens, (std::vector<int32_t>{9, 5, 6, 7}));
  EXPECT_EQ(windows[1].firstScored, 3);
}

TEST(Perplexity, EstimatesMeanAndError) {
  Estimate e = estimate({1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(e.mean, 2.5);
  EXPECT_DOUBLE_EQ(e.standardError, std::sqrt(5.0 / 3 / 4));
  EXPECT_EQ(estimate({7}).standardError, 0);
}

TEST(Perplexity, EqualsTheNaiveSum) {
  TemporaryFolder folder;
  auto model = openTiny(folder, "m", tinyArtifact());
  auto s = session(model);
  for (auto protocol : {Protocol::EveryToken, Protocol::LlamaCpp})
    for (int64_t context : {2, 30, 150}) {
      PerplexityOptions options;
      options.context = context;
      options.protocol = protocol;
      options.bos = tinyBos;
      auto ids = someIds(400);
      auto expected = naiveNats(makeWindows(ids, options));
      if (expected.empty())
        continue;
      int64_t reported = 0;
      auto result = perplexity(*s, ids, options,
                               [&](int64_t done, int64_t) { reported = done; });
      ASSERT_TRUE(bool(result)) << result.error().message;
      EXPECT_EQ(result->scored, static_cast<int64_t>(expected.size()));
      EXPECT_EQ(result->windows, reported);
      EXPECT_NEAR(result->nats.mean, estimate(expected).mean, 1e-12);
      EXPECT_NEAR(result->nats.standardError, estimate(expected).standardError,
                  1e-12);
      EXPECT_NEAR(result->perplexity.mean, std::exp(estimate(expected).mean),
                  1e-9);
    }
}

TEST(Perplexity, DoesNotDependOnThreads) {
  TemporaryFolder folder;
  auto model = openTiny(folder, "m", tinyArtifact());
  PerplexityOptions options;
  options.context = 60;
  options.bos = tinyBos;
  double first = 0;
  for (int threads : {1, 2, 3, 7}) {
    auto result =
        perplexity(*session(model, threads), someIds(300), options, {});
    ASSERT_TRUE(bool(result));
    if (first == 0)
      first = result->nats.mean;
    EXPECT_EQ(result->nats.mean, first);
  }
}

TEST(Perplexity, ComparesTwoModels) {
  TemporaryFolder folder;
  std::vector<float> head = tinyHead();
  for (float &weight : head)
    weight *= 1.25f;
  std::string other(reinterpret_cast<const char *>(head.data()),
                    head.size() * sizeof(float));
  auto mine = session(openTiny(folder, "m", tinyArtifact()), 2);
  auto theirs = session(openTiny(
      folder, "o",
      buildArtifact(withSection(tinySections(), "weights.head", other))));
  PerplexityOptions options;
  options.context = 40;
  options.bos = tinyBos;
  auto ids = someIds(200);
  auto result = compare(*mine, *theirs, ids, options, {});
  ASSERT_TRUE(bool(result)) << result.error().message;

  std::vector<double> divergences, differences;
  for (const Window &window : makeWindows(ids, options))
    for (size_t i = 1; i < window.tokens.size(); ++i) {
      auto logits =
          tinyLogits({window.tokens.begin(), window.tokens.begin() + i});
      auto scaled = logits;
      for (float &logit : scaled)
        logit *= 1.25f;
      auto q = logSoftmax(logits), p = logSoftmax(scaled);
      double sum = 0;
      for (size_t v = 0; v < p.size(); ++v)
        sum += std::exp(p[v]) * (p[v] - q[v]);
      divergences.push_back(sum);
      differences.push_back(p[window.tokens[i]] - q[window.tokens[i]]);
    }
  EXPECT_NEAR(result->divergence.mean, estimate(divergences).mean, 1e-6);
  EXPECT_NEAR(result->difference.mean, estimate(differences).mean, 1e-6);
  EXPECT_NEAR(result->difference.standardError,
              estimate(differences).standardError, 1e-6);
  EXPECT_GT(result->sameTop.mean, 0.99); // Scaling keeps the order.
  EXPECT_NEAR(result->mine.nats.mean - result->other.nats.mean,
              result->difference.mean, 1e-12);

  auto same = compare(*mine, *session(openTiny(folder, "s", tinyArtifact())),
                      ids, options, {});
  EXPECT_EQ(same->divergence.mean, 0);
  EXPECT_EQ(same->sameTop.mean, 1);
}

TEST(Perplexity, RefusesWhatItCannotScore) {
  TemporaryFolder folder;
  auto s = session(openTiny(folder, "m", tinyArtifact()));
  PerplexityOptions options;
  options.context = 151;
  EXPECT_EQ(perplexity(*s, someIds(10), options, {}).error().code,
            ExitCode::Usage);
  options.context = 1;
  EXPECT_EQ(perplexity(*s, someIds(10), options, {}).error().code,
            ExitCode::Usage);
  options.context = 20;
  EXPECT_EQ(perplexity(*s, {}, options, {}).error().code, ExitCode::BadInput);
  EXPECT_EQ(perplexity(*s, {1}, options, {}).error().code, ExitCode::BadInput);
}

TEST(Perplexity, RefusesLogitsThatAreNotFinite) {
  TemporaryFolder folder;
  std::vector<float> head = tinyHead();
  head[5] = INFINITY;
  std::string broken(reinterpret_cast<const char *>(head.data()),
                     head.size() * sizeof(float));
  auto s = session(openTiny(
      folder, "m",
      buildArtifact(withSection(tinySections(), "weights.head", broken))));
  PerplexityOptions options;
  options.context = 20;
  EXPECT_EQ(perplexity(*s, someIds(30), options, {}).error().code,
            ExitCode::Internal);
}
