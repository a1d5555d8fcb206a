//===- Limits.h - What the machine allows -----------------------*- C++ -*-===//
//
// The rooflines that kernels are compared with, measured in the same process
// and the same minute: reading memory with full-width loads, and the
// instructions of integer and float dot products from registers alone.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_LIMITS_H
#define LOWBIT_TOOLS_BENCH_LIMITS_H

#include "Team.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lowbit::bench {

/// One way to read memory. The result only keeps the loads alive.
struct ReadLoop {
  std::string name;
  uint64_t (*read)(const uint8_t *bytes, int64_t size, int64_t distance);
  /// Bytes that prefetches run ahead.
  int64_t distance;
};

/// All that this CPU can do: without prefetch, prefetches into L1 and L2 at
/// several distances, four streams.
std::vector<ReadLoop> readLoops();

/// Bytes per second with which `team` reads `bytes` (64-byte aligned), each
/// thread a contiguous part.
double readRate(Team &team, const ReadLoop &loop, const uint8_t *bytes,
                int64_t size);

/// Reading of one buffer by one team: tries all loops, then keeps to the best.
class ReadLimit {
public:
  ReadLimit(Team &team, const uint8_t *bytes, int64_t size);

  /// Bytes per second of the best or second best loop, measured now.
  double measure(int rank = 0);
  /// The best rate so far.
  double best() const { return bestRate; }
  /// Every loop with the GB/s of the first try, fastest first.
  std::string describe() const;

private:
  Team &team;
  const uint8_t *bytes;
  int64_t size;
  /// Fastest first, and their rates.
  std::vector<ReadLoop> loops;
  std::vector<double> firstRates;
  double bestRate = 0;
};

/// A loop over registers that does nothing but the instructions it is named
/// after.
struct PeakLoop {
  std::string name;
  /// Multiply-adds of one iteration.
  double multiplyAdds;
  void (*run)(int64_t iterations);
};

/// The most multiply-adds of codes of `bits` bits with signed bytes that this
/// CPU has instructions for: `vpdpbusd` on 512 bits; else `vpmaddubsw` with
/// `vpaddw`, which saturates for codes of 8 bits: for those `vpmaddwd` with
/// `vpaddd` (splitting codes costs the same multiplications). Without AVX2
/// their 128-bit forms.
PeakLoop integerPeak(int bits);
/// The same when every pair of products is widened to i32 at once:
/// `vpmaddubsw`, `vpmaddwd`, `vpaddd`; on AVX-512 VNNI `vpdpbusd` again.
PeakLoop integerChain();
/// `vfmadd231ps` on 512 or 256 bits.
PeakLoop floatPeak();

/// Multiply-adds per second of all threads of the team.
double peakRate(Team &team, const PeakLoop &loop);

/// Clock in Hz, from a chain of dependent additions on one thread.
double clockRate(Team &team);

/// Bytes of the L2 cache of a core (512 KiB where the system does not say).
int64_t secondLevelCache();

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_LIMITS_H
