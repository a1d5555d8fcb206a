//===- TileFamilies.h - From lowbit.kernel to a block program ---*- C++ -*-===//
//
// The families of Spec.md, 5.4 as programs of blocks: names, parameters and
// arguments are the same as on the CPU, items are what one block computes (a
// linear's item is a pair of weight tiles in every bucket). Adding a family is
// one file here and one line in the table of TileFamilies.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_LOWBITTOTILES_TILEFAMILIES_H
#define LOWBIT_LIB_CONVERSION_LOWBITTOTILES_TILEFAMILIES_H

#include "TileBuilder.h"

namespace lowbit {

/// What a family offers.
struct TileFamily {
  /// As in `lowbit.kernel @k family "name"`.
  llvm::StringRef name;
  /// Chooses the layout and emits the body; fails with a diagnostic on
  /// parameters that it cannot serve.
  mlir::LogicalResult (*emit)(KernelOp kernel, TileBuilder &builder);
};

/// The family of that name, or null.
const TileFamily *findTileFamily(llvm::StringRef name);

// Families, one file each or a few that are much alike.
extern const TileFamily addTiles, attentionTiles, embeddingTiles, gateTiles,
    linearTiles, quantizeRowsTiles, rmsNormTiles, rotaryTiles, rotaryCacheTiles,
    rotaryTableTiles, selectRowsTiles;

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_LOWBITTOTILES_TILEFAMILIES_H
