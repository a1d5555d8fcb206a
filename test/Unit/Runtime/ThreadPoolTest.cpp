//===- ThreadPoolTest.cpp -------------------------------------------------===//
#include "lowbit/Runtime/ThreadPool.h"

#include "lowbit/Runtime/FloatEnvironment.h"

#include <chrono>
#include <gtest/gtest.h>
#include <thread>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace lowbit;

namespace {
std::unique_ptr<ThreadPool> pool(int threads) {
  auto created = ThreadPool::create(threads);
  EXPECT_TRUE(bool(created));
  return std::move(*created);
}
} // namespace

TEST(ThreadPool, SharesCoverAllItemsOnce) {
  for (int threads = 1; threads <= 9; ++threads)
    for (int64_t items :
         {int64_t(0), int64_t(1), int64_t(2), int64_t(7), int64_t(8),
          int64_t(9), int64_t(1000003), int64_t(1) << 40}) {
      int64_t next = 0;
      for (int t = 0; t < threads; ++t) {
        Share share = shareOf(items, t, threads);
        EXPECT_EQ(share.begin, next);
        EXPECT_LE(share.end - share.begin, items / threads + 1);
        next = share.end;
      }
      EXPECT_EQ(next, items);
    }
}

TEST(ThreadPool, RunsOnEveryThreadOnce) {
  for (int threads : {1, 2, 3, 8}) {
    auto p = pool(threads);
    std::vector<std::atomic<int>> calls(threads);
    for (int round = 1; round <= 100; ++round) {
      p->run([&](int thread) { ++calls[thread]; });
      for (auto &count : calls)
        ASSERT_EQ(count, round);
    }
  }
}

namespace {

/// Each step sums, for each item, what the step before left for all items.
class Sums : public StepList {
public:
  Sums(size_t steps, std::vector<int64_t> sizes)
      : steps(steps), sizes(std::move(sizes)) {}

  size_t size() const override { return steps; }
  int64_t items(size_t step) const override {
    return sizes[step % sizes.size()];
  }
  void run(size_t step, Share share, int thread) override {
    const auto &from = step % 2 ? odd : even;
    auto &to = step % 2 ? even : odd;
    int64_t count = step == 0 ? 1 : items(step - 1);
    for (int64_t i = share.begin; i < share.end; ++i) {
      int64_t sum = i;
      for (int64_t k = 0; k < count; ++k)
        sum += from[k];
      to[i] = sum % 1000003;
    }
    if (delay && thread == 1)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
  }

  size_t steps;
  std::vector<int64_t> sizes;
  std::vector<int64_t> even = std::vector<int64_t>(1000, 1),
                       odd = std::vector<int64_t>(1000, 1);
  bool delay = false;
};

} // namespace

TEST(ThreadPool, StepsRunInOrderWithEveryItemOnce) {
  const std::vector<int64_t> sizes{1, 2, 3, 17, 1, 64, 999, 5};
  for (size_t steps : {0, 1, 2, 400}) {
    Sums expected(steps, sizes);
    pool(1)->runSteps(expected);
    for (int threads : {2, 3, 5, 8}) {
      auto p = pool(threads);
      for (int round = 0; round < 5; ++round) {
        Sums sums(steps, sizes);
        p->runSteps(sums);
        ASSERT_EQ(sums.even, expected.even) << threads;
        ASSERT_EQ(sums.odd, expected.odd) << threads;
      }
    }
  }
}

TEST(ThreadPool, StepsWithoutItemsAreSkipped) {
  Sums sums(9, {0, 0, 0});
  pool(3)->runSteps(sums);
  EXPECT_EQ(sums.odd[0], 1);
}

TEST(ThreadPool, SlowThreadsChangeNothing) {
  const std::vector<int64_t> sizes{40, 7, 100};
  Sums expected(60, sizes), sums(60, sizes);
  pool(1)->runSteps(expected);
  sums.delay = true;
  pool(3)->runSteps(sums);
  EXPECT_EQ(sums.even, expected.even);
  EXPECT_EQ(sums.odd, expected.odd);
}

TEST(ThreadPool, WakesThreadsThatHaveGoneToSleep) {
  auto p = pool(3);
  std::atomic<int> calls{0};
  const std::vector<int64_t> sizes{3, 300};
  Sums expected(20, sizes);
  pool(1)->runSteps(expected);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    p->run([&](int) { ++calls; });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Sums sums(20, sizes);
    p->runSteps(sums);
    ASSERT_EQ(sums.even, expected.even);
  }
  EXPECT_EQ(calls, 60);
}

TEST(ThreadPool, ClampsRequests) {
  EXPECT_EQ(clampThreads(0), availableCpus());
  EXPECT_EQ(clampThreads(-1), availableCpus());
  EXPECT_EQ(clampThreads(1), 1);
  EXPECT_EQ(clampThreads(10000), 4 * availableCpus());
  EXPECT_EQ(clampThreads(INT64_MAX), 4 * availableCpus());
}

#if defined(__x86_64__)
TEST(ThreadPool, SetsAndRestoresTheFloatingPointEnvironment) {
  // Flush to zero, denormals are zero, round towards zero: as a host might.
  const unsigned hostile = 0x1F80 | 0x8040 | 0x6000;
  unsigned before = _mm_getcsr();
  _mm_setcsr(hostile);
  EXPECT_FALSE(floatsAreStrict());
  {
    auto p = pool(3); // Threads inherit the hostile register.
    std::atomic<int> strict{0};
    p->run([&](int) { strict += floatsAreStrict(); });
    EXPECT_EQ(strict, 3);
    EXPECT_EQ(_mm_getcsr() & ~0x3Fu, hostile);
  }
  _mm_setcsr(before);
  EXPECT_TRUE(floatsAreStrict());
}
#endif
