//===- PageTableTest.cpp --------------------------------------------------===//
#include "lowbit/Runtime/PageTable.h"

#include <gtest/gtest.h>
#include <random>
#include <set>

using namespace lowbit;

TEST(PageTable, GivesAndTakesPages) {
  int32_t table[2 * 3] = {};
  PageTable pages(table, 2, 3, 4);
  int32_t a = *pages.add(), b = *pages.add();
  EXPECT_FALSE(pages.add().has_value());
  EXPECT_TRUE(pages.resize(a, 1));
  EXPECT_EQ(pages.freePages(), 3);
  EXPECT_TRUE(pages.resize(a, 64));
  EXPECT_EQ(pages.freePages(), 3);
  EXPECT_TRUE(pages.resize(a, 65));
  EXPECT_EQ(pages.freePages(), 2);
  EXPECT_FALSE(pages.resize(a, 3 * 64 + 1)); // More than a sequence has.
  EXPECT_EQ(pages.length(a), 65);
  EXPECT_TRUE(pages.resize(b, 128));
  EXPECT_FALSE(pages.resize(a, 129)); // More than there are.
  EXPECT_TRUE(pages.resize(b, 64));
  EXPECT_TRUE(pages.resize(a, 129));
  pages.remove(a);
  EXPECT_EQ(pages.freePages(), 3);
  EXPECT_FALSE(pages.isAlive(a));
  EXPECT_FALSE(pages.isAlive(-1));
  EXPECT_FALSE(pages.isAlive(2));
  EXPECT_EQ(*pages.add(), a);
}

TEST(PageTable, NeverGivesAPageTwice) {
  const int sequences = 5, perSequence = 4, all = 12;
  int32_t table[sequences * perSequence] = {};
  PageTable pages(table, sequences, perSequence, all);
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    int32_t sequence = random() % sequences;
    if (!pages.isAlive(sequence))
      pages.add();
    else if (random() % 8 == 0)
      pages.remove(sequence);
    else
      pages.resize(sequence, random() % (perSequence * 64 + 20));
    std::set<int32_t> used;
    int64_t count = 0;
    for (int32_t s = 0; s < sequences; ++s)
      if (pages.isAlive(s))
        for (int64_t p = 0; p < PageTable::pagesFor(pages.length(s)); ++p) {
          int32_t page = table[s * perSequence + p];
          ASSERT_TRUE(page >= 0 && page < all);
          used.insert(page);
          ++count;
        }
    ASSERT_EQ(static_cast<int64_t>(used.size()), count);
    ASSERT_EQ(pages.freePages(), all - count);
  }
}
