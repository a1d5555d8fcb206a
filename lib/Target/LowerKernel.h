//===- LowerKernel.h - A kernel function becomes LLVM IR --------*- C++ -*-===//
//
// The MLIR half of emitObjects: each kernel function is moved to a module of
// its own, lowered to the LLVM dialect, and translated.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TARGET_LOWERKERNEL_H
#define LOWBIT_LIB_TARGET_LOWERKERNEL_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Target/EmitObject.h"
#include "lowbit/Target/TargetInfo.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace lowbit {

/// One kernel for one variant: the unit of compilation.
struct KernelUnit {
  /// Symbol of the function, unique in the code object.
  std::string symbol;
  /// Name in the table.
  std::string name;
  const TargetInfo *target = nullptr;
  /// The module that holds the function, in `KernelUnits::modules`.
  mlir::ModuleOp module;
};

/// All units of a module, in its order.
struct KernelUnits {
  mlir::OwningOpRef<mlir::ModuleOp> modules;
  std::vector<KernelUnit> units;
};

/// Checks every function of `module` and copies each to its own module.
Result<KernelUnits> splitKernels(mlir::ModuleOp module,
                                 const EmitOptions &options);

/// Lowers all units to the LLVM dialect, in parallel on the context's threads.
Status lowerToLLVM(KernelUnits &units);

/// Translates one lowered unit; null where that failed (a diagnostic says why).
std::unique_ptr<llvm::Module> translateUnit(const KernelUnit &unit,
                                            llvm::LLVMContext &context);

/// Writes `text` to `NAME.SUFFIX` in the dump folder.
Status writeDump(const EmitOptions &options, llvm::StringRef name,
                 llvm::StringRef suffix, llvm::StringRef text);

} // namespace lowbit

#endif // LOWBIT_LIB_TARGET_LOWERKERNEL_H
