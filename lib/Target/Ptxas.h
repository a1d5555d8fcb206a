//===- Ptxas.h - NVIDIA's assembler -----------------------------*- C++ -*-===//
#ifndef LOWBIT_LIB_TARGET_PTXAS_H
#define LOWBIT_LIB_TARGET_PTXAS_H

#include "lowbit/Target/EmitDevice.h"

namespace lowbit {

/// Assembles `ptx` for `chip` (`sm_90a`). `usage` comes with the names of the
/// entries and is filled in. Where the assembler saves registers by spills, so
/// that more blocks fit a multiprocessor, it runs a second time and may use all
/// that a block of those kernels can have.
Result<std::string> assemble(const std::string &ptx, llvm::StringRef chip,
                             const EmitOptions &options,
                             std::vector<KernelUsage> &usage);

/// `ptx` with the directive `.minnctapersm 1` (one block for each
/// multiprocessor is enough) at the entries that spill in `usage`.
std::string freeRegisters(llvm::StringRef ptx,
                          llvm::ArrayRef<KernelUsage> usage);

/// Fills `usage` from what `ptxas -v` says; exit 70 where it says nothing of
/// one.
Status readUsage(llvm::StringRef log, std::vector<KernelUsage> &usage);

} // namespace lowbit

#endif // LOWBIT_LIB_TARGET_PTXAS_H
