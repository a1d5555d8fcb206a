//===- CodeGenerator.h - Code generation in a child process -----*- C++ -*-===//
//
// LLVM aborts the process on IR that a back end cannot select. So the compiler
// starts itself again for code generation: the parent sends a small module (the
// `lowbit.kernel` operations, no weights), the child lowers, compiles and links
// it. What kills the child is an Error in the parent, with the module left in a
// file as a reproducer.
//
//   // In main, before anything else:
//   if (isCodeGeneratorCall(argc, argv))
//     return runCodeGenerator(argc, argv, registry, lowerKernels);
//   …
//   Result<std::string> code = generateCode(kernels, options);
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TARGET_CODEGENERATOR_H
#define LOWBIT_TARGET_CODEGENERATOR_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Target/EmitObject.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <string>

namespace lowbit {

/// What the parent needs to know.
struct CodeGeneratorOptions {
  EmitOptions emit;
  /// Absolute path of the program to start: its main calls runCodeGenerator.
  std::string program;
  /// Where a reproducer goes; the current folder where empty.
  std::string reproducerDirectory;
};

/// Runs the child on `module` and returns the linked code object. Errors: what
/// the child reported in order (its exit code), a child that died (exit 70, the
/// message names the reproducer and the command that runs it again), no
/// temporary file or process (exit 5).
Result<std::string> generateCode(mlir::ModuleOp module,
                                 const CodeGeneratorOptions &options);

/// True where the command line is one that generateCode made.
bool isCodeGeneratorCall(int argc, char **argv);

/// Turns the module that generateCode was given into kernel functions, in
/// place. Failure has emitted a diagnostic.
using LowerKernels =
    llvm::function_ref<bool(mlir::ModuleOp module, const EmitOptions &options)>;

/// The child: reads the module (dialects of `registry`), calls `lower`, emits
/// objects, links them and writes the code object. Returns the exit code.
int runCodeGenerator(int argc, char **argv, mlir::DialectRegistry &registry,
                     LowerKernels lower);

} // namespace lowbit

#endif // LOWBIT_TARGET_CODEGENERATOR_H
