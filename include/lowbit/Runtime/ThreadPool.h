//===- ThreadPool.h - Threads that run the steps of a plan ------*- C++ -*-===//
//
// A fixed set of threads with two ways to use it. `runSteps` runs the steps of
// a forward pass one after another, each shared out by items; `run` calls a
// function once on every thread. Waiting threads spin for a while and then
// sleep, so that a step costs about a microsecond and an idle pool nothing.
//
// In a step every thread has its own contiguous part of the items, which it
// takes in a few pieces; who is done takes pieces of others. So a thread that
// the system does not run at the moment delays nobody: with a barrier after
// each step, one busy neighbour process made text ten times slower. Which
// thread computes an item never changes the result.
//
//   pool.run([&](int thread) { work(pool.share(items, thread)); });
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

/// Steps that run in order: each begins when the one before is complete.
class StepList {
public:
  virtual ~StepList() = default;
  /// Number of steps.
  virtual size_t size() const = 0;
  /// Items of a step, 0 … 2^40.
  virtual int64_t items(size_t step) const = 0;
  /// Runs some items of a step on a thread; several threads at once.
  virtual void run(size_t step, Share share, int thread) = 0;
};

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
    runErased([](void *context,
                 int thread) { (*static_cast<Plain *>(context))(thread); },
              const_cast<void *>(static_cast<const void *>(&body)));
  }

  /// Runs all steps on all threads, with a strict floating-point environment;
  /// returns when the last is complete.
  void runSteps(StepList &list);

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
  /// What is left of one thread's part of the current step: pieces in the low
  /// bits, the step's number (of all steps ever) above.
  struct alignas(64) Ticket {
    std::atomic<uint64_t> left{0};
  };
  void runErased(Entry entry, void *context);
  void runWorker(int index);
  bool beginNextStep();
  bool takePieces(int thread);
  void barrier();
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

  /// The steps, the current one, its items, the parts they are cut into (one
  /// for each thread, as long as there are items), the pieces of a part, and
  /// its number. Written only while no piece is taken, read only by who has
  /// one.
  StepList *steps = nullptr;
  size_t step = 0;
  int64_t items = 0;
  int parts = 0;
  int pieces = 0;
  uint64_t stepNumber = 0;
  std::unique_ptr<Ticket[]> tickets;
  /// Whether there is a current step.
  std::atomic<bool> isBusy{false};

  /// Each on its own cache line: they are written by different threads.
  /// Pieces of the current step that are not complete.
  alignas(64) std::atomic<uint32_t> remaining{0};
  /// Changes whenever there is something to look for.
  alignas(64) std::atomic<uint32_t> signal{0};
  /// Runs of `run`; the barrier at their end.
  alignas(64) std::atomic<uint32_t> generation{0};
  alignas(64) std::atomic<uint32_t> phase{0};
  alignas(64) std::atomic<uint32_t> arrived{0};
  alignas(64) std::atomic<uint32_t> sleepers{0};
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_THREADPOOL_H
