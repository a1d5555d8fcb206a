//===- ExtractPart.h - The parts of an observed model -----------*- C++ -*-===//
//
// See the pass `lowbit-extract-part`, which keeps one of them.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_EXTRACTPART_H
#define LOWBIT_TRANSFORMS_EXTRACTPART_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <cstdint>

namespace lowbit {

/// Parts of a function of one block; 0 where it observes nothing.
int64_t countParts(mlir::func::FuncOp function);

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_EXTRACTPART_H
