//===- PlanTest.cpp -------------------------------------------------------===//
#include "lowbit/Runtime/Plan.h"

#include "TinyModel.h"
#include "lowbit/Checkpoint/Json.h"

#include <functional>
#include <gtest/gtest.h>

using namespace lowbit;
using namespace lowbit::test;

namespace {

PlanFacts tinyFacts() {
  return {"m.lowbit",
          tinyVocabulary,
          {{"weights.table", 8704}, {"weights.head", 8704}}};
}

/// Changes the tiny plan, and returns the verifier's message (empty: accepted).
std::string verdict(const std::function<void(Plan &)> &change) {
  Plan plan = tinyPlan();
  change(plan);
  Status status = verifyPlan(plan, tinyFacts());
  if (!status)
    return "";
  EXPECT_EQ(status->code, ExitCode::Mismatch);
  EXPECT_EQ(status->message.rfind("m.lowbit: plan: ", 0), 0u)
      << status->message;
  return status->message;
}

/// Whether the verifier refuses the changed plan for the reason given.
void expectRefused(const char *reason,
                   const std::function<void(Plan &)> &change) {
  std::string message = verdict(change);
  EXPECT_NE(message.find(reason), std::string::npos)
      << "expected '" << reason << "', got '" << message << "'";
}

PlanArgument &argument(Plan &plan, size_t step, size_t index) {
  return plan.entries[1].steps[step].args[index];
}

constexpr int64_t huge = int64_t(1) << 62;

} // namespace

TEST(Plan, IsReadAsItWasWritten) {
  std::string text = writePlan(tinyPlan());
  EXPECT_EQ(text.find(' '), std::string::npos);
  EXPECT_EQ(text.rfind("{\"version\":1,\"target\":\"x86_64\",\"limits\":{"
                       "\"rows\":16,\"logits\":8,\"sequences\":4,\"pages\":6,"
                       "\"pages_per_sequence\":3},\"scratch\":32,\"buffers\":[{"
                       "\"name\":\"ids\",\"kind\":\"input\",\"bytes\":[0,4,0,0]"
                       "},",
                       0),
            0u)
      << text;
  auto plan = parsePlan(text, "p");
  ASSERT_TRUE(bool(plan)) << plan.error().message;
  EXPECT_EQ(writePlan(*plan), text);
  EXPECT_TRUE(bool(parsePlan(text + "   ", "p")));
}

TEST(Plan, WritesTheTensorOfWeightsAndTheOffsetOfArenaBuffers) {
  std::string text = writePlan(tinyPlan());
  EXPECT_NE(text.find("{\"name\":\"table\",\"kind\":\"weight\",\"bytes\":[8704,"
                      "0,0,0],\"tensor\":\"weights.table\"}"),
            std::string::npos);
  EXPECT_NE(text.find("{\"name\":\"y\",\"kind\":\"arena\",\"bytes\":[0,32,0,0],"
                      "\"offset\":512}"),
            std::string::npos);
}

TEST(Plan, RefusesTextThatIsNoPlan) {
  std::string text = writePlan(tinyPlan());
  auto refuse = [&](std::string from, std::string to, const char *field) {
    std::string changed = text;
    size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    auto plan = parsePlan(changed, "m.lowbit: plan");
    ASSERT_FALSE(bool(plan)) << to;
    EXPECT_EQ(plan.error().code, ExitCode::Mismatch);
    EXPECT_NE(plan.error().message.find(field), std::string::npos)
        << plan.error().message;
  };
  refuse("\"version\":1", "\"version\":2", "version");
  refuse("\"version\":1", "\"version\":\"1\"", "version");
  refuse("\"scratch\":32", "\"scratch\":-1", "scratch");
  refuse("\"scratch\":32", "\"scratch\":32,\"scratch\":32", "scratch");
  refuse("\"scratch\":32", "\"scratch\":32,\"more\":1", "more");
  refuse("\"scratch\":32,", "", "scratch");
  refuse("\"kind\":\"input\"", "\"kind\":\"inputs\"", "kind");
  refuse("[0,4,0,0]", "[0,4,0]", "bytes");
  refuse("[0,4,0,0]", "[0,4,0,0,0]", "bytes");
  refuse("[0,4,0,0]", "[0,-4,0,0]", "bytes[1]");
  refuse("[0,4,0,0]", "[0,4.0,0,0]", "bytes[1]");
  refuse("[0,4,0,0]", "[0,18446744073709551616,0,0]", "bytes[1]");
  refuse("\"offset\":512", "\"offset\":9223372036854775808", "offset");
  refuse("\"tensor\":\"weights.table\"", "\"offset\":0", "tensor");
  refuse("\"count\":\"rows\"", "\"count\":\"columns\"", "count");
  refuse("\"access\":\"r\"", "\"access\":\"x\"", "access");
  refuse("\"rows\":[1,1]", "\"rows\":[1]", "rows");
  refuse("\"buffer\":0", "\"buffer\":1000000000", "buffer");
  for (size_t length = 0; length < text.size(); ++length)
    ASSERT_FALSE(bool(parsePlan(text.substr(0, length), "p"))) << length;
}

