//===- TransformSyntax.h - The kind of a transform as text ------*- C++ -*-===//
#ifndef LOWBIT_LIB_IR_TRANSFORMSYNTAX_H
#define LOWBIT_LIB_IR_TRANSFORMSYNTAX_H

#include "lowbit/IR/Lowbit.h"

namespace lowbit {

/// `hadamard<block = 16>`: the attribute without `#lowbit.`, behind which the
/// parser would take a colon for the attribute's own.
mlir::ParseResult parseTransformKind(mlir::AsmParser &parser,
                                     TransformInterface &kind);
void printTransformKind(mlir::AsmPrinter &printer, TransformInterface kind);

} // namespace lowbit

#endif // LOWBIT_LIB_IR_TRANSFORMSYNTAX_H
