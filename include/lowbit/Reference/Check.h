//===- Check.h - The check dialect and its runner ---------------*- C++ -*-===//
//
// Tests of numbers stand beside the operations they test: a `.mlir` file with
// functions `@test_…` that compute something and say what must come out.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_CHECK_H
#define LOWBIT_REFERENCE_CHECK_H

#include "lowbit/Reference/Interpreter.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/Support/raw_ostream.h"

#include "lowbit/Reference/CheckDialect.h.inc"
#define GET_OP_CLASSES
#include "lowbit/Reference/CheckOps.h.inc"

namespace lowbit {

/// What a run of checks came to.
struct CheckReport {
  int64_t functions = 0;
  int64_t failed = 0;
  int64_t compared = 0;
};

/// Runs every function of `module` whose name starts with `test_` and that has
/// no arguments, each with an empty KV cache; prints a line for each failure to
/// `out`. A function that compares nothing has failed.
CheckReport runChecks(mlir::ModuleOp module, ParameterBytes &bytes,
                      const InterpreterOptions &options,
                      llvm::raw_ostream &out);

} // namespace lowbit

#endif // LOWBIT_REFERENCE_CHECK_H