TEST(Plan, RefusesMoreArgumentsThanAStepMayHave) {
  Plan plan = tinyPlan();
  auto &args = plan.entries[0].steps[0].args;
  args.resize(33, args[0]);
  auto parsed = parsePlan(writePlan(plan), "p");
  ASSERT_FALSE(bool(parsed));
  EXPECT_NE(parsed.error().message.find("at most 32"), std::string::npos);
  EXPECT_TRUE(bool(verifyPlan(plan, tinyFacts())));
}

TEST(PlanVerifier, AcceptsTheTinyPlan) {
  EXPECT_EQ(verdict([](Plan &) {}), "");
}

TEST(PlanVerifier, RefusesLimitsOutOfRange) {
  expectRefused("limits.rows", [](Plan &p) { p.limits.rows = 0; });
  expectRefused("limits.rows", [](Plan &p) { p.limits.rows = 1000000000; });
  expectRefused("limits.logits", [](Plan &p) { p.limits.logits = huge; });
  expectRefused("limits.sequences", [](Plan &p) { p.limits.sequences = -1; });
  expectRefused("limits.pages", [](Plan &p) { p.limits.pages = huge; });
  expectRefused("pages_per_sequence",
                [](Plan &p) { p.limits.pagesPerSequence = 0; });
  expectRefused("scratch", [](Plan &p) { p.scratch = huge; });
  expectRefused("steps", [](Plan &p) { p.entries.clear(); });
}

TEST(PlanVerifier, RefusesArgumentsOutOfBounds) {
  expectRefused("exceeds buffer 'x'",
                [](Plan &p) { argument(p, 0, 2).bytes.perRow += 4; });
  expectRefused("exceeds buffer 'x'",
                [](Plan &p) { argument(p, 0, 2).offset = 4; });
  expectRefused("exceeds buffer 'cache'",
                [](Plan &p) { argument(p, 1, 3).offset = 64; });
  expectRefused("exceeds buffer 'table'",
                [](Plan &p) { argument(p, 0, 1).bytes.perLogitRow = 1; });
  expectRefused("offset", [](Plan &p) { argument(p, 0, 2).offset = -4; });
  expectRefused("offset", [](Plan &p) { argument(p, 0, 2).offset = huge; });
  expectRefused("bytes",
                [](Plan &p) { argument(p, 0, 2).bytes.perRow = huge; });
  expectRefused("bytes",
                [](Plan &p) { argument(p, 0, 2).bytes.constant = -65; });
  expectRefused("buffer", [](Plan &p) { argument(p, 0, 2).buffer = 99; });
  expectRefused("buffer", [](Plan &p) { argument(p, 0, 2).buffer = -1; });
}

TEST(PlanVerifier, AcceptsALayersSliceOfTheCache) {
  // Offset 1024, of pages of 2048 bytes: the last slice ends with the buffer.
  EXPECT_EQ(verdict([](Plan &p) {
              argument(p, 1, 3).offset = 1024;
              argument(p, 1, 3).bytes = {1024 - 2048, 0, 0, 2048};
            }),
            "");
  expectRefused("exceeds buffer 'cache'", [](Plan &p) {
    argument(p, 1, 3).offset = 1024;
    argument(p, 1, 3).bytes = {1024 - 2048 + 1, 0, 0, 2048};
  });
}

TEST(PlanVerifier, RefusesReadingWhatWasNotWritten) {
  // store before embed.
  expectRefused("reads 'x' before", [](Plan &p) {
    std::swap(p.entries[1].steps[0], p.entries[1].steps[1]);
  });
  // Only a part is written.
  expectRefused("reads 'x' before",
                [](Plan &p) { argument(p, 0, 2).bytes.perRow -= 4; });
  // Written for every logit row, read for every row.
  expectRefused("reads 'y' before",
                [](Plan &p) { argument(p, 2, 3).bytes = {0, 0, 0, 0}; });
  expectRefused("does not write all of 'logits'",
                [](Plan &p) { p.entries[1].steps.pop_back(); });
  expectRefused("does not write all of 'logits'",
                [](Plan &p) { argument(p, 4, 2).bytes.perLogitRow -= 4; });
}

