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
// cannot do: functions that call others, and globals.
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

/// CPU seconds of the phases of emitObjects, over all threads.
struct EmitSeconds {
  /// Kernels to the LLVM dialect; from there to LLVM IR, verified; LLVM's
  /// passes; instruction selection to object files.
  double lower = 0, translate = 0, optimize = 0, select = 0;
};

/// How code is generated.
struct EmitOptions {
  /// `x86_64` or `aarch64`; says which variants there are.
  std::string target = "x86_64";
  /// Kernels that are compiled at once, ≥ 1. Does not change the bytes.
  unsigned jobs = 1;
  /// Where to leave, for each kernel function, `NAME.vector.mlir` (as it came),
  /// `NAME.llvm.mlir`, `NAME.ll` (optimized) and `NAME.s`. Empty: nowhere. The
  /// folder is created.
  std::string dumpDirectory;
  /// Where to add what the phases took; null: nowhere.
  EmitSeconds *seconds = nullptr;
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
