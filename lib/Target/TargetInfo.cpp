//===- TargetInfo.cpp - The facts of a chip ---------------------*- C++ -*-===//

#include "lowbit/Target/TargetInfo.h"

using namespace lowbit;

// Features beyond x86-64-v2 are exactly those that the runtime asks the CPU for
// (Spec.md, 5.1): neither v3 nor v4, which have more (BMI2, CD), may be named.
static constexpr TargetInfo x86Variants[] = {
    {/*name=*/"portable", /*triple=*/"x86_64-unknown-linux-gnu", /*variant=*/0,
     /*cpu=*/"x86-64-v2", /*features=*/"", /*vectorBits=*/128,
     /*vectorRegisters=*/16, /*hasFma=*/false, /*hasF16Conversion=*/false,
     /*hasAvx2=*/false, /*hasAvx512Vnni=*/false},
    {/*name=*/"avx2", /*triple=*/"x86_64-unknown-linux-gnu", /*variant=*/1,
     /*cpu=*/"x86-64-v2", /*features=*/"+avx,+avx2,+fma,+f16c",
     /*vectorBits=*/256, /*vectorRegisters=*/16, /*hasFma=*/true,
     /*hasF16Conversion=*/true, /*hasAvx2=*/true, /*hasAvx512Vnni=*/false},
    {/*name=*/"avx512", /*triple=*/"x86_64-unknown-linux-gnu", /*variant=*/2,
     /*cpu=*/"x86-64-v2",
     /*features=*/
     "+avx,+avx2,+fma,+f16c,+avx512f,+avx512bw,+avx512dq,+avx512vl,"
     "+avx512vbmi,+avx512vnni",
     /*vectorBits=*/512, /*vectorRegisters=*/32, /*hasFma=*/true,
     /*hasF16Conversion=*/true, /*hasAvx2=*/true, /*hasAvx512Vnni=*/true},
};

// ARMv8.0 is what every such machine runs: fused multiply-add and conversions
// of f16 are part of the base.
static constexpr TargetInfo aarch64Variants[] = {
    {/*name=*/"portable", /*triple=*/"aarch64-unknown-linux-gnu", /*variant=*/0,
     /*cpu=*/"generic", /*features=*/"+neon", /*vectorBits=*/128,
     /*vectorRegisters=*/32, /*hasFma=*/true, /*hasF16Conversion=*/true,
     /*hasAvx2=*/false, /*hasAvx512Vnni=*/false},
};

static constexpr GpuInfo a100 = {
    /*capability=*/80,    /*multiprocessors=*/108,
    /*threads=*/2048,
    /*registers=*/65536,  /*sharedBytes=*/49152,
    /*flightBytes=*/12288};
static constexpr GpuInfo l40 = {
    /*capability=*/89,   /*multiprocessors=*/142,
    /*threads=*/1536,
    /*registers=*/65536, /*sharedBytes=*/49152,
    /*flightBytes=*/4096};
static constexpr GpuInfo h100 = {
    /*capability=*/90,    /*multiprocessors=*/132,
    /*threads=*/2048,
    /*registers=*/65536,  /*sharedBytes=*/49152,
    /*flightBytes=*/20480};

static constexpr TargetInfo gpuTarget(llvm::StringRef name, llvm::StringRef cpu,
                                      llvm::StringRef features,
                                      const GpuInfo &gpu) {
  return {name,
          /*triple=*/"nvptx64-nvidia-cuda",
          /*variant=*/0,
          cpu,
          features,
          /*vectorBits=*/128,
          /*vectorRegisters=*/255,
          /*hasFma=*/true,
          /*hasF16Conversion=*/true,
          /*hasAvx2=*/false,
          /*hasAvx512Vnni=*/false,
          &gpu};
}

// The PTX versions are the first that know the chip.
static constexpr TargetInfo sm80[] = {
    gpuTarget("sm_80", "sm_80", "+ptx70", a100)};
static constexpr TargetInfo sm89[] = {
    gpuTarget("sm_89", "sm_89", "+ptx78", l40)};
static constexpr TargetInfo sm90a[] = {
    gpuTarget("sm_90a", "sm_90a", "+ptx80", h100)};
static constexpr TargetInfo ptx[] = {gpuTarget("ptx", "sm_80", "+ptx70", a100)};

// Fused multiply-add and conversions of f16 are one instruction here as there,
// so the emulator needs what the AVX2 variant needs.
static constexpr TargetInfo emulated[] = {
    {/*name=*/"emulated", /*triple=*/"x86_64-unknown-linux-gnu", /*variant=*/1,
     /*cpu=*/"x86-64-v2", /*features=*/"+avx,+avx2,+fma,+f16c",
     /*vectorBits=*/128, /*vectorRegisters=*/16, /*hasFma=*/true,
     /*hasF16Conversion=*/true, /*hasAvx2=*/false, /*hasAvx512Vnni=*/false,
     &h100},
};

llvm::StringRef lowbit::listTargets() {
  return "x86_64, aarch64, sm_80, sm_89, sm_90a, ptx, emulated";
}

llvm::ArrayRef<TargetInfo> lowbit::getVariants(llvm::StringRef target) {
  if (target == "x86_64")
    return x86Variants;
  if (target == "aarch64")
    return aarch64Variants;
  if (target == "sm_80")
    return sm80;
  if (target == "sm_89")
    return sm89;
  if (target == "sm_90a")
    return sm90a;
  if (target == "ptx")
    return ptx;
  if (target == "emulated")
    return emulated;
  return {};
}