TEST(PlanVerifier, AcceptsABufferWrittenInParts) {
  // x is written from its end to its front, in two steps.
  EXPECT_EQ(verdict([](Plan &p) {
              PlanStep second = p.entries[0].steps[0];
              p.entries[0].steps[0].args[2].offset = 16;
              p.entries[0].steps[0].args[2].bytes = {16, 0, 0, 0};
              second.args[2].bytes = {16, 0, 0, 0};
              p.entries[0].steps.insert(p.entries[0].steps.begin() + 1, second);
            }),
            "");
}

TEST(PlanVerifier, RefusesWritingWeightsAndInputs) {
  expectRefused("writes weight 'table'",
                [](Plan &p) { argument(p, 0, 1).access = Access::Write; });
  expectRefused("writes input 'ids'",
                [](Plan &p) { argument(p, 0, 0).access = Access::ReadWrite; });
}

TEST(PlanVerifier, RefusesBuffersThatOverlapWhileAlive) {
  // x and y are not alive at once: y may have x's place.
  EXPECT_EQ(verdict([](Plan &p) { p.buffers[8].offset = 448; }), "");
  expectRefused("overlap", [](Plan &p) { p.buffers[8].offset = 192; });
  expectRefused("overlap", [](Plan &p) { p.buffers[8].offset = 0; });
  // z would be written over y while y is read.
  expectRefused("overlap", [](Plan &p) { p.buffers[9].offset = 512; });
  expectRefused("multiple of 64", [](Plan &p) { p.buffers[8].offset = 520; });
  expectRefused("offset", [](Plan &p) { p.buffers[8].offset = huge; });
}

TEST(PlanVerifier, RefusesAliasesWithinAStep) {
  // The head reads and writes overlapping parts of one buffer.
  expectRefused("share bytes", [](Plan &p) {
    PlanArgument to = argument(p, 2, 3), from = to;
    from.access = Access::Read;
    from.bytes = {4, 0, 0, 0};
    p.entries[1].steps[2].args.push_back(from);
    p.entries[1].steps[1].args.push_back(to);
  });
  // The same range, read and written: in place.
  EXPECT_EQ(verdict([](Plan &p) {
              PlanArgument x = argument(p, 0, 2);
              PlanArgument source = x;
              source.access = Access::Read;
              PlanStep inPlace{
                  "embed", StepCount::Rows, {0, 1, 0, 0}, {source, x}};
              auto &steps = p.entries[1].steps;
              steps.insert(steps.begin() + 1, inPlace);
            }),
            "");
  expectRefused("share bytes", [](Plan &p) {
    PlanArgument x = argument(p, 0, 2);
    p.entries[1].steps[0].args.push_back(x);
  });
}

TEST(Plan, KeepsTheKernelOfPlainRows) {
  Plan plan = tinyPlan();
  plan.entries[0].steps[0].plain = "plain";
  std::string text = writePlan(plan);
  auto read = parsePlan(text, "plan");
  ASSERT_TRUE(bool(read)) << read.error().message;
  EXPECT_EQ(read->entries[0].steps[0].plain, "plain");
  EXPECT_EQ(read->entries[0].steps[1].plain, "");
  size_t at = text.find("\"plain\":\"plain\"");
  ASSERT_NE(at, std::string::npos);
  auto empty = parsePlan(text.replace(at, 15, "\"plain\":\"\""), "plan");
  ASSERT_FALSE(bool(empty));
  EXPECT_NE(empty.error().message.find("plain"), std::string::npos);
}

TEST(PlanVerifier, RefusesAKernelOfPlainRowsWithoutThreeOutputs) {
  Plan plan = tinyPlan();
  plan.entries[0].steps[0].plain = "plain";
  auto status = verifyPlan(plan, tinyFacts());
  ASSERT_TRUE(status);
  EXPECT_NE(status->message.find("entries[0].steps[0].plain"),
            std::string::npos)
      << status->message;
}

TEST(PlanVerifier, RefusesRowRangesWithGapsAndOverlaps) {
  expectRefused("entries", [](Plan &p) { p.entries[1].minRows = 3; });
  expectRefused("entries", [](Plan &p) { p.entries[1].minRows = 1; });
  expectRefused("entries", [](Plan &p) { p.entries[1].maxRows = 15; });
  expectRefused("entries", [](Plan &p) { p.entries[1].maxRows = 17; });
  expectRefused("entries", [](Plan &p) { p.entries[0].minRows = 0; });
  expectRefused("width", [](Plan &p) { p.entries[1].width = 4; });
  EXPECT_EQ(verdict([](Plan &p) {
              auto more = p.entries;
              for (PlanEntry &entry : more)
                entry.width = 2;
              p.entries.insert(p.entries.end(), more.begin(), more.end());
            }),
            "");
}

