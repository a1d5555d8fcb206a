// One row of the table is decoded for each token.
// No memory of its own, no table, no vector of a size of the weights: what is
// decoded stays in registers or the caller's scratch.
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=avx2 \
// RUN:   | FileCheck %s --check-prefix=AVX2 \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=portable \
// RUN:   | FileCheck %s --check-prefix=PORTABLE \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'

lowbit.kernel @k family "embedding" {type = tensor<4096x256xf32, #lowbit.int<8, group = 64, scale = f16, offset = integer>>}
// AVX2-LABEL: func.func @k.avx2(
// AVX2: llvm.load {{.*}} -> i16
// AVX2: arith.extf {{.*}} : f16 to f32
// AVX2: arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// AVX2: llvm.store {{.*}} : vector<16xf32>
// AVX2: return
// PORTABLE-LABEL: func.func @k.portable(
// PORTABLE: llvm.load {{.*}} -> i16
// PORTABLE: arith.extui {{.*}} : i16 to i32
// PORTABLE: arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// PORTABLE: llvm.store {{.*}} : vector<16xf32>
// PORTABLE: return
