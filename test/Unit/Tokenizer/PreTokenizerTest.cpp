//===- PreTokenizerTest.cpp -----------------------------------------------===//
#include "PreTokenizer.h"
#include "TinyTokenizer.h"

using namespace lowbit;

namespace {

/// The pieces of `text` cut at each `-`, joined by `|`.
std::string cutAtDashes(std::string_view text, SplitBehavior behavior,
                        bool invert) {
  std::vector<Span> dashes;
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '-')
      dashes.push_back({i, i + 1});
  std::string joined;
  for (const Span &span : splitAt(dashes, text.size(), behavior, invert))
    (joined += text.substr(span.begin, span.end - span.begin)) += '|';
  return joined;
}

// The example of the documentation of the `tokenizers` package.
TEST(PreTokenizer, SplitBehaviors) {
  constexpr std::string_view text = "the-final--countdown";
  using B = SplitBehavior;
  EXPECT_EQ(cutAtDashes(text, B::Removed, false), "the|final|countdown|");
  EXPECT_EQ(cutAtDashes(text, B::Isolated, false),
            "the|-|final|-|-|countdown|");
  EXPECT_EQ(cutAtDashes(text, B::MergedWithPrevious, false),
            "the-|final-|-|countdown|");
  EXPECT_EQ(cutAtDashes(text, B::MergedWithNext, false),
            "the|-final|-|-countdown|");
  EXPECT_EQ(cutAtDashes(text, B::Contiguous, false),
            "the|-|final|--|countdown|");
  EXPECT_EQ(cutAtDashes(text, B::Removed, true), "-|-|-|");
  EXPECT_EQ(cutAtDashes("--a", B::MergedWithPrevious, false), "-|-|a|");
  EXPECT_EQ(cutAtDashes("a--", B::MergedWithNext, false), "a|-|-|");
  EXPECT_EQ(cutAtDashes("", B::Isolated, false), "");
}

TEST(PreTokenizer, MergesDoNotReachAcrossPieces) {
  TinyTokenizer tiny;
  EXPECT_EQ(tiny.encode("abc"), Ids{5});
  tiny.preTokenizer = R"({"type":"Split","pattern":{"String":"b"},
      "behavior":"MergedWithPrevious","invert":false})";
  EXPECT_EQ(tiny.encode("abcab"), (Ids{4, 2, 4}));
}

TEST(PreTokenizer, MetaspaceOldAndNewForms) {
  TinyTokenizer tiny;
  tiny.vocab = R"({"a":0,"b":1,"_":2})";
  tiny.merges = "[]";
  tiny.added = "[" + addedToken(3, "<s>", "special") + "]";
  auto metaspace = [&](const std::string &fields) {
    tiny.preTokenizer =
        R"({"type":"Metaspace","replacement":"_")" + fields + "}";
    return tiny.encode("a b<s>a");
  };
  Ids always{2, 0, 2, 1, 3, 2, 0}, never{0, 2, 1, 3, 0};
  EXPECT_EQ(metaspace(""), always);
  EXPECT_EQ(metaspace(R"(,"add_prefix_space":true,"str_rep":"_")"), always);
  EXPECT_EQ(metaspace(R"(,"add_prefix_space":false)"), never);
  EXPECT_EQ(metaspace(R"(,"prepend_scheme":"always","split":false)"), always);
  EXPECT_EQ(metaspace(R"(,"prepend_scheme":"never")"), never);
  EXPECT_EQ(metaspace(R"(,"prepend_scheme":"first","split":true)"),
            (Ids{2, 0, 2, 1, 3, 0}));
  EXPECT_EQ(tiny.encode("<s>a"), (Ids{3, 0}));
  EXPECT_EQ(tiny.encode(" a"), (Ids{2, 0}));
}