TEST(PlanVerifier, RefusesBuffersThatAreNotWhatTheyAreCalled) {
  expectRefused("occurs twice", [](Plan &p) { p.buffers[8].name = "x"; });
  expectRefused("unknown input", [](Plan &p) { p.buffers[0].name = "idz"; });
  expectRefused("should be", [](Plan &p) { p.buffers[0].bytes.perRow = 8; });
  expectRefused("should be [0,0,1088,0]",
                [](Plan &p) { p.buffers[10].bytes.perLogitRow = 1092; });
  expectRefused("named logits", [](Plan &p) {
    p.buffers[10].name = "logit";
    p.buffers[10].bytes = {64, 0, 0, 0};
  });
  expectRefused("no such tensor",
                [](Plan &p) { p.buffers[4].tensor = "weights.tables"; });
  expectRefused("has 8704 bytes",
                [](Plan &p) { p.buffers[4].bytes.constant = 8768; });
  expectRefused("multiple of 64",
                [](Plan &p) { p.buffers[6].bytes.perPage = 100; });
  expectRefused("at most one", [](Plan &p) {
    p.buffers.push_back(p.buffers[6]);
    p.buffers.back().name = "cache2";
  });
}

TEST(PlanVerifier, RefusesImpossibleItemCounts) {
  auto items = [](Plan &p) -> Affine & { return p.entries[0].steps[0].items; };
  expectRefused("items", [&](Plan &p) { items(p) = {huge, 0, 0, 0}; });
  expectRefused("items", [&](Plan &p) { items(p) = {0, huge, 0, 0}; });
  expectRefused("items", [&](Plan &p) { items(p) = {-2, 1, 0, 0}; });
  expectRefused("items", [&](Plan &p) { items(p) = {0, -1, 0, 0}; });
}

TEST(PlanVerifier, LetsAccumulatorsOutliveAStep) {
  EXPECT_EQ(verdict([](Plan &p) {
              p.buffers.push_back(
                  {"moments", BufferKind::Output, {256, 0, 0, 0}, "", 0});
              p.entries[0].steps[0].args.push_back(
                  {11, 0, {256, 0, 0, 0}, Access::ReadWrite});
            }),
            "");
  expectRefused("constant", [](Plan &p) {
    p.buffers.push_back({"moments", BufferKind::Output, {0, 64, 0, 0}, "", 0});
  });
}

TEST(PlanVerifier, WantsNoLogitsOfAPartOfAModel) {
  PlanFacts facts = tinyFacts();
  facts.vocabulary = 0;
  Status status = verifyPlan(tinyPlan(), facts);
  ASSERT_TRUE(bool(status));
  EXPECT_NE(status->message.find("should be [0,0,0,0]"), std::string::npos)
      << status->message;
  // The same work, left in an accumulator.
  Plan plan = tinyPlan();
  for (PlanBuffer &buffer : plan.buffers)
    if (buffer.name == "logits") {
      buffer.name = "seen";
      buffer.bytes = {4 * tinyVocabulary * plan.limits.logits, 0, 0, 0};
    }
  status = verifyPlan(plan, facts);
  EXPECT_FALSE(bool(status)) << status->message;
  EXPECT_TRUE(bool(verifyPlan(plan, tinyFacts())));
}

TEST(PlanVerifier, BoundsTheWorkForTenThousandBuffers) {
  // Quadratic checks would take minutes.
  Plan plan = tinyPlan();
  int64_t offset = plan.buffers[8].offset + 16 * 32;
  for (int i = 0; i < 10000; ++i) {
    plan.buffers.push_back({"b" + std::to_string(i),
                            BufferKind::Arena,
                            {0, 32, 0, 0},
                            "",
                            offset});
    offset += 512;
    PlanStep step = plan.entries[1].steps[0];
    step.args[2].buffer = static_cast<int32_t>(plan.buffers.size()) - 1;
    plan.entries[1].steps.insert(plan.entries[1].steps.begin(), step);
  }
  EXPECT_EQ(verifyPlan(plan, tinyFacts()), std::nullopt);
  EXPECT_EQ(arenaBytes(plan), offset);
}

TEST(Plan, FindsTheEntryForARowCount) {
  Plan plan = tinyPlan();
  EXPECT_EQ(findEntry(plan, 1, 0), &plan.entries[0]);
  EXPECT_EQ(findEntry(plan, 2, 0), &plan.entries[1]);
  EXPECT_EQ(findEntry(plan, 16, 0), &plan.entries[1]);
  EXPECT_EQ(findEntry(plan, 17, 0), nullptr);
  EXPECT_EQ(findEntry(plan, 1, 2), nullptr);
}
