//===- EmitObject.h - From kernel functions to ELF objects ------*- C++ -*-===//
//
// Turns a module of kernels (func.func in vector, arith, math, scf and LLVM
// dialect operations) into relocatable ELF objects, one for each kernel, and
// one more that holds the table `lowbit_kernels` (Spec.md, 5.1). Units of one
// kernel make the bytes independent of the number of jobs and a dump readable.
//
//   func.func @gate_768.avx2(%args: !llvm.ptr, %rows: i64, %begin: i64,
//                            %end: i64, %scratch: !llvm.ptr)
//       attributes {lowbit.kernel = "gate_768", lowbit.variant = 1 : i32}
//
// What else is in the module (the plan, parameters) is not looked at. What it
// cannot do: functions that call others (but for a kernel's thread), and
// globals.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TARGET_EMITOBJECT_H
#define LOWBIT_TARGET_EMITOBJECT_H

#include "lowbit/Checkpoint/Error.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

namespace mlir {
class DialectRegistry;
class ModuleOp;
} // namespace mlir

namespace lowbit {

/// String attribute of a kernel function: its name in the table, the same for
/// all variants.
constexpr llvm::StringLiteral kernelNameAttr = "lowbit.kernel";
/// i32 attribute of a kernel function: TargetInfo::variant.
constexpr llvm::StringLiteral kernelVariantAttr = "lowbit.variant";

/// Symbol attribute of a kernel function of the target `emulated`: the function
/// that runs one thread, which is compiled with it.
constexpr llvm::StringLiteral kernelThreadAttr = "lowbit.thread";
/// i32 attributes of a block program: threads of a block, bytes of its shared
/// memory.
constexpr llvm::StringLiteral blockThreadsAttr = "lowbit.threads";
constexpr llvm::StringLiteral blockSharedAttr = "lowbit.shared";

/// How code is generated.
struct EmitOptions {
  /// A target of TargetInfo.h; says which variants there are.
  std::string target = "x86_64";
  /// Kernels that are compiled at once, ≥ 1. Does not change the bytes.
  unsigned jobs = 1;
  /// Where to leave, for each kernel function, `NAME.vector.mlir` (as it came),
  /// `NAME.llvm.mlir`, `NAME.ll` (optimized) and `NAME.s`. Empty: nowhere. The
  /// folder is created. GPU targets leave `NAME.tiles.mlir`, `NAME.nvvm.mlir`,
  /// `NAME.ll`, `NAME.ptx`, and `kernels.cubin` and `ptxas.log`.
  std::string dumpDirectory;
  /// The assembler of NVIDIA; where empty, `ptxas` of PATH or of
  /// `$CUDA_HOME/bin`.
  std::string ptxas;
};

/// Adds the dialects that kernel functions are written in.
void registerKernelDialects(mlir::DialectRegistry &registry);

/// Compiles every kernel of `module`, which is not changed: LLVM at O3 without
/// vectorizers and unrolling (the families decide both), IEEE denormals, no
/// contraction, no library calls. Returns the objects in the order of the
/// module, the table last. Errors: an unknown target or variant, a function
/// without the ABI of Spec.md, 5.1 or twice in the table (exit 4); IR that does
/// not lower (exit 70). LLVM may abort the process on IR that it cannot select:
/// see CodeGenerator.h.
Result<std::vector<std::string>> emitObjects(mlir::ModuleOp module,
                                             const EmitOptions &options);

} // namespace lowbit

#endif // LOWBIT_TARGET_EMITOBJECT_H
