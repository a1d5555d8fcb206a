//===- Decisions.h - What passes decided by numbers -------------*- C++ -*-===//
//
// Passes that choose leave on the module what they chose and between which
// errors; the ledger shows it.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_DECISIONS_H
#define LOWBIT_LIB_TRANSFORMS_DECISIONS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"

namespace lowbit {

/// Adds to the module's list: the pass, the place (`layer 3 r2`), what was
/// chosen, and the error without and with the transform.
void noteDecision(mlir::ModuleOp module, llvm::StringRef pass,
                  llvm::StringRef place, llvm::StringRef choice,
                  double errorWithout, double errorWith);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_DECISIONS_H
