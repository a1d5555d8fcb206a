//===- Team.h - Timed work on the threads of a pool -------------*- C++ -*-===//
//
// Runs work on the project's own thread pool, one thread pinned to each CPU,
// and says how long it took: either the same function on every thread, timed
// between threads that are already awake (limits), or a list of steps as the
// runner runs them (kernels).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_TEAM_H
#define LOWBIT_TOOLS_BENCH_TEAM_H

#include "lowbit/Runtime/ThreadPool.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <sched.h>
#include <time.h>
#include <vector>

namespace lowbit::bench {

/// Wall time, or the CPU time of the busiest thread with a fixed split of the
/// work. The second ignores what other processes take of the CPUs (not what
/// they take of caches and memory): for a look at a machine that is not quiet,
/// not for figures.
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

  /// work(thread) on every thread; seconds from the first start to the last
  /// end.
  template <typename Work> double time(Work &&work) {
    Pinned pinned(*this);
    std::vector<double> starts(cpus.size()), ends(cpus.size());
    std::atomic<int> awake{0};
    pool->run([&](int thread) {
      auto i = static_cast<size_t>(thread);
      pin(thread);
      ++awake;
      while (awake != size())
        ;
      starts[i] = now();
      work(thread);
      ends[i] = now();
    });
    if (clock == Clock::Wall)
      return *std::max_element(ends.begin(), ends.end()) -
             *std::min_element(starts.begin(), starts.end());
    double longest = 0;
    for (size_t i = 0; i < ends.size(); ++i)
      longest = std::max(longest, ends[i] - starts[i]);
    return longest;
  }

  /// work(step, share, thread) for `steps` steps of `items` items, each step
  /// after the one before, by the runner's schedule; seconds.
  template <typename Work>
  double timeSteps(int64_t steps, int64_t items, Work &&work) {
    if (clock == Clock::Cpu)
      return time([&](int thread) {
        for (int64_t step = 0; step < steps; ++step)
          work(step, share(items, thread), thread);
      });
    Steps<Work> list(steps, items, work);
    Pinned pinned(*this);
    double start = now();
    pool->runSteps(list);
    return now() - start;
  }

private:
  template <typename Work> class Steps final : public StepList {
  public:
    Steps(int64_t steps, int64_t count, Work &work)
        : steps(steps), count(count), work(work) {}
    size_t size() const override { return static_cast<size_t>(steps); }
    int64_t items(size_t) const override { return count; }
    void run(size_t step, Share share, int thread) override {
      work(static_cast<int64_t>(step), share, thread);
    }

  private:
    int64_t steps, count;
    Work &work;
  };

  /// The caller is thread 0: pinned while it measures only, since threads that
  /// it starts afterwards (code generation) would be pinned too.
  class Pinned {
  public:
    explicit Pinned(const Team &team) {
      sched_getaffinity(0, sizeof(before), &before);
      team.pin(0);
    }
    ~Pinned() { sched_setaffinity(0, sizeof(before), &before); }

  private:
    cpu_set_t before;
  };

  Team(std::unique_ptr<ThreadPool> pool, Clock clock)
      : pool(std::move(pool)), clock(clock) {
    cpu_set_t set;
    sched_getaffinity(0, sizeof(set), &set);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set))
        cpus.push_back(cpu);
    cpus.resize(std::min(cpus.size(), static_cast<size_t>(size())));
    for (size_t i = cpus.size(); i < static_cast<size_t>(size()); ++i)
      cpus.push_back(cpus[i % cpus.size()]);
    Pinned pinned(*this);
    this->pool->run([&](int thread) { pin(thread); });
  }
  void pin(int thread) const {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpus[static_cast<size_t>(thread)], &set);
    sched_setaffinity(0, sizeof(set), &set);
  }
  double now() const {
    timespec t;
    clock_gettime(
        clock == Clock::Wall ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) +
           1e-9 * static_cast<double>(t.tv_nsec);
  }

  std::unique_ptr<ThreadPool> pool;
  Clock clock;
  /// The CPU of each thread.
  std::vector<int> cpus;
};

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_TEAM_H
