//===- Viterbi.h - The best path through a trellis --------------*- C++ -*-===//
//
// The search behind the trellis codes (Spec.md, 1.3): given the numbers that
// the steps of a stream should stand for, the bits that come nearest. Works
// from the end of a stream to its start, one block of steps at a time, and
// compiled for each CodePath with the same result.
//
// A state is the window − 2 bits of the stream that begin at a step; going one
// step towards the start, two bits are new and two leave. So every state has
// four successors, 4 · 2^(window−2) branches a step, whose costs are only 64
// different squared errors. Costs are u16 multiples of 4; the two bits below
// carry the branch through the minimum.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_VITERBI_H
#define LOWBIT_LIB_NUMERICS_VITERBI_H

#include "lowbit/Numerics/CodePath.h"
#include "lowbit/Numerics/TrellisTables.h"

#include <cstdint>
#include <vector>

namespace lowbit {

/// Steps of a block (one vector of 64 bytes at 2 bits a step).
constexpr int blockSteps = 256;
/// Steps before a block that are searched with it and then forgotten: a path
/// that is best at the end of them is best at the block's first step, too.
constexpr int lookAheadSteps = 48;

/// A trellis code for the search.
struct ViterbiCode {
  /// V, numbers of a step: 1, 2 or 4.
  int weightsPerStep = 1;
  /// Bits that a number depends on: 12 or 10.
  int window = 12;
  /// M < 16 (window 10: < 4).
  unsigned mask = 0;
  /// Entry c of table u at table[64 · u + c], in the units of the targets.
  const float *table = nullptr;
  /// What a squared error is multiplied with to become a cost; costs of a step
  /// reach 2^14.
  float gain = 256;
};

/// A block to search.
struct ViterbiBlock {
  /// V numbers for each step: `ahead` steps of look-ahead, then the block.
  const float *targets = nullptr;
  /// 0 or lookAheadSteps; 0 only at the start of a stream.
  int ahead = 0;
  /// State behind the block's last step; 0 at the end of a stream.
  int end = 0;
};

/// What a search found, for look-ahead and block. The path ends in the state
/// that the block says; only the steps of the block are final.
struct ViterbiPath {
  /// State at each step.
  uint16_t states[lookAheadSteps + blockSteps];
  /// Index into the tables at each step.
  uint8_t indices[lookAheadSteps + blockSteps];
};

/// Memory of the search: one per thread.
struct ViterbiScratch {
  std::vector<uint16_t> decisions;
};

/// Searches `block`. `path` must be one that the CPU has.
void searchTrellis(const ViterbiCode &code, const ViterbiBlock &block,
                   ViterbiScratch &scratch, ViterbiPath &found, CodePath path);

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_VITERBI_H