TEST(PreTokenizer, ByteLevelMayAddASpace) {
  TinyTokenizer tiny;
  tiny.vocab = "{\"a\":0,\"\u0120\":1,\"\u0120a\":2,\"\u00C3\":3,\"\u00A9\":4}";
  tiny.merges = "[[\"\u0120\",\"a\"]]";
  tiny.preTokenizer =
      R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true})";
  EXPECT_EQ(tiny.encode("a a"), (Ids{2, 2}));
  EXPECT_EQ(tiny.encode(" a"), Ids{2});
  EXPECT_EQ(tiny.encode("\u00E9"), (Ids{1, 3, 4}));
  tiny.preTokenizer =
      R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})";
  EXPECT_EQ(tiny.encode("a a"), (Ids{0, 2}));
}

TEST(PreTokenizer, DigitsAloneOrTogether) {
  TinyTokenizer tiny;
  tiny.vocab = R"({"1":0,"2":1,"12":2,"a":3,"a1":4})";
  tiny.merges = R"([["1","2"],["a","1"]])";
  tiny.preTokenizer = R"({"type":"Digits","individual_digits":true})";
  EXPECT_EQ(tiny.encode("a12"), (Ids{3, 0, 1}));
  tiny.preTokenizer = R"({"type":"Digits","individual_digits":false})";
  EXPECT_EQ(tiny.encode("a12"), (Ids{3, 2}));
}

TEST(PreTokenizer, UnknownOrMalformedIsRefused) {
  TinyTokenizer tiny;
  for (const char *type : {"Whitespace", "Punctuation", "BertPreTokenizer",
                           "UnicodeScripts", "FixedLength"}) {
    tiny.preTokenizer = R"({"type":")" + std::string(type) + R"("})";
    tiny.expectError(ExitCode::Unsupported,
                     "pre_tokenizer.type: is \"" + std::string(type) + "\"");
  }
  struct {
    const char *json;
    ExitCode code;
    const char *part;
  } cases[] = {
      {R"({"type":"Sequence"})", ExitCode::BadInput, "pretokenizers"},
      {R"({"type":"Sequence","pretokenizers":[{"type":"X"}]})",
       ExitCode::Unsupported, "pre_tokenizer.pretokenizers[0].type"},
      {R"({"type":"ByteLevel"})", ExitCode::BadInput, "add_prefix_space"},
      {R"({"type":"Split","pattern":{"Regex":"\\w"},"invert":false,
          "behavior":"Isolated"})",
       ExitCode::Unsupported, "pre_tokenizer.pattern.Regex"},
      {R"({"type":"Split","pattern":{"String":"a"},"invert":false,
          "behavior":"Odd"})",
       ExitCode::Unsupported, "behavior: is \"Odd\""},
      {R"({"type":"Split","pattern":{"String":"a"},"behavior":"Isolated"})",
       ExitCode::BadInput, "invert"},
      {R"({"type":"Metaspace","replacement":"ab"})", ExitCode::BadInput,
       "one character"},
      {R"({"type":"Metaspace","replacement":""})", ExitCode::BadInput,
       "one character"},
      {R"({"type":"Metaspace","replacement":"_","prepend_scheme":"x"})",
       ExitCode::Unsupported, "prepend_scheme"},
      {R"({"type":"Metaspace","replacement":"_","prepend_scheme":"first",
          "add_prefix_space":false})",
       ExitCode::BadInput, "add_prefix_space is false"}};
  for (auto &c : cases) {
    tiny.preTokenizer = c.json;
    tiny.expectError(c.code, c.part);
  }
}

TEST(PreTokenizer, FirstNeedsToKnowTheStart) {
  TinyTokenizer tiny;
  tiny.preTokenizer =
      R"({"type":"Metaspace","replacement":"a","prepend_scheme":"first"})";
  tiny.normalizer =
      R"({"type":"Replace","pattern":{"String":"xy"},"content":"a"})";
  tiny.expectError(ExitCode::Unsupported, "prepend_scheme first");
  tiny.normalizer =
      R"({"type":"Replace","pattern":{"String":"x"},"content":"b"})";
  EXPECT_TRUE(tiny.parse());
}

} // namespace
