//===- TileFamilies.cpp - The table of block programs -----------*- C++ -*-===//

#include "TileFamilies.h"

const lowbit::TileFamily *lowbit::findTileFamily(llvm::StringRef name) {
  static const TileFamily *const families[] = {
      &addTiles,         &attentionTiles,    &embeddingTiles, &gateTiles,
      &linearTiles,      &quantizeRowsTiles, &rmsNormTiles,   &rotaryTiles,
      &rotaryCacheTiles, &rotaryTableTiles,  &selectRowsTiles};
  for (const TileFamily *family : families)
    if (family->name == name)
      return family;
  return nullptr;
}
