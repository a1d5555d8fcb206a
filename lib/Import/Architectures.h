//===- Architectures.h - What a block is made of ----------------*- C++ -*-===//
//
// A family of models is a row of a table: the sublayers of its block in order,
// each a norm, a kind, and the parts that its linears play. Biases are there
// where the checkpoint has them, so families that differ only in biases,
// head counts or rope kinds share a row's block.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_IMPORT_ARCHITECTURES_H
#define LOWBIT_IMPORT_ARCHITECTURES_H

#include "lowbit/Checkpoint/ModelTensors.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace lowbit {

/// A linear: the part its weight plays, the part its bias would play.
struct LinearPart {
  TensorRole weight;
  TensorRole bias;
};

/// `x + f(rms_norm(x))`.
struct Sublayer {
  enum Kind {
    /// f = o(attention(rotary(q), rotary(k), v)); linears q, k, v, o.
    Attention,
    /// f = down(silu(gate) · up); linears gate, up, down.
    GatedFeedForward,
  };
  Kind kind;
  TensorRole norm;
  llvm::ArrayRef<LinearPart> linears;
};

/// A family by its name in config.json.
struct Architecture {
  llvm::StringRef name;
  llvm::ArrayRef<Sublayer> block;
};

/// The family of that name, or null.
const Architecture *findArchitecture(llvm::StringRef name);

} // namespace lowbit

#endif // LOWBIT_IMPORT_ARCHITECTURES_H
