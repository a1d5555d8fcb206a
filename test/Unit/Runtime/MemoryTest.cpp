//===- MemoryTest.cpp -----------------------------------------------------===//
#include "lowbit/Runtime/Memory.h"

#include <gtest/gtest.h>

using namespace lowbit;

TEST(Memory, IsAlignedZeroAndReadableBeyondItsEnd) {
  for (int64_t size : {0, 1, 63, 64, 65, 4096, 4097, 5000000}) {
    auto memory = Memory::allocate(size, "test");
    ASSERT_TRUE(bool(memory));
    EXPECT_EQ(memory->size(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % 64, 0u);
    for (int64_t i = 0; i < size + 64; ++i)
      ASSERT_EQ(memory->data()[i], 0);
    if (size)
      memory->data()[size - 1] = 1;
  }
}

TEST(Memory, StopsWhoeverRunsOn) {
  for (int64_t size : {100, 5000000}) {
    auto memory = Memory::allocate(size, "test");
    ASSERT_TRUE(bool(memory));
    EXPECT_DEATH(
        {
          for (int64_t i = 0; i < size + (1 << 13); ++i)
            *static_cast<volatile uint8_t *>(memory->data() + i) = 1;
        },
        "");
  }
}

TEST(Memory, RefusesImpossibleSizes) {
  for (int64_t size : {int64_t(-1), int64_t(1) << 62}) {
    auto memory = Memory::allocate(size, "the arena");
    ASSERT_FALSE(bool(memory));
    EXPECT_EQ(memory.error().code, ExitCode::Memory);
    EXPECT_NE(memory.error().message.find("the arena"), std::string::npos);
  }
}

TEST(Memory, MovesItsPages) {
  auto memory = Memory::allocate(64, "test");
  uint8_t *start = memory->data();
  Memory other = std::move(*memory);
  EXPECT_EQ(other.data(), start);
  EXPECT_EQ(memory->data(), nullptr);
}

TEST(Memory, KnowsWhatIsAvailable) { EXPECT_GT(availableMemory(), 1 << 20); }
