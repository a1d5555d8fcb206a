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
  // Rounded up, so that a single item is the first thread's.
  auto bound = [&](int64_t i) { return (items * i + threads - 1) / threads; };
  return {bound(thread), bound(thread + 1)};
}

namespace {

/// Bits of a ticket that count pieces, and how many pieces a thread's part is
/// cut into where it has enough items.
constexpr int pieceBits = 16;
constexpr uint64_t pieceMask = (uint64_t(1) << pieceBits) - 1;
constexpr int piecesPerThread = 4;

/// A hint to the processor that this is a waiting loop.
void relax() {
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
    : threads(threads), spins(threads <= availableCpus() ? 4000 : 16),
      tickets(new Ticket[threads]) {}

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
      return Error{ExitCode::Memory, "cannot start thread " +
                                         std::to_string(i + 1) + " of " +
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
  advance(signal);
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
    relax();
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
  generation.fetch_add(1, std::memory_order_release);
  advance(signal);
  function(argument, 0);
  barrier();
}

void ThreadPool::runSteps(StepList &list) {
  StrictFloatScope strict;
  if (threads == 1) {
    for (size_t i = 0; i < list.size(); ++i)
      if (int64_t count = list.items(i))
        list.run(i, {0, count}, 0);
    return;
  }
  steps = &list;
  step = SIZE_MAX; // The next is 0.
  isBusy.store(true, std::memory_order_relaxed);
  if (!beginNextStep())
    return;
  for (;;) {
    uint32_t seen = signal.load(std::memory_order_acquire);
    if (!isBusy.load(std::memory_order_acquire))
      return;
    if (!takePieces(0))
      waitWhile(signal, seen);
  }
}

/// Makes the next step with items the current one and lets everybody take its
/// pieces. False, and the run is over, where there is none. Called when no
/// piece of the step before is left or being computed.
bool ThreadPool::beginNextStep() {
  do {
    ++step;
    items = step < steps->size() ? steps->items(step) : 0;
  } while (items == 0 && step < steps->size());
  if (items == 0) {
    isBusy.store(false, std::memory_order_release);
    advance(signal);
    return false;
  }
  parts = static_cast<int>(std::min<int64_t>(items, threads));
  pieces = items < int64_t(parts) * 4 * piecesPerThread ? 1 : piecesPerThread;
  remaining.store(static_cast<uint32_t>(parts * pieces),
                  std::memory_order_relaxed);
  // With the last ticket the step can be over at once and the next one begin,
  // so the members are not to be read any more.
  const uint64_t ticket = ++stepNumber << pieceBits | uint64_t(pieces);
  for (int part = 0, last = parts; part < last; ++part)
    tickets[part].left.store(ticket, std::memory_order_release);
  advance(signal);
  return true;
}

/// Computes pieces, the thread's own first, until there are none to take; false
/// where there was none at all.
bool ThreadPool::takePieces(int thread) {
  bool any = false;
  for (int i = 0; i < threads; ++i) {
    int owner = (thread + i) % threads;
    std::atomic<uint64_t> &left = tickets[owner].left;
    uint64_t ticket = left.load(std::memory_order_relaxed);
    while ((ticket & pieceMask) != 0) {
      // Acquire: whoever has a piece sees the step. The number in the ticket
      // keeps a thread that was away from taking a piece of a later step.
      if (!left.compare_exchange_weak(ticket, ticket - 1,
                                      std::memory_order_acquire,
                                      std::memory_order_relaxed))
        continue;
      any = true;
      int piece = pieces - static_cast<int>(ticket & pieceMask);
      Share part = shareOf(items, owner, parts);
      Share inside = shareOf(part.end - part.begin, piece, pieces);
      if (inside.begin < inside.end)
        steps->run(step, {part.begin + inside.begin, part.begin + inside.end},
                   thread);
      // The last to finish has seen what all others wrote.
      if (remaining.fetch_sub(1, std::memory_order_acq_rel) == 1)
        beginNextStep();
      ticket = left.load(std::memory_order_relaxed);
    }
  }
  return any;
}

void ThreadPool::runWorker(int index) {
  StrictFloatScope strict;
  for (uint32_t runs = 0;;) {
    uint32_t seen = signal.load(std::memory_order_acquire);
    if (stopping.load(std::memory_order_relaxed))
      return;
    if (generation.load(std::memory_order_acquire) != runs) {
      ++runs;
      entry(context, index);
      barrier();
    } else if (!takePieces(index)) {
      waitWhile(signal, seen);
    }
  }
}
