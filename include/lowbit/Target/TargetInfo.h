//===- TargetInfo.h - The facts of a chip -----------------------*- C++ -*-===//
//
// What a lowering may ask of a target: plain facts, no behaviour. A kernel is
// emitted once for each variant of a CPU target; the runtime picks the largest
// variant that the machine has. A GPU target has one variant.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TARGET_TARGETINFO_H
#define LOWBIT_TARGET_TARGETINFO_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace lowbit {

/// Facts of one GPU, as far as the choice of layouts needs them. Sources: CUDA
/// C++ Programming Guide, "Compute Capabilities"; data sheets of A100, L40 and
/// H100.
struct GpuInfo {
  /// Compute capability · 10.
  unsigned capability;
  unsigned multiprocessors;
  /// Threads and 32-bit registers of a multiprocessor.
  unsigned threads, registers;
  /// Static shared memory of a block, bytes.
  unsigned sharedBytes;
  /// Bytes that a multiprocessor must have in flight to keep the memory busy
  /// (bandwidth · latency / multiprocessors).
  unsigned flightBytes;
};

/// Facts of one variant of a target.
struct TargetInfo {
  /// Name in options and kernel dumps: `portable`, `avx2`, `avx512` (the
  /// runtime calls the variant of that number the same, KernelTable.h), or the
  /// name of a GPU target.
  llvm::StringRef name;
  /// LLVM triple, e.g. `x86_64-unknown-linux-gnu`.
  llvm::StringRef triple;
  /// Variant number in the kernel table (Spec.md, 5.1).
  uint32_t variant;
  /// Base CPU and extra features, as LLVM spells them.
  llvm::StringRef cpu, features;
  /// Bits of the widest vector register worth using.
  unsigned vectorBits;
  /// Number of vector registers.
  unsigned vectorRegisters;
  /// A fused multiply-add instruction exists (else it is emulated exactly).
  bool hasFma;
  /// Vector conversions between f16 and f32 exist (else by integer arithmetic).
  bool hasF16Conversion;
  /// `vpmaddubsw`/`vpmaddwd` on 256 bits.
  bool hasAvx2;
  /// 512-bit vectors with `vpdpbusd` and `vpermb`.
  bool hasAvx512Vnni;
  /// Of the chip that kernels are laid out for; null for CPU targets.
  const GpuInfo *gpu = nullptr;

  /// Whether kernels are programs of blocks of threads (LowbitToTiles).
  bool isGpu() const { return gpu != nullptr; }
  /// Whether those programs are made to run on a host (Runtime/Emulator.h).
  bool isEmulated() const { return isGpu() && !triple.starts_with("nvptx"); }
};

/// The variants generated for a target of `--targets`, in ascending order:
/// `x86_64`, `aarch64`; the GPUs `sm_80`, `sm_89`, `sm_90a`; `ptx`, text for
/// any GPU from sm_80 on; `emulated`, the kernels of sm_90a for the emulator of
/// the runner. Empty where the target is unknown.
llvm::ArrayRef<TargetInfo> getVariants(llvm::StringRef target);

/// The names of all targets, for messages.
llvm::StringRef listTargets();

} // namespace lowbit

#endif // LOWBIT_TARGET_TARGETINFO_H
