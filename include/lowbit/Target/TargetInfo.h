//===- TargetInfo.h - The facts of a chip -----------------------*- C++ -*-===//
//
// What a lowering may ask of a target: plain facts, no behaviour. A kernel is
// emitted once for each variant of the CPU target; the runtime picks the
// largest variant that the machine has.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TARGET_TARGETINFO_H
#define LOWBIT_TARGET_TARGETINFO_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace lowbit {

/// Facts of one CPU variant.
struct TargetInfo {
  /// Name in options and kernel dumps: `portable`, `avx2`, `avx512`; the
  /// runtime calls the variant of that number the same (KernelTable.h).
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
};

/// The variants generated for a target of `--targets` (`x86_64`, `aarch64`), in
/// ascending order; empty where the target is unknown.
llvm::ArrayRef<TargetInfo> getVariants(llvm::StringRef target);

} // namespace lowbit

#endif // LOWBIT_TARGET_TARGETINFO_H
