//===- TokenizerTest.cpp - Encoding and asking ----------------------------===//
#include "TinyTokenizer.h"

using namespace lowbit;

namespace {

TEST(Tokenizer, AnswersAboutTokens) {
  TinyTokenizer tiny;
  tiny.added = "[" + addedToken(6, "<s>", "special") + "," +
               addedToken(0, "a", "special") + "]";
  Result<Tokenizer> tokenizer = tiny.parse();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->vocabularySize(), 7);
  EXPECT_EQ(tokenizer->idOf("<s>"), 6);
  EXPECT_EQ(tokenizer->idOf("abc"), 5);
  EXPECT_EQ(tokenizer->idOf("x"), std::nullopt);
  EXPECT_EQ(tokenizer->idOf(""), std::nullopt);
  EXPECT_EQ(tokenizer->piece(6), "<s>");
  EXPECT_EQ(tokenizer->piece(5), "abc");
  EXPECT_EQ(tokenizer->piece(7), std::nullopt);
  EXPECT_EQ(tokenizer->piece(-1), std::nullopt);
  EXPECT_TRUE(tokenizer->isSpecial(0));
  EXPECT_FALSE(tokenizer->isSpecial(1));
  EXPECT_FALSE(tokenizer->isSpecial(-1));
  EXPECT_FALSE(tokenizer->isSpecial(7));
}

TEST(Tokenizer, TextMustBeUtf8) {
  Result<Tokenizer> tokenizer = TinyTokenizer().parse();
  ASSERT_TRUE(tokenizer);
  for (std::string_view text : {"ab\xFF", "ab\xC0\x80", "ab\xED\xA0\x80",
                                "ab\xF4\x90\x80\x80", "ab\xE4\xBD"}) {
    auto ids = tokenizer->encode(text, false, false);
    ASSERT_FALSE(ids);
    EXPECT_EQ(ids.error().code, ExitCode::BadInput);
    EXPECT_EQ(ids.error().message, "text: is not UTF-8 at byte 2");
  }
  // NUL and noncharacters are characters.
  EXPECT_TRUE(tokenizer->encode(std::string_view("a\0b", 3), false, false));
  EXPECT_TRUE(tokenizer->encode("\uFFFF\uFFFD", false, false));
}

TEST(Tokenizer, TooLongTextIsRefusedUnread) {
  Result<Tokenizer> tokenizer = TinyTokenizer().parse();
  ASSERT_TRUE(tokenizer);
  // Longer than what lies behind the pointer: a look at it would be an error.
  std::string_view text("a", size_t(INT32_MAX) + 1);
  auto ids = tokenizer->encode(text, false, false);
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ExitCode::BadInput);
  EXPECT_NE(ids.error().message.find("2147483648 bytes"), std::string::npos);
}

TEST(Tokenizer, CostlyPatternsAreAnError) {
  TinyTokenizer tiny;
  tiny.preTokenizer = R"({"type":"Split","pattern":{"Regex":"(?:a+)+[bc]"},
      "behavior":"Isolated","invert":false})";
  Result<Tokenizer> tokenizer = tiny.parse();
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_TRUE(tokenizer->encode("aac", false, false));
  auto ids = tokenizer->encode(std::string(100, 'a'), false, false);
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ExitCode::BadInput);
}

TEST(Tokenizer, CopiesShareTheirTables) {
  Result<Tokenizer> tokenizer = TinyTokenizer().parse();
  ASSERT_TRUE(tokenizer);
  Tokenizer copy = *tokenizer;
  Decoder decoder(copy, false);
  tokenizer = Error{ExitCode::Internal, ""};
  EXPECT_EQ(*copy.encode("abc", false, false), Ids{5});
  copy = *TinyTokenizer().parse();
  EXPECT_EQ(*decoder.push(5), "abc");
}

} // namespace
