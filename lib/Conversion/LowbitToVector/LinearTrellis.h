//===- LinearTrellis.h - Walks of trellis-coded weights ---------*- C++ -*-===//
//
//   bucket 1       LinearTrellis.cpp       numbers stay in registers
//   bucket 16, 32  LinearTrellisPanel.cpp  numbers are decoded to panels of 16
//                                          rows, which then are those of 8-bit
//                                          codes with one scale per row
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARTRELLIS_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARTRELLIS_H

#include "LinearSteps.h"

namespace lowbit {

/// Panels (of 16 rows) of a strand of stream `i`, and of a tile.
inline int64_t strandPanels(const TrellisStreams &weights, size_t i) {
  return 4 * weights.geometry.streams[i].weightsPerStep;
}
inline int64_t tilePanels(const TrellisStreams &weights) {
  return weights.geometry.tileRows / tileRows;
}

/// Places in scratch of the walk for one token, in bytes.
struct TrellisRowScratch {
  /// Activations as words, where the target has no byte dot product.
  int64_t activations = 0;
  /// [panel of the strand][plane] i32x16; [panel] f32x16.
  int64_t sums, totals;
  /// [panel of the strand] f32x16: f so far of a slab that is cut.
  int64_t cuts;
  /// [panel of the tile] f32x16: the streams so far.
  int64_t results;
  int64_t end;

  explicit TrellisRowScratch(const LinearKernel &linear) {
    int64_t panels = tilePanels(*linear.trellis);
    sums = linear.planeStride() * 2;
    totals = sums + panels * 2 * 64;
    cuts = totals + panels * 64;
    results = cuts + (linear.isCut() ? panels * 64 : 0);
    end = results + panels * 64;
  }
};

/// Runs `body` for each stream and strand of the tile at `tile`; `codes` are
/// those of the strand.
void forStrands(
    KernelBuilder &k, const TrellisStreams &weights, Value tile,
    llvm::function_ref<void(size_t stream, Value strand, Value codes)> body);

/// A stream's total of one panel and one token.
struct StreamTotal {
  Value token, value, scales;
  /// Where the streams so far are added, in scratch.
  Value result;
};

/// Adds a total to the streams before it; after the last stream writes y, where
/// there are such rows. `row` emits the panel's index in the weight.
void finishRows(const LinearKernel &linear, KernelBuilder &k,
                LinearSteps &steps, size_t stream, const StreamTotal &total,
                llvm::function_ref<Value()> row);

void emitTrellisRow(const LinearKernel &linear, KernelBuilder &k,
                    const LinearArguments &arguments);
void emitTrellisPanel(const LinearKernel &linear, KernelBuilder &k,
                      const LinearArguments &arguments);
/// Scratch of those walks, the largest of all variants.
int64_t trellisScratchBytes(const LinearKernel &linear);

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARTRELLIS_H
