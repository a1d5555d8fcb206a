//===- SessionTest.cpp - Models, sequences, batches, text -----------------===//
#include "lowbit/Runtime/Session.h"

#include "TinyModel.h"
#include "lowbit/Runtime/Generate.h"
#include "lowbit/Runtime/Trust.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <thread>
#include <unistd.h>

using namespace lowbit;
using namespace lowbit::test;

namespace {

class Sessions : public testing::Test {
protected:
  Sessions() { writeFile(path, tinyArtifact()); }

  Result<std::shared_ptr<Model>> open(ModelOptions options = {}) {
    return Model::open(path, options);
  }

  std::unique_ptr<Session> session(SessionOptions options = {},
                                   WeightsMode weights = WeightsMode::Copy) {
    ModelOptions how;
    how.trust = true;
    how.threads = 1;
    how.weights = weights;
    auto model = open(how);
    EXPECT_TRUE(bool(model)) << model.error().message;
    auto created = Session::create(*model, options);
    EXPECT_TRUE(bool(created)) << created.error().message;
    return std::move(*created);
  }

  TemporaryFolder folder;
  std::string path = folder.file("m.lowbit");
};

SessionOptions with(int64_t threads, int64_t sequences) {
  SessionOptions options;
  options.threads = threads;
  options.sequences = sequences;
  return options;
}

/// Bit for bit.
void expectLogits(const float *got, const std::vector<int32_t> &ids) {
  auto expected = tinyLogits(ids);
  ASSERT_EQ(memcmp(got, expected.data(), expected.size() * sizeof(float)), 0);
}

std::vector<int32_t> someIds(int count, int seed = 0) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i)
    ids.push_back((i * 37 + i * i + seed * 91) % 258);
  return ids;
}

void expectUsage(const Result<const float *> &result, const char *field) {
  ASSERT_FALSE(bool(result));
  EXPECT_EQ(result.error().code, ExitCode::Usage);
  EXPECT_NE(result.error().message.find(field), std::string::npos)
      << result.error().message;
}

} // namespace

TEST_F(Sessions, NeedTrust) {
  setenv("XDG_CONFIG_HOME", folder.file("config").c_str(), 1);
  auto model = open();
  ASSERT_FALSE(bool(model));
  EXPECT_EQ(model.error().code, ExitCode::Mismatch);
  EXPECT_NE(model.error().message.find("--trust"), std::string::npos);
  auto artifact = Artifact::open(path);
  ASSERT_EQ(recordTrust(*trustFolder(), artifact->root()), std::nullopt);
  EXPECT_TRUE(bool(open()));
}

TEST_F(Sessions, RefuseAForcedVariantThatTheCpuLacks) {
  if (missingFeatures(Variant::AVX512).empty())
    GTEST_SKIP() << "this CPU has every variant";
  ModelOptions options;
  options.trust = true;
  options.variant = Variant::AVX512;
  auto model = open(options);
  ASSERT_FALSE(bool(model));
  EXPECT_EQ(model.error().code, ExitCode::Unsupported);
  EXPECT_NE(model.error().message.find("AVX512"), std::string::npos);
}

TEST_F(Sessions, RefuseAnUnsafePlanWithRightDigests) {
  Plan plan = tinyPlan();
  plan.entries[1].steps[0].args[2].bytes.perRow += 4;
  writeFile(path, buildArtifact(withSection(tinySections(), "plan.x86_64",
                                            writePlan(plan))));
  ModelOptions options;
  options.trust = true;
  auto model = open(options);
  ASSERT_FALSE(bool(model));
  EXPECT_EQ(model.error().code, ExitCode::Mismatch);
  EXPECT_NE(model.error().message.find("exceeds buffer"), std::string::npos);
}

TEST_F(Sessions, RefuseAPlanThatCallsUnknownKernels) {
  Plan plan = tinyPlan();
  plan.entries[1].steps[0].kernel = "embed_2";
  writeFile(path, buildArtifact(withSection(tinySections(), "plan.x86_64",
                                            writePlan(plan))));
  ModelOptions options;
  options.trust = true;
  auto model = open(options);
  ASSERT_TRUE(bool(model));
  auto created = Session::create(*model, {});
  ASSERT_FALSE(bool(created));
  EXPECT_EQ(created.error().code, ExitCode::Mismatch);
  EXPECT_NE(created.error().message.find("embed_2"), std::string::npos);
}

TEST_F(Sessions, RefuseArtifactsForOtherMachines) {
  Sections sections = tinySections();
  sections[1].first = "plan.sm_90a";
  sections[2].first = "code.sm_90a";
  writeFile(path, buildArtifact(sections));
  ModelOptions options;
  options.trust = true;
  EXPECT_EQ(open(options).error().code, ExitCode::Unsupported);
}

