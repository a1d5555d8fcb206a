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

llvm::ArrayRef<TargetInfo> lowbit::getVariants(llvm::StringRef target) {
  if (target == "x86_64")
    return x86Variants;
  if (target == "aarch64")
    return aarch64Variants;
  return {};
}
