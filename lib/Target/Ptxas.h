//===- Ptxas.h - NVIDIA's assembler -----------------------------*- C++ -*-===//
#ifndef LOWBIT_LIB_TARGET_PTXAS_H
#define LOWBIT_LIB_TARGET_PTXAS_H

#include "lowbit/Target/EmitDevice.h"

namespace lowbit {

/// Assembles `ptx` for `chip` (`sm_90a`). `usage` comes with the names of the
/// entries and is filled in.
Result<std::string> assemble(const std::string &ptx, llvm::StringRef chip,
                             const EmitOptions &options,
                             std::vector<KernelUsage> &usage);

/// Fills `usage` from what `ptxas -v` says; exit 70 where it says nothing of
/// one.
Status readUsage(llvm::StringRef log, std::vector<KernelUsage> &usage);

} // namespace lowbit

#endif // LOWBIT_LIB_TARGET_PTXAS_H