TEST_F(Sessions, ComputeWhatTheNaiveModelDoes) {
  for (WeightsMode weights : {WeightsMode::Copy, WeightsMode::Map}) {
    auto s = session({}, weights);
    EXPECT_EQ(s->model().weightsAreMapped(), weights == WeightsMode::Map);
    int32_t sequence = *s->addSequence();
    auto ids = someIds(150);
    for (int i = 0; i < 150; ++i) {
      auto logits = s->step({{sequence, i, ids[i]}}, {0});
      ASSERT_TRUE(bool(logits)) << logits.error().message;
      expectLogits(*logits, {ids.begin(), ids.begin() + i + 1});
    }
    EXPECT_EQ(*s->length(sequence), 150);
  }
}

TEST_F(Sessions, GiveEqualBitsForAnyChunksAndThreads) {
  auto ids = someIds(140);
  for (int threads : {1, 2, 3, 5, 8})
    for (size_t chunk : {1, 2, 7, 16}) {
      auto s = session(with(threads, 1));
      int32_t sequence = *s->addSequence();
      for (size_t at = 0; at < ids.size(); at += chunk) {
        std::vector<BatchRow> rows;
        std::vector<int32_t> selected;
        for (size_t i = at; i < std::min(at + chunk, ids.size()); ++i) {
          if (selected.size() < 8)
            selected.push_back(static_cast<int32_t>(rows.size()));
          rows.push_back({sequence, static_cast<int32_t>(i), ids[i]});
        }
        auto logits = s->step(rows, selected);
        ASSERT_TRUE(bool(logits)) << logits.error().message;
        for (size_t i = 0; i < selected.size(); ++i)
          expectLogits(*logits + i * tinyVocabulary,
                       {ids.begin(), ids.begin() + at + selected[i] + 1});
      }
    }
}

TEST_F(Sessions, KeepSequencesOfABatchApart) {
  auto s = session(with(2, 4));
  std::vector<int32_t> sequences;
  std::vector<std::vector<int32_t>> texts(4);
  for (int i = 0; i < 4; ++i)
    sequences.push_back(*s->addSequence());
  std::mt19937 random(7);
  int compared = 0;
  for (int round = 0; round < 300; ++round) {
    if (random() % 16 == 0) { // One ends and another begins.
      int which = random() % 4;
      ASSERT_EQ(s->removeSequence(sequences[which]), std::nullopt);
      sequences[which] = *s->addSequence();
      texts[which].clear();
    }
    if (random() % 8 == 0) { // One is rolled back.
      auto &text = texts[random() % 4];
      size_t which = &text - texts.data();
      text.resize(text.size() - text.size() / 3);
      ASSERT_EQ(
          s->truncate(sequences[which], static_cast<int64_t>(text.size())),
          std::nullopt);
    }
    std::vector<BatchRow> rows;
    std::vector<int32_t> selected;
    std::vector<std::vector<int32_t>> expected;
    int64_t pages = 0;
    for (auto &text : texts)
      pages += PageTable::pagesFor(static_cast<int64_t>(text.size()) + 4);
    for (size_t q = 0; q < 4; ++q)
      for (int k = random() % 4; k >= 0; --k) {
        auto &text = texts[q];
        if (text.size() >= 150 || rows.size() == 16 || pages > 6)
          continue;
        text.push_back(static_cast<int32_t>(random() % 258));
        if (selected.size() < 8 && random() % 2) {
          selected.push_back(static_cast<int32_t>(rows.size()));
          expected.push_back(text);
        }
        rows.push_back(
            {sequences[q], static_cast<int32_t>(text.size()) - 1, text.back()});
      }
    if (rows.empty())
      continue;
    auto logits = s->step(rows, selected);
    ASSERT_TRUE(bool(logits)) << logits.error().message;
    for (size_t i = 0; i < selected.size(); ++i, ++compared)
      expectLogits(*logits + i * tinyVocabulary, expected[i]);
  }
  EXPECT_GT(compared, 200);
}

TEST_F(Sessions, ReplaceWhatASmallerPositionNames) {
  auto s = session();
  int32_t sequence = *s->addSequence();
  ASSERT_TRUE(bool(s->append(sequence, {1, 2, 3, 4})));
  auto logits = s->step({{sequence, 2, 9}}, {0});
  ASSERT_TRUE(bool(logits));
  expectLogits(*logits, {1, 2, 9});
  EXPECT_EQ(*s->length(sequence), 3);
}

