//===- SharedLoop.cpp - Loops that waiting threads help with --------------===//

#include "SharedLoop.h"

using namespace lowbit;

/// Runs iterations as long as there are any; `lock` is held before and after.
void SharedLoop::takeIterations(std::unique_lock<std::mutex> &lock) {
  while (body && next < count) {
    const std::function<void(int64_t)> &current = *body;
    int64_t i = next++;
    ++running;
    lock.unlock();
    current(i);
    lock.lock();
    --running;
  }
}

void SharedLoop::run(int64_t iterations,
                     const std::function<void(int64_t)> &work) {
  std::unique_lock<std::mutex> lock(mutex);
  body = &work;
  next = 0;
  count = iterations;
  changed.notify_all();
  takeIterations(lock);
  changed.wait(lock, [&] { return running == 0; });
  body = nullptr;
}

void SharedLoop::help(const std::function<bool()> &isOver) {
  std::unique_lock<std::mutex> lock(mutex);
  while (!isOver()) {
    takeIterations(lock);
    if (running == 0)
      changed.notify_all();
    changed.wait(lock, [&] { return isOver() || (body && next < count); });
  }
}

void SharedLoop::wake() {
  std::lock_guard<std::mutex> lock(mutex);
  changed.notify_all();
}
