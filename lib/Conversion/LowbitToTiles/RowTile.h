//===- RowTile.h - The elements of one row, by a block ----------*- C++ -*-===//
//
// What a row becomes before it is used: itself, normalized, or gated (Spec.md,
// section 3). Elements are asked for by their column, any thread any column.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_LOWBITTOTILES_ROWTILE_H
#define LOWBIT_LIB_CONVERSION_LOWBITTOTILES_ROWTILE_H

#include "../LowbitToVector/CachePages.h"
#include "../LowbitToVector/KernelParameters.h"
#include "TileBuilder.h"

namespace lowbit {

class RowTile {
public:
  /// Reads the parameters of `prologue`: `none` (x), `rms_norm` (x, gain) or
  /// `gate` (gate, up).
  RowTile(llvm::StringRef prologue, int64_t columns,
          KernelParameters &parameters);

  /// How many of the kernel's first arguments it reads.
  int64_t argumentCount() const { return kind == Kind::None ? 1 : 2; }
  /// Takes up `row`; for a norm the block computes the mean square.
  void begin(TileBuilder &t, Value row);
  /// The element of column `i`, which must exist.
  Value value(TileBuilder &t, Value i);

private:
  enum class Kind { None, RmsNorm, Gate };
  Value meanSquare(TileBuilder &t);

  Kind kind = Kind::None;
  int64_t columns;
  float eps = 0;
  ColumnView firstView, secondView;
  /// Of the current row: addresses, and 1/sqrt(ms + eps).
  Value first, second, factor;
};

/// Reports a type of cache that GPU targets do not serve: i4 and i2.
void checkTileCache(const CachePages &pages, KernelParameters &parameters);

/// Address of the first column of `row` in an f32 buffer.
Value rowAddress(TileBuilder &t, Value buffer, Value row,
                 const ColumnView &view);

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_LOWBITTOTILES_ROWTILE_H
