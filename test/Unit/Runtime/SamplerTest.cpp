//===- SamplerTest.cpp ----------------------------------------------------===//
#include "lowbit/Runtime/Sampler.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace lowbit;

namespace {

std::vector<float> randomLogits(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> logits(count);
  for (float &logit : logits) // Coarse, so that there are ties.
    logit = static_cast<float>(static_cast<int>(random() % 41) - 20) * 0.25f;
  return logits;
}

/// The chain, written down plainly with a full sort.
std::vector<int32_t> naiveCandidates(const std::vector<float> &logits,
                                     const SamplerOptions &options) {
  std::vector<int32_t> ids(logits.size());
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int32_t>(i);
  std::stable_sort(ids.begin(), ids.end(),
                   [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  if (options.topK > 0 && options.topK < static_cast<int64_t>(ids.size()))
    ids.resize(options.topK);
  double total = 0, sum = 0;
  for (int32_t id : ids)
    total += std::exp(double(logits[id]));
  size_t keep = ids.size();
  for (size_t i = 0; i < ids.size() && options.topP < 1; ++i) {
    sum += std::exp(double(logits[ids[i]])) / total;
    if (sum >= options.topP) {
      keep = i + 1;
      break;
    }
  }
  ids.resize(keep);
  double top = logits[ids[0]];
  ids.erase(std::remove_if(ids.begin(), ids.end(),
                           [&](int32_t id) {
                             return std::exp(logits[id] - top) < options.minP;
                           }),
            ids.end());
  std::sort(ids.begin(), ids.end());
  return ids;
}

} // namespace

TEST(Sampler, GreedyTakesTheLowestIdOfEquals) {
  std::vector<float> logits{-1, 3, 2, 3, 3};
  EXPECT_EQ(*greedy(logits.data(), 5), 1);
  logits[0] = 3;
  EXPECT_EQ(*greedy(logits.data(), 5), 0);
  EXPECT_EQ(*sample(logits.data(), 5, {}, {1, 2, 3}), 0);
}

TEST(Sampler, RefusesLogitsThatAreNotFinite) {
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    std::vector<float> logits{1, 2, bad, 0};
    for (double temperature : {0.0, 1.0}) {
      SamplerOptions options;
      options.temperature = temperature;
      auto id = sample(logits.data(), 4, options, {});
      ASSERT_FALSE(bool(id));
      EXPECT_EQ(id.error().code, ExitCode::Internal);
      EXPECT_NE(id.error().message.find("token 2"), std::string::npos);
    }
  }
}

TEST(Sampler, KeepsWhatTheNaiveChainKeeps) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 40; ++seed)
    for (int64_t topK : {0, 1, 5, 40, 1000})
      for (double topP : {0.0, 0.3, 0.937, 1.0})
        for (double minP : {0.0, 0.0501, 0.51, 1.0}) {
          SamplerOptions options;
          options.topK = topK;
          options.topP = topP;
          options.minP = minP;
          auto logits = randomLogits(seed % 2 ? 300 : 17, seed);
          auto kept = candidates(logits.data(),
                                 static_cast<int64_t>(logits.size()), options);
          std::vector<int32_t> ids;
          for (const Candidate &c : kept) {
            ids.push_back(c.id);
            ASSERT_EQ(c.logit, logits[c.id]);
          }
          ASSERT_EQ(ids, naiveCandidates(logits, options))
              << seed << " " << topK << " " << topP << " " << minP;
          ++compared;
        }
  printf("[ chains ] %d compared\n", compared);
}

TEST(Sampler, ChecksEveryRange) {
  SamplerOptions good;
  EXPECT_EQ(checkSampler(good), std::nullopt);
  auto refuse = [](auto change, const char *name) {
    SamplerOptions options;
    change(options);
    Status status = checkSampler(options);
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->code, ExitCode::Usage);
    EXPECT_NE(status->message.find(name), std::string::npos) << status->message;
  };
  for (double value : {-1.0, 10001.0, double(NAN), double(INFINITY)})
    refuse([=](SamplerOptions &o) { o.temperature = value; }, "--temp");
  for (double value : {-0.1, 1.5, double(NAN), double(INFINITY)}) {
    refuse([=](SamplerOptions &o) { o.topP = value; }, "--top-p");
    refuse([=](SamplerOptions &o) { o.minP = value; }, "--min-p");
  }
  for (int64_t value : {int64_t(-1), int64_t(1) << 31, INT64_MIN})
    refuse([=](SamplerOptions &o) { o.topK = value; }, "--top-k");
  for (double value : {0.0, 1e-9, 10000.0}) {
    SamplerOptions options;
    options.temperature = value;
    EXPECT_EQ(checkSampler(options), std::nullopt);
  }
}

TEST(Sampler, TinyTemperaturesAreGreedy) {
  auto logits = randomLogits(500, 9);
  logits[77] = 10;
  SamplerOptions options;
  options.temperature = 1e-9;
  for (uint64_t position = 0; position < 50; ++position)
    EXPECT_EQ(*sample(logits.data(), 500, options, {1, 0, position}), 77);
}

TEST(Sampler, DrawsWithTheProbabilitiesOfTheLogits) {
  std::vector<float> logits{0, std::log(2.0f), std::log(3.0f), std::log(4.0f)};
  SamplerOptions options;
  options.temperature = 1;
  options.topK = 0;
  options.topP = 1;
  options.minP = 0;
  const int draws = 100000;
  int counts[4] = {};
  for (int i = 0; i < draws; ++i)
    ++counts[*sample(logits.data(), 4, options, {42, 0, uint64_t(i)})];
  for (int i = 0; i < 4; ++i)
    EXPECT_NEAR(counts[i], draws * (i + 1) / 10.0, 5 * std::sqrt(draws * 0.24));
}

TEST(Sampler, DrawsDependOnSeedRequestAndPosition) {
  EXPECT_EQ(uniform({1, 2, 3}), uniform({1, 2, 3}));
  EXPECT_NE(uniform({1, 2, 3}), uniform({2, 2, 3}));
  EXPECT_NE(uniform({1, 2, 3}), uniform({1, 3, 3}));
  EXPECT_NE(uniform({1, 2, 3}), uniform({1, 2, 4}));
  EXPECT_NE(uniform({1, 2, 3}), uniform({1 + (1ull << 32), 2, 3}));
  for (uint64_t i = 0; i < 1000; ++i) {
    EXPECT_GE(uniform({0, 0, i}), 0.0);
    EXPECT_LT(uniform({0, 0, i}), 1.0);
  }
}

TEST(Sampler, PhiloxMatchesThePublishedVectors) {
  // Known answers of Random123 for philox4x32-10.
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Sampler, ExpIsWithinTwoUlpOfTheLibrarys) {
  EXPECT_EQ(strictExp(0), 1.0);
  EXPECT_EQ(strictExp(-INFINITY), 0.0);
  EXPECT_EQ(strictExp(-746), 0.0);
  double worst = 0;
  for (double x = -700; x <= 700; x += 0.00731) {
    double expected = std::exp(x), got = strictExp(x);
    double ulp = std::nextafter(expected, INFINITY) - expected;
    worst = std::max(worst, std::fabs(got - expected) / ulp);
  }
  EXPECT_LE(worst, 2.0);
  printf("[ exp ] at most %.2f ulp\n", worst);
}
