//===- InterpreterTest.cpp - What does not change a result ------*- C++ -*-===//

#include "TinyModule.h"

#include <gtest/gtest.h>

using namespace lowbit;

namespace {

/// 70 tokens of sequence 0: more than a block of keys.
Batch prompt(int32_t first, int32_t count) {
  Batch batch;
  for (int32_t row = 0; row < count; ++row) {
    batch.ids.push_back((first + row) * 7 % 5);
    batch.sequences.push_back(0);
    batch.positions.push_back(first + row);
    batch.select.push_back(row);
  }
  return batch;
}

std::vector<float> logits(Interpreter &interpreter, const Batch &batch) {
  Result<HostTensor> result = interpreter.forward(batch);
  EXPECT_TRUE(bool(result)) << (result ? "" : result.error().message);
  return result ? result->as<float>() : std::vector<float>();
}

std::string failure(Interpreter &interpreter, const Batch &batch) {
  Result<HostTensor> result = interpreter.forward(batch);
  EXPECT_FALSE(bool(result));
  EXPECT_EQ(result.error().code, ExitCode::BadInput);
  return result.error().message;
}

TEST(Interpreter, PromptEqualsTokenByToken) {
  TinyModel whole, single;
  std::vector<float> expected = logits(whole.interpreter, prompt(0, 70));
  std::vector<float> collected;
  for (int32_t row = 0; row < 70; ++row) {
    std::vector<float> one = logits(single.interpreter, prompt(row, 1));
    collected.insert(collected.end(), one.begin(), one.end());
  }
  ASSERT_EQ(expected.size(), 350u);
  EXPECT_EQ(expected, collected);
}

TEST(Interpreter, ThreadsDoNotChangeResults) {
  InterpreterOptions four;
  four.threads = 4;
  TinyModel one, many(four);
  // Enough rows that the work is really shared.
  Batch batch = prompt(0, 6000);
  EXPECT_EQ(logits(one.interpreter, batch), logits(many.interpreter, batch));
}

TEST(Interpreter, SequencesAreIndependentAndOrderFree) {
  TinyModel alone, mixed;
  std::vector<float> expected = logits(alone.interpreter, prompt(0, 3));
  Batch batch;
  batch.ids = {4, 14 % 5, 3, 7 % 5, 0};
  batch.sequences = {9, 0, 9, 0, 0};
  batch.positions = {0, 2, 1, 1, 0};
  batch.select = {4, 3, 1};
  EXPECT_EQ(logits(mixed.interpreter, batch), expected);
}

TEST(Interpreter, PositionsCanBeWrittenAgain) {
  TinyModel straight, rolled;
  std::vector<float> expected = logits(straight.interpreter, prompt(0, 3));
  Batch wrong = prompt(0, 3);
  wrong.ids = {0, 4, 4};
  logits(rolled.interpreter, wrong);
  std::vector<float> again = logits(rolled.interpreter, prompt(1, 2));
  EXPECT_EQ(again, std::vector<float>(expected.begin() + 5, expected.end()));
}

TEST(Interpreter, ClearCacheForgets) {
  TinyModel model;
  std::vector<float> first = logits(model.interpreter, prompt(0, 2));
  model.interpreter.clearCache();
  EXPECT_NE(failure(model.interpreter, prompt(1, 1)).find("positions below 0"),
            std::string::npos);
  EXPECT_EQ(logits(model.interpreter, prompt(0, 2)), first);
}

TEST(Interpreter, ModesAgreeToTheirRoundings) {
  InterpreterOptions exact;
  exact.mode = ReferenceMode::F64;
  TinyModel strict, f64(exact);
  std::vector<float> rounded = logits(strict.interpreter, prompt(0, 20));
  Result<HostTensor> unrounded = f64.interpreter.forward(prompt(0, 20));
  ASSERT_TRUE(bool(unrounded));
  ASSERT_TRUE(unrounded->holds<double>());
  for (size_t i = 0; i < rounded.size(); ++i)
    EXPECT_NEAR(rounded[i], unrounded->at(i), 0.05);
}

TEST(Interpreter, RefusesBadBatches) {
  TinyModel model;
  Batch batch = prompt(0, 2);
  batch.ids[1] = 5;
  EXPECT_EQ(failure(model.interpreter, batch),
            "ids: 1: is 5, must be from 0 to 4");
  batch = prompt(0, 2);
  batch.select = {2};
  EXPECT_EQ(failure(model.interpreter, batch),
            "select: 0: is 2, must be from 0 to 1");
  model.interpreter.clearCache();
  batch = prompt(0, 1);
  batch.positions = {-1};
  EXPECT_NE(failure(model.interpreter, batch).find("is -1"), std::string::npos);
  batch = prompt(0, 1);
  batch.sequences = {};
  EXPECT_NE(failure(model.interpreter, batch).find("as many of each"),
            std::string::npos);
}

TEST(Interpreter, RefusesModuleWithoutForward) {
  TinyModel model({}, "func.func private @other()");
  EXPECT_NE(failure(model.interpreter, prompt(0, 1)).find("@forward"),
            std::string::npos);
}

TEST(Interpreter, DecodesParameters) {
  TinyModel model;
  Result<WeightPtr> head = model.interpreter.parameter("head");
  ASSERT_TRUE(bool(head));
  ASSERT_TRUE((*head)->integers.has_value());
  // Row 0: amax 2, s = f16(2 / 7.5); 2 / s = 7.5 is code 15, −1 is code 4.
  EXPECT_EQ((*head)->integers->scales[0], 0.266601562f);
  EXPECT_EQ((*head)->integers->steps[3], 2 * 15 - 15);
  EXPECT_EQ((*head)->integers->steps[1], 2 * 4 - 15);
  EXPECT_FALSE(bool(model.interpreter.parameter("absent")));
}

} // namespace
