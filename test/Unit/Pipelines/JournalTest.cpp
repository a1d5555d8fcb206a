//===- JournalTest.cpp - How far an interrupted compilation came ----------===//

#include "lowbit/Pipelines/Journal.h"
#include <gtest/gtest.h>

#include <cstdio>

#include <fstream>

using namespace lowbit;

namespace {

const Fingerprint fingerprint = {{"tool", "1"}, {"module", "abc"}};

std::string outputPath(const char *name) { return ::testing::TempDir() + name; }

LedgerEntry makeEntry(const std::string &name) {
  LedgerEntry entry;
  entry.name = name;
  entry.sources = {"a", "b"};
  entry.role = "q+k";
  entry.layer = 3;
  entry.format = "int4-g64";
  entry.solver = "search";
  entry.rows = 16;
  entry.columns = 64;
  entry.bytes = entry.payload = 544;
  entry.weightError = 0.1;
  entry.seconds = 0.25;
  return entry;
}

TEST(Journal, KeepsRecordsWhoseBytesAreStillThere) {
  std::string output = outputPath("kept");
  std::string tensors[2] = {"first tensor", "second tensor"};
  {
    Result<Journal> journal = Journal::create(output, fingerprint);
    ASSERT_TRUE(bool(journal)) << journal.error().message;
    for (size_t i = 0; i < 2; ++i)
      ASSERT_FALSE(
          journal->append(i, bytesOf(tensors[i]), makeEntry(tensors[i])));
  }
  auto resumed = Journal::resume(output, fingerprint);
  ASSERT_TRUE(bool(resumed)) << resumed.error().message;
  ASSERT_TRUE(resumed->has_value());
  tensors[1] = "second tens0r";
  auto entries = (*resumed)->complete(
      2, [&](size_t index) { return bytesOf(tensors[index]); });
  ASSERT_TRUE(entries[0].has_value());
  EXPECT_EQ(entries[0]->name, "first tensor");
  EXPECT_EQ(entries[0]->sources, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(entries[0]->layer, 3);
  EXPECT_EQ(entries[0]->weightError, std::optional<double>(0.1));
  EXPECT_EQ(entries[0]->outputError, std::nullopt);
  EXPECT_FALSE(entries[1].has_value());
  (*resumed)->remove();
  auto gone = Journal::resume(output, fingerprint);
  ASSERT_TRUE(bool(gone));
  EXPECT_FALSE(gone->has_value());
}

TEST(Journal, HalfALineDoesNotCountAndDoesNotHarm) {
  std::string output = outputPath("half");
  std::string bytes = "bytes";
  {
    Result<Journal> journal = Journal::create(output, fingerprint);
    ASSERT_TRUE(bool(journal));
    ASSERT_FALSE(journal->append(0, bytesOf(bytes), makeEntry("x")));
  }
  std::ofstream(Journal::pathFor(output), std::ios::app)
      << "{\"tensor\":1,\"di";
  {
    auto resumed = Journal::resume(output, fingerprint);
    ASSERT_TRUE(bool(resumed) && resumed->has_value());
    ASSERT_FALSE((*resumed)->append(1, bytesOf(bytes), makeEntry("y")));
  }
  auto resumed = Journal::resume(output, fingerprint);
  ASSERT_TRUE(bool(resumed) && resumed->has_value());
  auto entries =
      (*resumed)->complete(2, [&](size_t) { return bytesOf(bytes); });
  EXPECT_TRUE(entries[0] && entries[1]);
  EXPECT_EQ(entries[1]->name, "y");
  (*resumed)->remove();
}

TEST(Journal, OfAnotherJobIsRefusedByField) {
  std::string output = outputPath("other");
  ASSERT_TRUE(bool(Journal::create(output, fingerprint)));
  auto resumed = Journal::resume(output, {{"tool", "1"}, {"module", "xyz"}});
  ASSERT_FALSE(bool(resumed));
  EXPECT_EQ(resumed.error().code, ExitCode::Mismatch);
  EXPECT_NE(resumed.error().message.find(
                "different in module (\"abc\", now \"xyz\");"),
            std::string::npos)
      << resumed.error().message;
}

TEST(Journal, IsCheckedBeforeAllIsKnown) {
  std::string output = outputPath("check");
  std::remove(Journal::pathFor(output).c_str()); // Of an earlier run.
  EXPECT_FALSE(Journal::check(output, {{"tool", "2"}}));
  ASSERT_TRUE(bool(Journal::create(output, fingerprint)));
  EXPECT_FALSE(Journal::check(output, {{"tool", "1"}}));
  Status refused = Journal::check(output, {{"tool", "2"}});
  ASSERT_TRUE(bool(refused));
  EXPECT_EQ(refused->code, ExitCode::Mismatch);
  EXPECT_NE(refused->message.find("different in tool (\"1\", now \"2\");"),
            std::string::npos)
      << refused->message;
  // What is left is there for the job that it is of.
  EXPECT_TRUE(bool(Journal::resume(output, fingerprint)));
}

} // namespace
