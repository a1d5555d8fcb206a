//===- BackEnd.h - LLVM from IR to objects and assembly ---------*- C++ -*-===//
//
// What emitObjects and emitDeviceCode share: a target machine without
// contraction, the O3 pipeline without what the families decide themselves, and
// the emission of a file.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TARGET_BACKEND_H
#define LOWBIT_LIB_TARGET_BACKEND_H

#include "LowerKernel.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CodeGen.h"
#include "llvm/Target/TargetMachine.h"

namespace lowbit {

/// Registers the back ends of all targets, once.
void initializeBackends();

/// The machine of a variant; its back end must be registered.
Result<std::unique_ptr<llvm::TargetMachine>>
createMachine(const TargetInfo &target);

/// Translates a lowered unit for `machine` and verifies it.
Result<std::unique_ptr<llvm::Module>> translateFor(const KernelUnit &unit,
                                                   llvm::TargetMachine &machine,
                                                   llvm::LLVMContext &context);

/// What every function of a kernel must say, whatever the target: strict
/// floats, no library.
void setStrictAttributes(llvm::Function &function, const TargetInfo &target);

/// O3 without vectorizers and unrolling.
void optimize(llvm::Module &module, llvm::TargetMachine &machine);

/// The file of `type` that the back end writes for `module`.
Result<std::string> generate(llvm::Module &module, llvm::TargetMachine &machine,
                             llvm::CodeGenFileType type);

/// Writes NAME.ll and NAME.`assemblySuffix` of an optimized module.
Status dumpCode(const KernelUnit &unit, const llvm::Module &module,
                llvm::TargetMachine &machine, const EmitOptions &options,
                llvm::StringRef assemblySuffix);

/// Writes NAME.SUFFIX of every unit's MLIR.
Status dumpModules(const KernelUnits &units, const EmitOptions &options,
                   llvm::StringRef suffix);

/// Calls `compile` for every unit, as many at once as the options say; the
/// first error in the order of the units.
Status compileUnits(const KernelUnits &units, const EmitOptions &options,
                    llvm::function_ref<Status(size_t)> compile);

} // namespace lowbit

#endif // LOWBIT_LIB_TARGET_BACKEND_H
