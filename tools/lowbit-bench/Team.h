//===- Team.h - Timed work on the threads of a pool -------------*- C++ -*-===//
//
// Runs work on the project's own thread pool, one thread pinned to each CPU,
// and says how long it took. Time runs between threads that are already awake:
// from the first that leaves a barrier to the last that is done.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_TEAM_H
#define LOWBIT_TOOLS_BENCH_TEAM_H

#include "lowbit/Runtime/ThreadPool.h"

#include <algorithm>
#include <memory>
#include <sched.h>
#include <time.h>
#include <vector>

namespace lowbit::bench {

/// Wall time, or the CPU time of the busiest thread. The second ignores what
/// other processes take of the CPUs (not what they take of caches and memory):
/// for a look at a machine that is not quiet, not for figures.
enum class Clock { Wall, Cpu };

/// Threads with a clock. Not copyable; one measurement at a time.
class Team {
public:
  /// Errors are those of ThreadPool::create.
  static Result<std::unique_ptr<Team>> create(int threads, Clock clock) {
    Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
    if (!pool)
      return pool.error();
    return std::unique_ptr<Team>(new Team(std::move(*pool), clock));
  }

  int size() const { return pool->size(); }
  Share share(int64_t items, int thread) const {
    return pool->share(items, thread);
  }

  /// Meets the other threads between two steps, as the runner does. Nothing
  /// with the CPU clock, which would count the waiting.
  void endStep() {
    if (clock == Clock::Wall)
      pool->barrier();
  }

  /// work(thread) on every thread; seconds.
  template <typename Work> double time(Work &&work) {
    cpu_set_t before;
    sched_getaffinity(0, sizeof(before), &before);
    std::vector<double> starts(size()), ends(size());
    pool->run([&](int thread) {
      pin(thread);
      pool->barrier();
      starts[thread] = now();
      work(thread);
      ends[thread] = now();
    });
    sched_setaffinity(0, sizeof(before), &before);
    if (clock == Clock::Wall)
      return *std::max_element(ends.begin(), ends.end()) -
             *std::min_element(starts.begin(), starts.end());
    double longest = 0;
    for (int thread = 0; thread < size(); ++thread)
      longest = std::max(longest, ends[thread] - starts[thread]);
    return longest;
  }

private:
  Team(std::unique_ptr<ThreadPool> pool, Clock clock)
      : pool(std::move(pool)), clock(clock) {
    cpu_set_t set;
    sched_getaffinity(0, sizeof(set), &set);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set))
        cpus.push_back(cpu);
  }
  void pin(int thread) const {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpus[static_cast<size_t>(thread) % cpus.size()], &set);
    sched_setaffinity(0, sizeof(set), &set);
  }
  double now() const {
    timespec t;
    clock_gettime(clock == Clock::Wall ? CLOCK_MONOTONIC
                                       : CLOCK_THREAD_CPUTIME_ID,
                  &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }

  std::unique_ptr<ThreadPool> pool;
  Clock clock;
  std::vector<int> cpus;
};

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_TEAM_H
