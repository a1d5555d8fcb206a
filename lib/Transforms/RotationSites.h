//===- RotationSites.h - Where rotations go ---------------------*- C++ -*-===//
//
// R1 … R4 of SpinQuant (methods §9.1) as places in the graph, found by use-def
// chains: the residual stream, values, queries and keys after the rotary
// embedding, and what the down projection reads.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_ROTATIONSITES_H
#define LOWBIT_LIB_TRANSFORMS_ROTATIONSITES_H

#include "lowbit/IR/Transform.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lowbit {

/// Places of one function.
struct RotationSites {
  /// Rows that enter the residual stream: embeddings, and what is added to it.
  /// Empty where there is no such stream.
  llvm::SmallVector<mlir::Value> residual;
  int64_t hidden = 0;
  /// In order of layers.
  llvm::SmallVector<AttentionOp> attentions;
  /// Gated rows that linears read, and the layer that they follow.
  struct Gated {
    mlir::Value rows;
    int64_t layer;
  };
  llvm::SmallVector<Gated> gated;
};

RotationSites findRotationSites(mlir::func::FuncOp function);

/// The rotation of `columns` columns: a Hadamard matrix of the largest block
/// that divides them (all of them, where there is one of that order). `seed` <
/// 0: no signs.
Transform makeRotation(mlir::MLIRContext *context, int64_t columns,
                       int64_t seed);

/// A number for each place: R1 takes `seed`, R2 … R4 (site 1 … 3) of a layer
/// seed + 4 · layer + site; below 0 where `seed` is. Layers below 0 count as 0.
int64_t rotationSeed(int64_t seed, int64_t layer, int64_t site);

/// R1: a pair behind every value that enters the residual stream.
void insertR1(const RotationSites &sites, const Transform &rotation,
              const Transform &inverse);
/// R2: a pair behind the values of one attention; the rotation's block divides
/// the head.
void insertR2(AttentionOp attention, const Transform &rotation,
              const Transform &inverse);
/// R3: the rotation behind queries and keys; stays online.
void insertR3(AttentionOp attention, const Transform &rotation);
/// R4: a pair behind gated rows; its first half stays online.
void insertR4(const RotationSites::Gated &gated, const Transform &rotation,
              const Transform &inverse);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_ROTATIONSITES_H
