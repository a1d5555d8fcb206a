//===- UnicodeTest.cpp - The generated tables -----------------------------===//
#include "ByteLevel.h"
#include "UnicodeTables.h"
#include "Utf8.h"

#include <gtest/gtest.h>

#include <set>

using namespace lowbit;

namespace {

size_t utf8Length(uint32_t c) {
  std::string text;
  appendChar(text, c);
  return text.size();
}

template <typename Range> void expectSorted(const RangeTable<Range> &table) {
  uint64_t next = 0;
  for (const Range &range : table) {
    EXPECT_GE(range.first, next);
    EXPECT_GE(range.last, range.first);
    next = uint64_t(range.last) + 1;
  }
  EXPECT_LE(next, 0x110000u);
}

TEST(UnicodeTables, AreSortedAndDisjoint) {
  expectSorted(standInRanges);
  expectSorted(unicode9Ranges);
  expectSorted(wordRanges);
  expectSorted(spaceRanges);
}

TEST(UnicodeTables, StandInsAreAsLongAndHaveNone) {
  for (const StandInRange &range : standInRanges) {
    EXPECT_EQ(utf8Length(range.first), utf8Length(range.standIn));
    EXPECT_EQ(utf8Length(range.last), utf8Length(range.standIn));
    const StandInRange *again = standInRanges.find(range.standIn);
    EXPECT_TRUE(!again || again->standIn == range.standIn) << range.standIn;
  }
}

TEST(UnicodeTables, FindLooksAtBothEnds) {
  EXPECT_TRUE(spaceRanges.find(0x2000));
  EXPECT_TRUE(spaceRanges.find(0x200A));
  EXPECT_FALSE(spaceRanges.find(0x200B));
  EXPECT_FALSE(spaceRanges.find(0x1FFF));
  EXPECT_FALSE(spaceRanges.find(0x180E));
  EXPECT_TRUE(spaceRanges.find(0x3000));
  EXPECT_FALSE(spaceRanges.find(0x10FFFF));
  EXPECT_TRUE(wordRanges.find('_'));
  EXPECT_TRUE(unicode9Ranges.find(0x1E900));  // Adlam, 9.0
  EXPECT_FALSE(unicode9Ranges.find(0x11D00)); // Masaram Gondi, 10.0
  EXPECT_TRUE(standInRanges.find(0x10D40));   // Garay digit, 16.0
}

TEST(ByteLevel, SpellsEachByteAsACharacterOfItsOwn) {
  std::set<std::string> spellings;
  for (unsigned byte = 0; byte < 256; ++byte) {
    char c = static_cast<char>(byte);
    std::string spelled;
    appendByteLevel(spelled, std::string_view(&c, 1));
    EXPECT_EQ(decodeByteLevel(spelled), std::string(1, c));
    spellings.insert(spelled);
  }
  EXPECT_EQ(spellings.size(), 256u);
  std::string spelled;
  appendByteLevel(spelled, " \n~\xC3\xAD");
  EXPECT_EQ(spelled, "\u0120\u010A~\u00C3\u0143");
}

TEST(ByteLevel, OtherTextStandsForItself) {
  EXPECT_EQ(decodeByteLevel("<|im_end|>"), "<|im_end|>");
  EXPECT_EQ(decodeByteLevel("a b\u0120"), "a b\u0120"); // no space in it
  EXPECT_EQ(decodeByteLevel("\u0144"), "\u0144");       // one past the last
  EXPECT_EQ(decodeByteLevel("\u4F60"), "\u4F60");
}

} // namespace
