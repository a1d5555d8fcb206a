//===- MessageTest.cpp ----------------------------------------------------===//
#include "lowbit/Checkpoint/Message.h"

#include <cerrno>
#include <gtest/gtest.h>

using namespace lowbit;

TEST(Message, NamesFileFieldAndProblem) {
  Error error = badInput("config.json", "hidden_size", "is 0");
  EXPECT_EQ(error.code, ExitCode::BadInput);
  EXPECT_EQ(error.message, "config.json: hidden_size: is 0");
  EXPECT_EQ(badInput("a", "", "is empty").message, "a: is empty");
  EXPECT_EQ(unsupported("a", "b", "c").code, ExitCode::Unsupported);
}

TEST(Message, EscapesWhatDrivesATerminal) {
  EXPECT_EQ(escaped("a\x1b[2J\n"), "a\\x1b[2J\\x0a");
  EXPECT_EQ(escaped(std::string_view("\0\x7f", 2)), "\\x00\\x7f");
  EXPECT_EQ(escaped("\xc2\x9b"), "\\u{9b}");
  EXPECT_EQ(escaped("\xe2\x80\xae"), "\\u{202e}");
  EXPECT_EQ(escaped("\xef\xbb\xbf"), "\\u{feff}");
}

TEST(Message, KeepsTextAndShowsBytesThatAreNone) {
  EXPECT_EQ(escaped("größe 模型 😀"), "größe 模型 😀");
  EXPECT_EQ(escaped("\xff"), "\\xff");
  EXPECT_EQ(escaped("\xc0\x80"), "\\xc0\\x80");
  EXPECT_EQ(escaped("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(escaped("\xe2\x80"), "\\xe2\\x80");
  EXPECT_EQ(escaped("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(Message, CutsLongText) {
  EXPECT_EQ(quoted(std::string(1000, 'x'), 3), "\"xxx... (1000 bytes)\"");
  EXPECT_EQ(escaped("abc", 3), "abc");
}

TEST(Message, FileErrorsHaveTheirExitCodes) {
  EXPECT_EQ(fileError("f", "cannot open", ENOENT).code, ExitCode::BadInput);
  EXPECT_EQ(fileError("f", "cannot open", EACCES).code, ExitCode::BadInput);
  EXPECT_EQ(fileError("f", "cannot read", EIO).code, ExitCode::IO);
  EXPECT_EQ(fileError("f", "cannot map", ENOMEM).code, ExitCode::Memory);
  EXPECT_EQ(outputError("f", "cannot create", EACCES).code, ExitCode::IO);
  EXPECT_EQ(fileError("f", "cannot read", EIO).message,
            "f: cannot read: Input/output error (errno 5)");
}
