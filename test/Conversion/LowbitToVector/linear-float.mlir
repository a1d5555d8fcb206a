// Weights of 16 bits are widened in registers.
// No memory of its own, no table, no vector of a size of the weights: what is
// decoded stays in registers or the caller's scratch.
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=avx2 \
// RUN:   | FileCheck %s --check-prefix=AVX2 \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=portable \
// RUN:   | FileCheck %s --check-prefix=PORTABLE \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'

lowbit.kernel @k family "linear" {type = tensor<512x256xbf16>, activation = f32, bucket = 1, bias = false, residual = false, x_offset = 0, x_stride = 256, y_stride = 512}
// AVX2-LABEL: func.func @k.avx2(
// AVX2: llvm.load {{.*}} -> vector<16xi16>
// AVX2: math.fma {{.*}} : vector<16xf32>
// AVX2: llvm.store {{.*}} : vector<16xf32>
// AVX2: return
// PORTABLE-LABEL: func.func @k.portable(
// PORTABLE: llvm.load {{.*}} -> vector<16xi16>
// PORTABLE: arith.extf {{.*}} : vector<16xf32> to vector<16xf64>
// PORTABLE: llvm.store {{.*}} : vector<16xf32>
// PORTABLE: return
