//===- FloatLayoutTest.cpp ------------------------------------ -*- C++ -*-===//
//
// Sizes of float tiles against plain counting.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/FloatLayout.h"

#include "NaiveInteger.h"
#include <gtest/gtest.h>

#include <limits>

using namespace lowbit;

TEST(FloatLayout, SizesCountEveryElement) {
  for (ElementType type :
       {ElementType::F32, ElementType::F16, ElementType::BF16})
    for (int64_t columns : naive::raggedColumns())
      for (int64_t rows : {1, 15, 16, 17, 32, 100}) {
        int64_t size = type == ElementType::F32 ? 4 : 2;
        int64_t tile = 16 * columns * size;
        while (tile % 64)
          ++tile;
        int64_t tiles = (rows + 15) / 16;
        std::optional<FloatLayout> layout = floatLayout(type, rows, columns);
        ASSERT_TRUE(layout);
        EXPECT_EQ(layout->elementBytes, size);
        EXPECT_EQ(layout->tileBytes, tile);
        EXPECT_EQ(layout->tiles, tiles);
        EXPECT_EQ(layout->bytes, tiles * tile);
        std::optional<StoredSize> stored = storedSize(type, rows, columns);
        ASSERT_TRUE(stored);
        EXPECT_EQ(stored->bytes, layout->bytes);
        EXPECT_EQ(stored->payload, rows * columns * size);
        EXPECT_EQ(stored->padding, stored->bytes - stored->payload);
      }
}

TEST(FloatLayout, WhatDoesNotFitHasNoSize) {
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  for (int64_t rows : {int64_t(0), int64_t(-1), most})
    EXPECT_FALSE(floatLayout(ElementType::F32, rows, 64));
  for (int64_t columns : {int64_t(0), int64_t(-5), most, most / 64})
    EXPECT_FALSE(storedSize(ElementType::F32, 32, columns));
  EXPECT_TRUE(floatLayout(ElementType::F16, 16, most / 64));
}