TEST_F(Sessions, RefuseRowsOutOfRangeAndChangeNothing) {
  auto s = session(with(1, 2));
  int32_t q = *s->addSequence();
  ASSERT_TRUE(bool(s->append(q, {1, 2})));
  expectUsage(s->step({}, {}), "rows");
  expectUsage(s->step(std::vector<BatchRow>(17, {q, 2, 1}), {}), "rows");
  expectUsage(s->step({{q, 2, 1}}, std::vector<int32_t>(9, 0)), "selected");
  expectUsage(s->step({{q, 2, 1}}, {1}), "selected");
  expectUsage(s->step({{q, 2, 1}}, {-1}), "selected");
  expectUsage(s->step({{q, 2, -1}}, {}), "token");
  expectUsage(s->step({{q, 2, tinyVocabulary}}, {}), "token");
  expectUsage(s->step({{q, 2, INT32_MAX}}, {}), "token");
  expectUsage(s->step({{q, 3, 1}}, {}), "position");
  expectUsage(s->step({{q, -1, 1}}, {}), "position");
  expectUsage(s->step({{q, 2, 1}, {q, 2, 1}}, {}), "position");
  expectUsage(s->step({{q, 2, 1}, {q, 4, 1}}, {}), "position");
  expectUsage(s->step({{q + 1, 0, 1}}, {}), "sequence");
  expectUsage(s->step({{-1, 0, 1}}, {}), "sequence");
  expectUsage(s->step({{INT32_MAX, 0, 1}}, {}), "sequence");
  expectUsage(s->append(q, {}), "tokens");
  expectUsage(s->append(q, someIds(149)), "context of 150");
  EXPECT_EQ(*s->length(q), 2);
  auto logits = s->append(q, {3});
  ASSERT_TRUE(bool(logits));
  expectLogits(*logits, {1, 2, 3});
  EXPECT_EQ(s->truncate(q, 4)->code, ExitCode::Usage);
  EXPECT_EQ(s->removeSequence(7)->code, ExitCode::Usage);
}

TEST_F(Sessions, RefuseOptionsOutOfRange) {
  ModelOptions how;
  how.trust = true;
  auto model = *open(how);
  auto refuse = [&](auto change) {
    SessionOptions options;
    change(options);
    auto created = Session::create(model, options);
    ASSERT_FALSE(bool(created));
    EXPECT_EQ(created.error().code, ExitCode::Usage);
  };
  refuse([](SessionOptions &o) { o.context = 151; });
  refuse([](SessionOptions &o) { o.context = -1; });
  refuse([](SessionOptions &o) { o.sequences = 0; });
  refuse([](SessionOptions &o) { o.sequences = 5; });
  refuse([](SessionOptions &o) { o.width = 3; });
}

TEST_F(Sessions, SayWhenNoPagesAreLeft) {
  // Six pages for four sequences of three.
  auto s = session(with(1, 4));
  int32_t a = *s->addSequence(), b = *s->addSequence(), c = *s->addSequence();
  ASSERT_TRUE(bool(s->append(a, someIds(150))));
  ASSERT_TRUE(bool(s->append(b, someIds(150))));
  auto logits = s->append(c, {1});
  ASSERT_FALSE(bool(logits));
  EXPECT_EQ(logits.error().code, ExitCode::Memory);
  ASSERT_EQ(s->truncate(a, 64), std::nullopt);
  EXPECT_TRUE(bool(s->append(c, {1})));
}

TEST_F(Sessions, NoticeAMappedFileThatChanged) {
  auto s = session({}, WeightsMode::Map);
  int32_t sequence = *s->addSequence();
  ASSERT_TRUE(bool(s->append(sequence, {1})));
  ASSERT_EQ(truncate(path.c_str(), 4096), 0);
  auto logits = s->append(sequence, {2});
  ASSERT_FALSE(bool(logits));
  EXPECT_EQ(logits.error().code, ExitCode::IO);
}

TEST_F(Sessions, DoNotMindACopiedFileThatChanged) {
  auto s = session({}, WeightsMode::Copy);
  ASSERT_EQ(truncate(path.c_str(), 4096), 0);
  int32_t sequence = *s->addSequence();
  auto logits = s->append(sequence, {2});
  ASSERT_TRUE(bool(logits));
  expectLogits(*logits, {2});
}

TEST_F(Sessions, ShareAModelAmongThreads) {
  ModelOptions how;
  how.trust = true;
  auto model = *open(how);
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      auto s = Session::create(model, with(1 + t % 2, 1));
      auto ids = someIds(60, t);
      auto logits = (*s)->append(*(*s)->addSequence(), ids);
      auto expected = tinyLogits(ids);
      right += memcmp(*logits, expected.data(), expected.size() * 4) == 0;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(right, 8);
}

