//===- EmitDevice.h - From block programs to PTX and cubin ------*- C++ -*-===//
//
// Turns a module of block programs (LowbitToTiles) into the code of a GPU
// target: PTX by LLVM, and for a chip a cubin by NVIDIA's assembler `ptxas`, an
// external program. Each kernel is compiled by itself; the PTX of all is one
// file, in the order of the module.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TARGET_EMITDEVICE_H
#define LOWBIT_TARGET_EMITDEVICE_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Target/EmitObject.h"
#include <cstdint>
#include <string>
#include <vector>

namespace lowbit {

/// What the assembler says of one kernel.
struct KernelUsage {
  /// Name in the plan.
  std::string name;
  int64_t threads = 0;
  /// Of a thread.
  int64_t registers = 0;
  int64_t stackBytes = 0;
  int64_t spillBytes = 0; ///< loads and stores together
  /// Of a block.
  int64_t sharedBytes = 0;
};

/// The code of a GPU target.
struct DeviceCode {
  /// PTX for the target `ptx`, else a cubin.
  std::string bytes;
  /// Of every kernel, in the order of the module; empty for `ptx`.
  std::vector<KernelUsage> usage;
};

/// Compiles every block program of `module`, which is not changed. Errors: as
/// emitObjects; no assembler (exit 5, says where it was looked for); what the
/// assembler refuses, and a kernel that spills, has a stack or refers to an
/// external function (exit 70).
Result<DeviceCode> emitDeviceCode(mlir::ModuleOp module,
                                  const EmitOptions &options);

/// The assembler that `options` mean, or where it was looked for (exit 5).
Result<std::string> findAssembler(const EmitOptions &options);

/// Blocks of a kernel that a multiprocessor of `target` holds at once, as
/// threads, registers and shared memory allow, as a share of its threads.
double occupancy(const KernelUsage &usage, llvm::StringRef target);

} // namespace lowbit

#endif // LOWBIT_TARGET_EMITDEVICE_H
