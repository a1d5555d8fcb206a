//===- Prologue.h - What a row becomes before it is used --------*- C++ -*-===//
//
// The norm and the gate, row by row, for the families that store their result
// (`rms_norm`, `gate`) and the one that quantizes it at once (`quantize_rows`).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_PROLOGUE_H
#define LOWBIT_LIB_CONVERSION_PROLOGUE_H

#include "RowLoops.h"

namespace lowbit {

/// The f32 elements of one row, computed 16 at a time.
class RowSource {
public:
  /// Reads the parameters of `prologue`: `none` (x), `rms_norm` (x, gain) or
  /// `gate` (gate, up).
  RowSource(llvm::StringRef prologue, int64_t columns,
            KernelParameters &parameters);

  /// How many of the kernel's first arguments it reads.
  int64_t argumentCount() const { return kind == Kind::None ? 1 : 2; }
  /// Whether `values` only loads.
  bool isPlain() const { return kind == Kind::None; }

  /// Takes up a row; for a norm this reads it once for its mean square.
  void begin(KernelBuilder &k, mlir::ValueRange pointers, Value row);
  /// The 16 elements from column `i` on; those from `lanes` on are 0.
  Value values(KernelBuilder &k, Value i, int64_t lanes);

private:
  enum class Kind { None, RmsNorm, Gate };
  Value meanSquare(KernelBuilder &k);

  Kind kind = Kind::None;
  int64_t columns;
  float eps = 0;
  /// Of x, or of gate and up.
  ColumnView firstView, secondView;
  /// Of the current row: addresses, and 1/sqrt(ms + eps) in every lane.
  Value first, second, factor;
};

/// silu(g) · u (Spec.md, section 3), lane by lane.
Value emitGate(KernelBuilder &k, Value g, Value u);

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_PROLOGUE_H
