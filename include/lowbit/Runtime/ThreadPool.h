//===- ThreadPool.h - Threads that run the steps of a plan ------*- C++ -*-===//
//
// A fixed set of threads that all run the same function and meet at barriers:
// one wake-up for a whole forward pass, one barrier for each step. Waiting
// threads spin for a while and then sleep, so that a step costs about a
// microsecond and an idle pool costs nothing.
//
//   pool.run([&](int thread) {
//     work(pool.share(items, thread));
//     pool.barrier();
//     …
//   });
//
// One run at a time: the owner (a context) holds a lock.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_THREADPOOL_H
#define LOWBIT_RUNTIME_THREADPOOL_H

#include "lowbit/Checkpoint/Error.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <pthread.h>
#include <vector>

namespace lowbit {

/// CPUs that this process may run on (its affinity mask), at least 1.
int availableCpus();

/// The number of threads for a request: ≤ 0 means one for each available CPU,
/// and no more than four for each are made. Results never depend on it.
int clampThreads(int64_t requested);

/// Items [begin, end) of one thread.
struct Share {
  int64_t begin;
  int64_t end;
};

/// Thread `thread`'s part of 0 … items−1 among `threads`: contiguous, fixed,
/// sizes differ by at most one. items ≤ 2^40.
Share shareOf(int64_t items, int thread, int threads);

/// See the head of this file.
class ThreadPool {
public:
  /// Makes a pool of `threads` threads, the caller of run being one of them.
  /// Exit 6 when the system has no more threads, 70 when a thread fails the
  /// self-test of floatsAreStrict.
  static Result<std::unique_ptr<ThreadPool>> create(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  /// Threads, the caller included.
  int size() const { return threads; }

  /// Calls body(thread) once on every thread with a strict floating-point
  /// environment; returns when all are done.
  template <typename Body> void run(Body &&body) {
    using Plain = std::remove_reference_t<Body>;
    runErased(
        [](void *context, int thread) {
          (*static_cast<Plain *>(context))(thread);
        },
        const_cast<void *>(static_cast<const void *>(&body)));
  }

  /// Inside run: waits until every thread has called it as often.
  void barrier();

  /// shareOf for this pool.
  Share share(int64_t items, int thread) const {
    return shareOf(items, thread, threads);
  }

private:
  using Entry = void (*)(void *, int);
  struct Worker {
    ThreadPool *pool;
    int index;
    pthread_t handle;
  };
  explicit ThreadPool(int threads);
  void runErased(Entry entry, void *context);
  void runWorker(int index);
  void advance(std::atomic<uint32_t> &word);
  void waitWhile(std::atomic<uint32_t> &word, uint32_t old);
  static void *startWorker(void *worker);

  const int threads;
  const int spins;
  std::vector<Worker> workers;
  Entry entry = nullptr;
  void *context = nullptr;
  std::atomic<bool> stopping{false};
  std::atomic<bool> selfTestFailed{false};
  /// Each on its own cache line: they are written by different threads.
  alignas(64) std::atomic<uint32_t> generation{0};
  alignas(64) std::atomic<uint32_t> phase{0};
  alignas(64) std::atomic<uint32_t> arrived{0};
  alignas(64) std::atomic<uint32_t> sleepers{0};
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_THREADPOOL_H
