//===- TileLayouts.h - Which thread holds what ------------------*- C++ -*-===//
//
// The choice of layouts, from the facts of a chip and the shape of a tile
// alone: no measurement, no tuning run, the same code for the same input.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_LOWBITTOTILES_TILELAYOUTS_H
#define LOWBIT_LIB_CONVERSION_LOWBITTOTILES_TILELAYOUTS_H

#include "lowbit/Target/TargetInfo.h"
#include <cstdint>

namespace lowbit {

/// Threads of a block that works on one row of `elements` elements: a few
/// elements for each thread, since a row is short and its blocks are few.
int64_t chooseRowThreads(const GpuInfo &gpu, int64_t elements);

/// A linear, as the cost model sees it.
struct LinearShape {
  int64_t pairs;     ///< blocks: pairs of tiles of 16 rows
  int64_t slabs;     ///< of 512 columns
  int64_t slabBytes; ///< weights of one slab of a pair
  int64_t registers; ///< of a thread
};

/// Warps of a block, each of which takes every W-th slab of the pair (split-K:
/// the partial sums are added in the order of the slabs).
///
/// Time in units of the memory's latency: a round loads one slab for each warp
/// of every resident block and takes 1, or as long as the memory needs for the
/// bytes, and then adds the partial sums up:
///
///   time(W) = waves · rounds · (max(1, blocks · W · slab bytes / flight) +
///   1/4)
int64_t chooseLinearWarps(const GpuInfo &gpu, const LinearShape &shape);

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_LOWBITTOTILES_TILELAYOUTS_H
