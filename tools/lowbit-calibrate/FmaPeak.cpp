//===- FmaPeak.cpp - What the machine allows ------------------------------===//

#include "FmaPeak.h"
#include "lowbit/Runtime/KernelTable.h"

#include <ctime>

using namespace lowbit;
using namespace lowbit::calibrate;

namespace {

/// Sums that are under way at once; more than any CPU's latency needs.
constexpr int64_t sums = 12;

/// `iterations` · sums fused multiply-adds of vectors of `Lanes` floats.
template <int Lanes>
[[gnu::always_inline]] inline float multiplyAdd(int64_t iterations) {
  using Vector [[gnu::vector_size(Lanes * 4)]] = float;
  Vector x[sums];
  for (int64_t j = 0; j < sums; ++j) // All different, or they would be one.
    x[j] = Vector{} + static_cast<float>(j);
  Vector a = Vector{} + 0.5f, b = Vector{} + 0.25f;
  for (int64_t i = 0; i < iterations; ++i)
    for (int64_t j = 0; j < sums; ++j)
      x[j] = __builtin_elementwise_fma(x[j], a, b);
  Vector total = {};
  for (int64_t j = 0; j < sums; ++j)
    total += x[j];
  return total[0];
}

float half(int64_t iterations) { return multiplyAdd<8>(iterations); }
__attribute__((target("avx512f"))) float wide(int64_t iterations) {
  return multiplyAdd<16>(iterations);
}

double now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) +
         1e-9 * static_cast<double>(time.tv_nsec);
}

} // namespace

Stopwatch::Stopwatch()
    : wall(now(CLOCK_MONOTONIC)), cpu(now(CLOCK_PROCESS_CPUTIME_ID)) {}

void Stopwatch::stop(Measure &measure) const {
  measure.seconds += now(CLOCK_MONOTONIC) - wall;
  measure.cpuSeconds += now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

void lowbit::calibrate::measureFmaPeak(ThreadPool &pool, Measure &measure) {
  constexpr int64_t iterations = 4'000'000; // 8 to 10 ms
  bool isWide = bestVariant() == Variant::AVX512;
  Stopwatch watch;
  pool.run([&](int) {
    volatile float sink = isWide ? wide(iterations) : half(iterations);
    (void)sink;
  });
  watch.stop(measure);
  measure.multiplyAdds +=
      static_cast<double>(iterations) * sums * (isWide ? 16 : 8) * pool.size();
}
