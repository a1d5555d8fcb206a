//===- PatternTest.cpp ----------------------------------------------------===//
#include "Pattern.h"
#include "PatternSyntax.h"
#include "UnicodeTables.h"
#include "Utf8.h"

#include <gtest/gtest.h>

using namespace lowbit;

namespace {

Result<Pattern> makePattern(std::string_view regex) {
  JsonValue value{regex};
  return Pattern::regex(regex, JsonField(value, "tokenizer.json"));
}

/// The matches of a pattern, each as text, joined by `|`.
std::string matches(std::string_view regex, std::string_view text) {
  Result<Pattern> pattern = makePattern(regex);
  if (!pattern)
    return "refused: " + pattern.error().message;
  Result<std::vector<Span>> spans = pattern->findAll(text);
  if (!spans)
    return "failed: " + spans.error().message;
  std::string joined;
  for (const Span &span : *spans)
    (joined += text.substr(span.begin, span.end - span.begin)) += '|';
  return joined;
}

void expectRefused(std::string_view regex, std::string_view reason) {
  Result<Pattern> pattern = makePattern(regex);
  ASSERT_FALSE(pattern) << regex;
  EXPECT_EQ(pattern.error().code, ExitCode::Unsupported);
  EXPECT_NE(pattern.error().message.find(reason), std::string::npos)
      << pattern.error().message;
}

TEST(Pattern, KnownPatternsCut) {
  EXPECT_EQ(matches("'s|'t| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                    "\\s+(?!\\S)|\\s+",
                    "it's 12  times!\n"),
            "it|'s| 12| | times|!|\n|");
  EXPECT_EQ(matches("(?i:'s|'t|'ll)|\\p{L}+", "he'LL it'\u017F"),
            "he|'LL|it|'\u017F|");
  EXPECT_EQ(matches("\\p{N}{1,3}", "1234567"), "123|456|7|");
  EXPECT_EQ(matches("[\u4E00-\u9FA5]+", "a\u4F60\u597Db"), "\u4F60\u597D|");
  EXPECT_EQ(matches("(?<=a)b(?=c)", "abc bbc abd"), "b|");
  EXPECT_EQ(matches("(?i)ab", "aB AB"), "aB|AB|");
  EXPECT_EQ(matches("a.c", "abc a\nc a\u00E9c"), "abc|a\u00E9c|");
  EXPECT_EQ(matches("\\x41|\\u00e9|\\x{1F600}|\\t", "A\u00E9\U0001F600\t"),
            "A|\u00E9|\U0001F600|\t|");
  EXPECT_EQ(matches("[a-c\\-\\]]+?x|(?>b+)", "a-]x bb"), "a-]x|bb|");
  EXPECT_EQ(matches("\\p{^L}+|\\P{N}", "ab12"), "a|b|12|");
}

TEST(Pattern, LiteralsAreFoundWithoutOverlap) {
  JsonValue value("x");
  JsonField field(value, "f");
  Result<Pattern> pattern = Pattern::literal("aa", field);
  ASSERT_TRUE(pattern);
  EXPECT_EQ(pattern->findAll("aaaaa")->size(), 2u);
  EXPECT_FALSE(pattern->isOneCharacter());
  EXPECT_TRUE(Pattern::literal("\u2581", field)->isOneCharacter());
  EXPECT_FALSE(Pattern::literal("", field));
}

// Every code point: \s is the table, and what PCRE2 does not know is sorted in.
TEST(Pattern, WhiteSpaceIsTheTable) {
  Result<Pattern> space = makePattern("\\s");
  Result<Pattern> both = makePattern("\\s|\\p{Lu}");
  ASSERT_TRUE(space && both);
  std::string text;
  size_t expected = 0;
  for (uint32_t c = 0; c < 0x110000; ++c)
    if (c < 0xD800 || c >= 0xE000) {
      appendChar(text, c);
      expected += spaceRanges.find(c) != nullptr;
    }
  for (const Result<Pattern> *pattern : {&space, &both}) {
    Result<std::vector<Span>> spans = (*pattern)->findAll(text);
    ASSERT_TRUE(spans);
    size_t found = 0;
    for (const Span &span : *spans) {
      size_t at = span.begin;
      found += spaceRanges.find(decodeChar(text, at)) != nullptr;
    }
    EXPECT_EQ(found, expected);
  }
  EXPECT_EQ(space->findAll(text)->size(), expected);
}

// Counted by the `tokenizers` package, version 0.23.3 (Unicode 16.0).
TEST(Pattern, CategoriesAreThoseOfUnicode16) {
  std::string text;
  for (uint32_t c = 0; c < 0x110000; ++c)
    if (c < 0xD800 || c >= 0xE000)
      appendChar(text, c);
  struct {
    const char *category;
    size_t count;
  } cases[] = {{"L", 141028}, {"N", 1911}, {"M", 2501},    {"P", 855},
               {"S", 8514},   {"Z", 19},   {"Lu", 1858},   {"Ll", 2258},
               {"Lt", 31},    {"Lm", 404}, {"Lo", 136477}, {"Nd", 760},
               {"Cn", 819533}};
  for (auto &c : cases) {
    std::string regex = "\\p{" + std::string(c.category) + "}";
    Result<Pattern> pattern = makePattern(regex);
    ASSERT_TRUE(pattern);
    EXPECT_EQ(pattern->findAll(text)->size(), c.count) << regex;
  }
}

TEST(Pattern, OffsetsSurviveStandIns) {
  // Garay capital A, digit zero (Unicode 16), and U+180E, which is no space.
  std::string text = "a\U00010D50\U00010D40 \u180E9";
  EXPECT_EQ(matches("\\p{L}+|\\p{N}+|\\s+", text),
            "a\U00010D50|\U00010D40| |9|");
}

TEST(Pattern, WhatOnigurumaReadsOtherwiseIsRefused) {
  expectRefused("(a+)+$", "anchor $");
  expectRefused("^a", "anchor ^");
  expectRefused("\\p{Han}+", "no general category");
  expectRefused("\\p{Foo}", "no general category");
  expectRefused("\\p{L", "\\p without braces");
  expectRefused("\\w+", "has \\w");
  expectRefused("\\bfoo", "has \\b");
  expectRefused("(a)\\1", "has \\1");
  expectRefused("[a[b]]", "class within a class");
  expectRefused("[a&&b]", "class within a class");
  expectRefused("[[:alpha:]]", "class within a class");
  expectRefused("[]a]", "begins with ]");
  expectRefused("[a", "unclosed class");
  expectRefused("[", "unclosed class");
  expectRefused("[\\s-z]", "begins with a set");
  expectRefused("[a-\\s]", "ends with a set");
  expectRefused("[z-a]", "end is before its start");
  expectRefused("(?<name>a)", "group of an unknown kind");
  expectRefused("(?#x)a", "group of an unknown kind");
  expectRefused("(*LIMIT_MATCH=1)a", "verb");
  expectRefused("a(?i)b", "group of an unknown kind");
  expectRefused("(a", "unclosed group");
  expectRefused("a)", "unopened )");
  expectRefused("a**", "quantifier after nothing");
  expectRefused("*a", "quantifier after nothing");
  expectRefused("(?=a)+", "quantifier after nothing");
  expectRefused("a{3}?b", "{n}?");
  expectRefused("a{2,3}+", "after braces");
  expectRefused("a{,3}", "begins no quantifier");
  expectRefused("a{x}", "begins no quantifier");
  expectRefused("a{3,2}", "m < n");
  expectRefused("a{5000}", "1000 times");
  expectRefused("a}", "lone }");
  expectRefused("a\\", "ends with a backslash");
  expectRefused("\\x80", "malformed \\x");
  expectRefused("\\x{110000}", "malformed \\x");
  expectRefused("\\x{}", "malformed \\x");
  expectRefused("\\x{41", "malformed \\x");
  expectRefused("\\ud800", "malformed \\u");
  expectRefused("\\u12", "malformed \\u");
  expectRefused("(?i:ss)", "ligature");
  expectRefused("(?i:\u00E9)", "beyond ASCII");
  expectRefused("(?i:[a-\u00E9])", "beyond ASCII");
  expectRefused("(?i:\\p{Lu})", "cased letters");
  expectRefused("(?<=a+)b", "PCRE2 refuses");
  expectRefused("a*", "empty text");
  expectRefused("(?=a)", "empty text");
  expectRefused("\\p{L}|[\U00010D40-\U00010D49]", "newer than Unicode 14");
  expectRefused(std::string(70000, 'a'), "longer than 65536");
  expectRefused(std::string(200, '(') + "a" + std::string(200, ')'), "64 deep");
}

TEST(Pattern, ErrorsNameThePlace) {
  Result<Pattern> pattern = makePattern("ab[c&&d]");
  ASSERT_FALSE(pattern);
  EXPECT_NE(pattern.error().message.find("at byte 4"), std::string::npos)
      << pattern.error().message;
}

TEST(Pattern, BacktrackingHasALimit) {
  // [bc]: for a single b PCRE2 sees at once that there is none.
  Result<Pattern> pattern = makePattern("(?:a+)+[bc]");
  ASSERT_TRUE(pattern);
  EXPECT_TRUE(pattern->findAll("aac"));
  Result<std::vector<Span>> spans = pattern->findAll(std::string(60, 'a'));
  ASSERT_FALSE(spans);
  EXPECT_EQ(spans.error().code, ExitCode::BadInput);
  EXPECT_NE(spans.error().message.find("gives up at byte 0"),
            std::string::npos);
}

TEST(Pattern, LongRunsTakeLinearTime) {
  std::string spaces(3000000, ' ');
  Result<Pattern> pattern =
      makePattern(" ?\\p{L}+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+");
  ASSERT_TRUE(pattern);
  EXPECT_EQ(pattern->findAll(spaces)->size(), 1u);
  EXPECT_EQ(pattern->findAll(spaces + "a")->size(), 2u);
  EXPECT_EQ(pattern->findAll(std::string(3000000, 'a'))->size(), 1u);
}

TEST(PatternSyntax, SaysWhatItLooksAt) {
  auto read = readPattern("[a-c]\\s");
  auto &syntax = std::get<PatternSyntax>(read);
  EXPECT_TRUE(syntax.usesSpace);
  EXPECT_FALSE(syntax.usesCategories);
  ASSERT_EQ(syntax.named.size(), 1u);
  EXPECT_EQ(syntax.named[0].first, uint32_t('a'));
  EXPECT_EQ(syntax.named[0].last, uint32_t('c'));
  EXPECT_EQ(syntax.pcre2, "[a-c]\\s");
  EXPECT_EQ(std::get<PatternSyntax>(readPattern("(a )")).pcre2, "(?:a\\x{20})");
}

} // namespace
