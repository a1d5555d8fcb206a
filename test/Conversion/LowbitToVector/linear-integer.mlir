// Integer weights stay packed until the dot instruction of the variant: masks and
// shifts make bytes of the codes, products are summed as integers.
// No memory of its own, no table, no vector of a size of the weights: what is
// decoded stays in registers or the caller's scratch.
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=portable \
// RUN:   | FileCheck %s --check-prefix=PORTABLE \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=avx2 \
// RUN:   | FileCheck %s --check-prefix=AVX2 \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=avx512 \
// RUN:   | FileCheck %s --check-prefix=AVX512 \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'

lowbit.kernel @row family "linear" {type = tensor<512x256xf32, #lowbit.int<4, group = 64, scale = f16, offset = half>>, activation = i16, bucket = 1, bias = false, residual = false, y_stride = 512}
// A tile is 16 rows: 256 columns of 4 bits and 4 groups of 16 scales in f16.
// PORTABLE-LABEL: func.func @row.portable(
// PORTABLE: arith.constant 2176 : i64
// PORTABLE: llvm.load {{.*}} -> vector<32xi16>
// PORTABLE: arith.andi {{.*}} : vector<32xi16>
// PORTABLE: llvm.call_intrinsic "llvm.x86.sse2.pmadd.wd"
// PORTABLE: arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// PORTABLE: return
// AVX2-LABEL: func.func @row.avx2(
// AVX2: arith.constant 2176 : i64
// AVX2: llvm.load {{.*}} -> vector<16xi16>
// AVX2: arith.andi {{.*}} : vector<16xi16>
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// AVX2: arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// AVX2: return
// AVX512-LABEL: func.func @row.avx512(
// AVX512: arith.constant 2176 : i64
// AVX512: llvm.load {{.*}} -> vector<32xi16>
// AVX512: arith.andi {{.*}} : vector<32xi16>
// AVX512: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// AVX512: arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// AVX512: return

lowbit.kernel @panel family "linear" {type = tensor<512x256xf32, #lowbit.int<4, group = 64, scale = f16, offset = half>>, activation = i16, bucket = 32, bias = false, residual = false, y_stride = 512}
// Many tokens: a slab of the panel is decoded once, to bytes in scratch.
// PORTABLE-LABEL: func.func @panel.portable(
// PORTABLE: llvm.load {{.*}} -> vector<32xi16>
// PORTABLE: llvm.call_intrinsic "llvm.x86.sse2.pmadd.wd"
// PORTABLE: return
// AVX2-LABEL: func.func @panel.avx2(
// AVX2: llvm.load {{.*}} -> vector<32xi16>
// AVX2: arith.andi {{.*}} : vector<32xi16>
// AVX2: llvm.store {{.*}} : vector<32xi16>
// AVX2: llvm.load {{.*}} -> vector<32xi8>
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// AVX2: return
// AVX512-LABEL: func.func @panel.avx512(
// AVX512: llvm.load {{.*}} -> vector<32xi16>
// AVX512: llvm.load {{.*}} -> vector<64xi8>
// AVX512: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// AVX512: return
