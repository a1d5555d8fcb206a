//===- NumericsPromise.h - What a pass does to numbers ----------*- C++ -*-===//
#ifndef LOWBIT_TRANSFORMS_NUMERICSPROMISE_H
#define LOWBIT_TRANSFORMS_NUMERICSPROMISE_H

#include "llvm/ADT/StringRef.h"

namespace lowbit {

/// How the logits of a module in f64, activations and cache not rounded,
/// compare before and after a pass.
enum class NumericsPromise {
  /// Equal bits.
  Exact,
  /// |difference| ≤ 1e-9 · max |logit|.
  Close,
  /// Rounding is what the pass is for.
  Lossy,
};

/// The promise of a pass by its name (`lowbit-fold-rotations`); passes of other
/// projects, and those that only check, promise Exact.
NumericsPromise getNumericsPromise(llvm::StringRef pass);

/// What Close allows, relative to the largest logit.
constexpr double closeTolerance = 1e-9;

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_NUMERICSPROMISE_H
