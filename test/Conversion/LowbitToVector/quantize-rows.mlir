// A row is normalized, its largest value found, and rounded to two planes of bytes
// with the sums of each group.
// No memory of its own, no table, no vector of a size of the weights: what is
// decoded stays in registers or the caller's scratch.
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=avx2 \
// RUN:   | FileCheck %s --check-prefix=AVX2 \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=portable \
// RUN:   | FileCheck %s --check-prefix=PORTABLE \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'

lowbit.kernel @k family "quantize_rows" {columns = 256, eps = 9.99999974E-6 : f32, planes = 2, prologue = "rms_norm", sum_group = 64, x_offset = 0, x_stride = 256}
// AVX2-LABEL: func.func @k.avx2(
// AVX2: math.fma {{.*}} : vector<16xf32>
// AVX2: math.sqrt {{.*}} : f32
// AVX2: vector.reduction <maxsi>, {{.*}} : vector<16xi32> into i32
// AVX2: math.roundeven {{.*}} : vector<16xf32>
// AVX2: llvm.store {{.*}} : vector<16xi8>
// AVX2: llvm.store {{.*}} : vector<16xi8>
// AVX2: vector.reduction <add>, {{.*}} : vector<16xi32> into i32
// AVX2: llvm.store {{.*}} : i32
// AVX2: return
// PORTABLE-LABEL: func.func @k.portable(
// PORTABLE: arith.extf {{.*}} : vector<16xf32> to vector<16xf64>
// PORTABLE: math.sqrt {{.*}} : f32
// PORTABLE: vector.reduction <maxsi>, {{.*}} : vector<16xi32> into i32
// PORTABLE: math.roundeven {{.*}} : vector<16xf32>
// PORTABLE: llvm.store {{.*}} : vector<16xi8>
// PORTABLE: llvm.store {{.*}} : vector<16xi8>
// PORTABLE: vector.reduction <add>, {{.*}} : vector<16xi32> into i32
// PORTABLE: llvm.store {{.*}} : i32
// PORTABLE: return
