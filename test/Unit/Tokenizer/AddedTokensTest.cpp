//===- AddedTokensTest.cpp ------------------------------------------------===//
#include "AddedTokens.h"
#include "TinyTokenizer.h"

using namespace lowbit;

namespace {

/// A tokenizer of letters with the added tokens `list`, whose ids are 6, 7, ….
TinyTokenizer withAdded(std::initializer_list<std::string> list) {
  TinyTokenizer tiny;
  tiny.added = "[";
  for (const std::string &entry : list)
    tiny.added += (tiny.added.size() > 1 ? "," : "") + entry;
  tiny.added += "]";
  return tiny;
}

TEST(AddedTokens, TheLongestWinsFromTheLeft) {
  TinyTokenizer tiny =
      withAdded({addedToken(6, "<a>", ""), addedToken(7, "<a><b>", ""),
                 addedToken(8, "a><", ""), addedToken(9, ".*+?(", "special")});
  EXPECT_EQ(tiny.encode("<a><b><a>"), (Ids{7, 6}));
  EXPECT_EQ(tiny.encode("<a><a>"), (Ids{6, 6}));
  EXPECT_EQ(tiny.encode("a><a>"), (Ids{8, 0}));
  EXPECT_EQ(tiny.encode("a.*+?(b"), (Ids{0, 9, 1}));
}

TEST(AddedTokens, SpecialTextIsTextUnlessParsed) {
  TinyTokenizer tiny =
      withAdded({addedToken(6, "bca", "special"), addedToken(7, "a b", "")});
  Result<Tokenizer> tokenizer = tiny.parse();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(*tokenizer->encode("abcab", false, true), (Ids{0, 6, 1}));
  EXPECT_EQ(*tokenizer->encode("abcab", false, false), (Ids{5, 4}));
  EXPECT_EQ(*tokenizer->encode("ca b", false, false), (Ids{2, 7}));
  // The special match covers its text even where it does not count.
  EXPECT_EQ(*tokenizer->encode("bca b", false, false), (Ids{1, 2, 0, 3, 1}));
  EXPECT_TRUE(tokenizer->isSpecial(6));
  EXPECT_FALSE(tokenizer->isSpecial(7));
}

TEST(AddedTokens, StripsTakeWhiteSpace) {
  TinyTokenizer tiny =
      withAdded({addedToken(6, "<l>", "lstrip"), addedToken(7, "<r>", "rstrip"),
                 addedToken(8, "<n>", "")});
  EXPECT_EQ(tiny.encode("a \u3000 <l> b"), (Ids{0, 6, 3, 1}));
  EXPECT_EQ(tiny.encode("a <r> \u2003 b"), (Ids{0, 3, 7, 1}));
  EXPECT_EQ(tiny.encode("a <n> b"), (Ids{0, 3, 8, 3, 1}));
  EXPECT_EQ(tiny.encode("<r>  <l>"), (Ids{7, 6}));
}

TEST(AddedTokens, SingleWordsTouchNoWord) {
  TinyTokenizer tiny = withAdded({addedToken(6, "xy", "single_word")});
  EXPECT_EQ(tiny.encode("xy"), Ids{6});
  EXPECT_EQ(tiny.encode("a xy b"), (Ids{0, 3, 6, 3, 1}));
  EXPECT_EQ(tiny.encode("axy b"), (Ids{0, 3, 1}));
  EXPECT_EQ(tiny.encode("xy\u00E9"), Ids{});
  EXPECT_EQ(tiny.encode("xy\u2014"), Ids{6});
}

TEST(AddedTokens, NormalizedOnesAreSearchedAfterNormalization) {
  TinyTokenizer tiny =
      withAdded({addedToken(6, "x", "normalized"), addedToken(7, "y", "")});
  tiny.normalizer =
      R"({"type":"Replace","pattern":{"Regex":"[xy]"},"content":"bb"})";
  EXPECT_EQ(tiny.encode("axyb"), (Ids{0, 6, 7, 1}));
  // A normalized token decodes to its normalized form.
  EXPECT_EQ(tiny.decode({6, 7}), "bby");
}

TEST(AddedTokens, ContradictionsAreRefused) {
  struct {
    TinyTokenizer tiny;
    ExitCode code;
    const char *part;
  } cases[] = {
      {withAdded({addedToken(6, "", "")}), ExitCode::BadInput,
       "added_tokens[0].content: is empty"},
      {withAdded({addedToken(6, "x", ""), addedToken(6, "y", "")}),
       ExitCode::BadInput, "the id 6 twice"},
      {withAdded({addedToken(6, "x", ""), addedToken(7, "x", "")}),
       ExitCode::BadInput, "content \"x\", which is there twice"},
      {withAdded({addedToken(7, "x", "")}), ExitCode::BadInput, "gaps"},
      {withAdded({addedToken(2000000000, "x", "")}), ExitCode::BadInput,
       "gaps"},
      {withAdded({addedToken(-1, "x", "")}), ExitCode::BadInput,
       "added_tokens[0].id"},
      {withAdded({addedToken(0, "b", "")}), ExitCode::BadInput,
       "gives \"b\" the id 0, the vocabulary 1"},
      {withAdded({addedToken(0, "x", "")}), ExitCode::BadInput,
       "gives \"x\" the id 0 of \"a\""},
      {withAdded({addedToken(6, std::string(1025, 'x'), "")}),
       ExitCode::Unsupported, "1025 bytes long"},
      {withAdded({R"({"id":6,"content":"x"})"}), ExitCode::BadInput,
       "single_word"},
      {withAdded({"7"}), ExitCode::BadInput, "added_tokens[0]"},
  };
  for (auto &c : cases) {
    SCOPED_TRACE(c.tiny.json());
    c.tiny.expectError(c.code, c.part);
  }
  TinyTokenizer tiny = withAdded(
      {addedToken(6, "x", "normalized"), addedToken(7, "y", "normalized")});
  tiny.normalizer =
      R"({"type":"Replace","pattern":{"String":"y"},"content":"x"})";
  tiny.expectError(ExitCode::BadInput, "as another one does");
  tiny.normalizer =
      R"({"type":"Replace","pattern":{"String":"y"},"content":""})";
  tiny.expectError(ExitCode::Unsupported, "normalizes to 0 bytes");
}

TEST(AddedTokens, MayFillGapsOfTheVocabulary) {
  TinyTokenizer tiny =
      withAdded({addedToken(2, "x", ""), addedToken(0, "a", "special")});
  tiny.vocab = R"({"a":0,"b":1,"c":3})";
  tiny.merges = "[]";
  EXPECT_EQ(tiny.encode("axc"), (Ids{0, 2, 3}));
}

TEST(AddedTokens, FinderCoversTheText) {
  AddedToken one;
  one.content = "ab";
  AddedTokenFinder finder({one});
  auto parts = finder.split("xxabyab", true);
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[0].end, 2u);
  EXPECT_TRUE(parts[1].token);
  EXPECT_EQ(parts[2].begin, 4u);
  EXPECT_EQ(parts[3].end, 7u);
  EXPECT_TRUE(finder.split("", true).empty());
  EXPECT_EQ(AddedTokenFinder().split("ab", true).size(), 1u);
}

} // namespace
