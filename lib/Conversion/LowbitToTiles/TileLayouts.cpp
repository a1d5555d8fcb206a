//===- TileLayouts.cpp - Which thread holds what ----------------*- C++ -*-===//

#include "TileLayouts.h"
#include <algorithm>

using namespace lowbit;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t lowbit::chooseRowThreads(const GpuInfo &gpu, int64_t elements) {
  constexpr int64_t elementsPerThread = 4;
  int64_t most = std::min<int64_t>(512, gpu.threads / 2);
  int64_t wanted = ceilDiv(ceilDiv(elements, elementsPerThread), 32) * 32;
  return std::clamp<int64_t>(wanted, 32, most);
}

int64_t lowbit::chooseLinearWarps(const GpuInfo &gpu,
                                  const LinearShape &shape) {
  constexpr int64_t mostWarps = 16;
  // The cost of adding a round's partial sums, in latencies of memory.
  constexpr double roundCost = 0.25;
  int64_t best = 1;
  double bestTime = 0;
  for (int64_t warps = 1; warps <= mostWarps; warps *= 2) {
    if (warps > 1 && warps / 2 >= shape.slabs)
      break;
    int64_t resident =
        std::min<int64_t>({32, gpu.threads / (32 * warps),
                           gpu.registers / (32 * warps * shape.registers)});
    if (resident < 1)
      break;
    int64_t perProcessor = ceilDiv(shape.pairs, gpu.multiprocessors);
    int64_t blocks = std::min(resident, perProcessor);
    int64_t waves = ceilDiv(perProcessor, blocks);
    int64_t rounds = ceilDiv(shape.slabs, warps);
    double load = double(blocks * warps * shape.slabBytes) / gpu.flightBytes;
    double time = double(waves * rounds) * (std::max(1.0, load) + roundCost);
    if (warps == 1 || time < bestTime) {
      best = warps;
      bestTime = time;
    }
  }
  return best;
}