namespace {

GenerateResult generateTokens(Session &s, const std::vector<int32_t> &prompt,
                              const GenerateOptions &options,
                              std::string *text = nullptr) {
  int32_t sequence = *s.addSequence();
  std::string all;
  auto result = generate(s, sequence, prompt, options,
                         [&](int32_t, std::string_view part) {
                           all += part;
                           return true;
                         });
  EXPECT_TRUE(bool(result)) << result.error().message;
  EXPECT_EQ(s.removeSequence(sequence), std::nullopt);
  if (text)
    *text = all;
  return *result;
}

} // namespace

TEST_F(Sessions, GenerateGreedily) {
  auto s = session();
  GenerateOptions options;
  options.maxTokens = 20;
  options.ignoreEnd = true;
  auto result = generateTokens(*s, {tinyBos, 65}, options);
  EXPECT_EQ(result.stop, StopReason::MaxTokens);
  EXPECT_EQ(result.promptTokens, 2);
  std::vector<int32_t> text{tinyBos, 65};
  for (int32_t id : result.tokens) {
    auto logits = tinyLogits(text);
    EXPECT_EQ(id, *greedy(logits.data(), tinyVocabulary));
    text.push_back(id);
  }
  EXPECT_EQ(result.tokens.size(), 20u);
}

TEST_F(Sessions, GenerateTheSameTextForTheSameSeed) {
  GenerateOptions options;
  options.maxTokens = 30;
  options.ignoreEnd = true;
  options.sampler.temperature = 1.5;
  options.seed = 5;
  std::string text, again, other;
  auto a = generateTokens(*session(with(1, 1)), {tinyBos}, options, &text);
  auto b = generateTokens(*session(with(3, 1)), {tinyBos}, options, &again);
  options.request = 1;
  auto c = generateTokens(*session(), {tinyBos}, options, &other);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(text, again);
  EXPECT_NE(a.tokens, c.tokens);
}

TEST_F(Sessions, StopWhenTheContextIsFull) {
  auto s = session();
  GenerateOptions options;
  options.ignoreEnd = true;
  // Exactly the context: one token can be drawn, and has no room to be read.
  auto result = generateTokens(*s, someIds(150), options);
  EXPECT_EQ(result.stop, StopReason::Length);
  EXPECT_EQ(result.tokens.size(), 1u);
  result = generateTokens(*s, someIds(140), options);
  EXPECT_EQ(result.stop, StopReason::Length);
  EXPECT_EQ(result.tokens.size(), 11u);
  auto over = generate(*s, *s->addSequence(), someIds(151), options,
                       [](int32_t, std::string_view) { return true; });
  ASSERT_FALSE(bool(over));
  EXPECT_EQ(over.error().code, ExitCode::Usage);
}

TEST_F(Sessions, StopWhereTheModelOrTheCallerEnds) {
  // A head whose largest logit is that of the end, for every text.
  std::vector<float> table(tinyTable().size(), 1.0f), head(table.size(), 0.0f);
  for (int h = 0; h < tinyHidden; ++h)
    head[tinyEnd * tinyHidden + h] = 1.0f;
  auto bytes = [](const std::vector<float> &v) {
    return std::string(reinterpret_cast<const char *>(v.data()), v.size() * 4);
  };
  writeFile(path, buildArtifact(withSection(
                      withSection(tinySections(), "weights.head", bytes(head)),
                      "weights.table", bytes(table))));
  auto s = session();
  auto result = generateTokens(*s, {1}, {});
  EXPECT_EQ(result.stop, StopReason::End);
  EXPECT_TRUE(result.tokens.empty());
  GenerateOptions options;
  options.ignoreEnd = true;
  auto stopped =
      generate(*s, *s->addSequence(), {1}, options,
               [n = 0](int32_t, std::string_view) mutable { return ++n < 3; });
  EXPECT_EQ(stopped->stop, StopReason::Cancelled);
  EXPECT_EQ(stopped->tokens.size(), 3u);
}

TEST_F(Sessions, MakeAsManyTokensAsAskedFor) {
  auto s = session();
  GenerateOptions options;
  options.maxTokens = 0;
  auto result = generateTokens(*s, {1}, options);
  EXPECT_TRUE(result.tokens.empty());
  EXPECT_EQ(result.stop, StopReason::MaxTokens);
  options.maxTokens = -2;
  auto refused = generate(*s, *s->addSequence(), {1}, options,
                          [](int32_t, std::string_view) { return true; });
  EXPECT_EQ(refused.error().code, ExitCode::Usage);
}
