//===- ThreadPool.cpp - Threads that run the steps of a plan --------------===//
#include "lowbit/Runtime/ThreadPool.h"

#include "lowbit/Runtime/FloatEnvironment.h"

#include <algorithm>
#include <climits>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace lowbit;

int lowbit::availableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return 1;
  return std::max(1, CPU_COUNT(&set));
}

int lowbit::clampThreads(int64_t requested) {
  int cpus = availableCpus();
  if (requested <= 0)
    return cpus;
  return static_cast<int>(std::min<int64_t>(requested, 4 * int64_t(cpus)));
}

Share lowbit::shareOf(int64_t items, int thread, int threads) {
  return {items * thread / threads, items * (thread + 1) / threads};
}

namespace {

/// A hint to the processor that this is a waiting loop.
void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void futexWait(std::atomic<uint32_t> &word, uint32_t expected) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE,
          expected, nullptr, nullptr, 0);
}

void futexWakeAll(std::atomic<uint32_t> &word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE,
          INT_MAX, nullptr, nullptr, 0);
}

} // namespace

// About 50 µs of waiting before a thread sleeps; next to none when there are
// more threads than CPUs, since then the one waited for needs this CPU.
ThreadPool::ThreadPool(int threads)
    : threads(threads), spins(threads <= availableCpus() ? 4000 : 16) {}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int threads) {
  std::unique_ptr<ThreadPool> pool(new ThreadPool(std::max(threads, 1)));
  // Workers keep a pointer to their element, so the vector must not grow.
  pool->workers.reserve(pool->threads);
  for (int i = 1; i < pool->threads; ++i) {
    pool->workers.push_back({pool.get(), i, {}});
    Worker &worker = pool->workers.back();
    if (pthread_create(&worker.handle, nullptr, startWorker, &worker) != 0) {
      pool->workers.pop_back();
      // The threads that exist are waiting for a run and end when told to.
      return Error{ExitCode::Memory,
                   "cannot start thread " + std::to_string(i + 1) + " of " +
                       std::to_string(pool->threads) +
                       " (use fewer with --threads)"};
    }
  }
  pool->run([&](int) {
    if (!floatsAreStrict())
      pool->selfTestFailed.store(true, std::memory_order_relaxed);
  });
  if (pool->selfTestFailed)
    return Error{ExitCode::Internal,
                 "floating-point self-test failed: this machine does not round "
                 "as IEEE 754 requires"};
  return pool;
}

ThreadPool::~ThreadPool() {
  stopping.store(true, std::memory_order_relaxed);
  advance(generation);
  for (Worker &worker : workers)
    pthread_join(worker.handle, nullptr);
}

void *ThreadPool::startWorker(void *argument) {
  auto *worker = static_cast<Worker *>(argument);
  worker->pool->runWorker(worker->index);
  return nullptr;
}

/// Changes the word and wakes whoever sleeps on it. Sequentially consistent
/// together with waitWhile: either this sees the sleeper, or the sleeper sees
/// the change.
void ThreadPool::advance(std::atomic<uint32_t> &word) {
  word.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) > 0)
    futexWakeAll(word);
}

void ThreadPool::waitWhile(std::atomic<uint32_t> &word, uint32_t old) {
  for (int i = 0; i < spins; ++i) {
    if (word.load(std::memory_order_acquire) != old)
      return;
    pause();
  }
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (word.load(std::memory_order_seq_cst) == old)
    futexWait(word, old);
  sleepers.fetch_sub(1, std::memory_order_seq_cst);
}

void ThreadPool::barrier() {
  // The phase cannot change before this thread has arrived.
  uint32_t old = phase.load(std::memory_order_relaxed);
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 ==
      static_cast<uint32_t>(threads)) {
    arrived.store(0, std::memory_order_relaxed);
    advance(phase);
    return;
  }
  waitWhile(phase, old);
}

void ThreadPool::runErased(Entry function, void *argument) {
  StrictFloatScope strict;
  if (threads == 1) {
    function(argument, 0);
    return;
  }
  entry = function;
  context = argument;
  advance(generation);
  function(argument, 0);
  barrier();
}

void ThreadPool::runWorker(int index) {
  StrictFloatScope strict;
  for (uint32_t seen = 0;; ++seen) {
    waitWhile(generation, seen);
    if (stopping.load(std::memory_order_relaxed))
      return;
    entry(context, index);
    barrier();
  }
}
