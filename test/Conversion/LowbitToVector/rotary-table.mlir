// Cosines and sines of a position, from f64.
// No memory of its own, no table, no vector of a size of the weights: what is
// decoded stays in registers or the caller's scratch.
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=avx2 \
// RUN:   | FileCheck %s --check-prefix=AVX2 \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=portable \
// RUN:   | FileCheck %s --check-prefix=PORTABLE \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'

lowbit.kernel @k family "rotary_table" {frequencies = array<f32: 1.0, 0.5>}
// AVX2-LABEL: func.func @k.avx2(
// AVX2: arith.sitofp {{.*}} : i32 to f64
// AVX2: math.roundeven {{.*}} : vector<8xf64>
// AVX2: llvm.store {{.*}} : f32
// AVX2: return
// PORTABLE-LABEL: func.func @k.portable(
// PORTABLE: arith.sitofp {{.*}} : i32 to f64
// PORTABLE: math.roundeven {{.*}} : vector<8xf64>
// PORTABLE: llvm.store {{.*}} : f32
// PORTABLE: return
