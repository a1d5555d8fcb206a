//===- WeightChains.h - The weight operations of a function -----*- C++ -*-===//
//
// Weights are made by chains of operations that depend on parameters alone, so
// they may stand anywhere in front of their uses. Passes that move transforms
// put them all at the top first, and back to their uses at last.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_WEIGHTCHAINS_H
#define LOWBIT_LIB_TRANSFORMS_WEIGHTCHAINS_H

#include "lowbit/IR/Lowbit.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lowbit {

/// Whether `op` (may be null) makes a weight from weights or a parameter.
bool isWeightOp(mlir::Operation *op);

/// The chain of operations that makes `value`, operands first; adds those that
/// are not in `chain` yet.
void collectChain(mlir::Value value,
                  llvm::SmallVectorImpl<mlir::Operation *> &chain);

/// The parameters whose rows `value` consists of, from the top down; matrices
/// of transforms do not count.
void collectLeaves(mlir::Value value, llvm::SmallVectorImpl<WeightOp> &leaves);

/// Whether `value` is a chain of weight operations without a format.
bool isPlainChain(mlir::Value value);

/// The value of a `lowbit.fill`, if `value` is one.
std::optional<float> getFill(mlir::Value value);

/// Moves all weight operations of a function of one block to its beginning, in
/// their order.
void hoistWeightOps(mlir::func::FuncOp function);

/// Where new weight operations go after hoistWeightOps: behind the last one.
mlir::OpBuilder weightBuilder(mlir::func::FuncOp function);

/// Equal weight operations become one; those without uses go; the others move
/// in front of their first use.
void tidyWeightOps(mlir::func::FuncOp function);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_WEIGHTCHAINS_H
