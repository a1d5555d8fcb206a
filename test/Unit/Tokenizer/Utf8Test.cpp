//===- Utf8Test.cpp -------------------------------------------------------===//
#include "Utf8.h"

#include <gtest/gtest.h>

#include <vector>

using namespace lowbit;

namespace {

std::string repaired(std::initializer_list<std::string_view> parts) {
  Utf8Repair repair;
  std::string out;
  for (std::string_view part : parts)
    repair.push(part, out);
  repair.finish(out);
  return out;
}

TEST(Utf8, EveryCharacterRoundTrips) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000)
      continue;
    std::string text;
    appendChar(text, c);
    ASSERT_FALSE(findInvalidUtf8(text)) << c;
    size_t end = 0, begin = text.size();
    ASSERT_EQ(decodeChar(text, end), c);
    ASSERT_EQ(end, text.size());
    ASSERT_EQ(decodeCharBefore(text, begin), c);
    ASSERT_EQ(begin, 0u);
  }
}

TEST(Utf8, InvalidTextIsFound) {
  struct {
    std::string_view text;
    std::optional<size_t> offset;
  } cases[] = {{"", {}},
               {"abc\xC3\xA9", {}},
               {"ab\xFF", 2},           // never a lead byte
               {"\xC0\x80", 0},         // overlong NUL
               {"\xE0\x9F\xBF", 0},     // overlong
               {"\xF0\x8F\xBF\xBF", 0}, // overlong
               {"a\xED\xA0\x80", 1},    // surrogate
               {"\xF4\x90\x80\x80", 0}, // above U+10FFFF
               {"\xF5\x80\x80\x80", 0}, // above U+10FFFF
               {"\x80", 0},             // lone continuation
               {"a\xE2\x82", 1},        // cut
               {"\xEF\xBF\xBF", {}},    // U+FFFF is a character
               {std::string_view("\0a", 2), {}}};
  for (auto &c : cases)
    EXPECT_EQ(findInvalidUtf8(c.text), c.offset) << c.text;
}

TEST(Utf8, EachMaximalInvalidPartIsReplaced) {
  // The example of the Unicode standard, table 3-8.
  EXPECT_EQ(repaired({"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"}),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  // Table 3-9: non-shortest forms.
  EXPECT_EQ(repaired({"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"}),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(repaired({"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"}),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41\uFFFD\uFFFD\x42");
}

TEST(Utf8, PartsMayBeCutAnywhere) {
  std::string text = "a\u00E9\u4F60\U0001F600\xF0\x9F\x98z\xE4\xBD";
  std::string whole = repaired({text});
  EXPECT_EQ(whole, "a\u00E9\u4F60\U0001F600\uFFFDz\uFFFD");
  for (size_t i = 0; i <= text.size(); ++i)
    for (size_t j = i; j <= text.size(); ++j) {
      std::string_view view = text;
      EXPECT_EQ(
          repaired({view.substr(0, i), view.substr(i, j - i), view.substr(j)}),
          whole);
    }
}

TEST(Utf8, IncompleteCharactersWait) {
  Utf8Repair repair;
  std::string out;
  repair.push("\xF0\x9F\x98", out);
  EXPECT_EQ(out, "");
  repair.push("\x80", out);
  EXPECT_EQ(out, "\U0001F600");
}

} // namespace
