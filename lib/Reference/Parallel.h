//===- Parallel.h - Share independent items among threads -------*- C++ -*-===//
#ifndef LOWBIT_REFERENCE_PARALLEL_H
#define LOWBIT_REFERENCE_PARALLEL_H

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

namespace lowbit::reference {

/// Calls `body(begin, end)` for disjoint ranges that cover 0 … items − 1. Few
/// items (by `work`, operations in all) stay on the calling thread.
template <typename Body>
void parallelFor(unsigned threads, int64_t items, int64_t work, Body body) {
  constexpr int64_t workOfThread = 1 << 20;
  int64_t shares = std::min<int64_t>({threads, items, 1 + work / workOfThread});
  std::vector<std::thread> others;
  for (int64_t i = 1; i < shares; ++i)
    others.emplace_back(body, items * i / shares, items * (i + 1) / shares);
  body(0, shares > 1 ? items / shares : items);
  for (std::thread &thread : others)
    thread.join();
}

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_PARALLEL_H
