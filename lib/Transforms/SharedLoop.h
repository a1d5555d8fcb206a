//===- SharedLoop.h - Loops that waiting threads help with ------*- C++ -*-===//
//
// One thread of a materializer prepares a tensor while the others can only wait
// for it. Waiting threads take up the iterations of its loops.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_SHAREDLOOP_H
#define LOWBIT_LIB_TRANSFORMS_SHAREDLOOP_H

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace lowbit {

/// See the head of this file. One leader at a time calls `run`; others `help`.
class SharedLoop {
public:
  /// Runs body(0) … body(count − 1) on this thread and all helpers.
  void run(int64_t count, const std::function<void(int64_t)> &body);
  /// Helps until `isOver()`, which is called under a lock of this object and
  /// whose change must be announced by `wake`.
  void help(const std::function<bool()> &isOver);
  /// Makes helpers look at their `isOver` again.
  void wake();

private:
  void takeIterations(std::unique_lock<std::mutex> &lock);

  std::mutex mutex;
  std::condition_variable changed;
  const std::function<void(int64_t)> *body = nullptr;
  int64_t next = 0, count = 0, running = 0;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_SHAREDLOOP_H
