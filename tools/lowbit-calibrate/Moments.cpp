//===- Moments.cpp - Sums of x xᵀ over more rows than f32 can take --------===//

#include "Moments.h"
#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <atomic>
#include <cstring>

using namespace lowbit;
using namespace lowbit::calibrate;

namespace {

/// Elements of the rows before row `i` of a packed triangle.
int64_t triangle(int64_t i) { return i * (i + 1) / 2; }

/// Calls body(first element of the accumulator, first packed element, count)
/// for every run of elements that lie together in both, on all threads.
template <typename Body>
void forRuns(ThreadPool &pool, const Observation &observation, Body &&body) {
  int64_t columns = observation.columns;
  if (observation.moments == Moments::Diagonal) {
    body(0, 0, columns);
    return;
  }
  // Rows i and columns − 1 − i together have the same length for every i.
  int64_t pairs = (columns + 1) / 2;
  pool.run([&](int thread) {
    Share share = pool.share(pairs, thread);
    for (int64_t i = share.begin; i < share.end; ++i) {
      int64_t mirrored = columns - 1 - i;
      body(i * columns, triangle(i), i + 1);
      if (mirrored != i)
        body(mirrored * columns, triangle(mirrored), mirrored + 1);
    }
  });
}

} // namespace

int64_t lowbit::calibrate::storedMoments(const Observation &observation) {
  switch (observation.moments) {
  case Moments::None:
    return 0;
  case Moments::Diagonal:
    return observation.columns;
  case Moments::Full:
    return triangle(observation.columns);
  }
  return 0;
}

Status MomentSums::drain(ThreadPool &pool) {
  if (!totals.data()) {
    auto memory = Memory::allocate(8 * storedMoments(*observation),
                                   "the moments of " + observation->name);
    if (!memory)
      return memory.error();
    totals = std::move(*memory);
  }
  auto *sums = reinterpret_cast<double *>(totals.data());
  forRuns(pool, *observation, [&](int64_t from, int64_t to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      sums[to + i] += static_cast<double>(accumulator[from + i]);
      accumulator[from + i] = 0;
    }
  });
  return std::nullopt;
}

bool MomentSums::store(ThreadPool &pool, uint8_t *out) const {
  const auto *sums = reinterpret_cast<const double *>(totals.data());
  std::atomic<bool> isFinite{true};
  forRuns(pool, *observation, [&](int64_t from, int64_t to, int64_t count) {
    bool good = true;
    for (int64_t i = 0; i < count; ++i) {
      float value = accumulator[from + i];
      if (sums)
        value = static_cast<float>(sums[to + i] + static_cast<double>(value));
      good &= isFiniteFloat(value);
      std::memcpy(out + 4 * (to + i), &value, 4);
    }
    if (!good)
      isFinite = false;
  });
  return isFinite;
}
