// Trellis weights are words of bits until the table of the variant's shuffle.
// No memory of its own, no table, no vector of a size of the weights: what is
// decoded stays in registers or the caller's scratch.
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=portable \
// RUN:   | FileCheck %s --check-prefix=PORTABLE \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=avx2 \
// RUN:   | FileCheck %s --check-prefix=AVX2 \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'

lowbit.kernel @trellis family "linear" {type = tensor<512x256xf32, #lowbit.trellis<streams = [2], window = 12>>, activation = i16, bucket = 1, bias = false, residual = false, y_stride = 512}
// PORTABLE-LABEL: func.func @trellis.portable(
// PORTABLE: arith.shrui {{.*}} : vector<2xi64>
// PORTABLE: llvm.call_intrinsic "llvm.x86.ssse3.pshuf.b.128"
// PORTABLE: llvm.call_intrinsic "llvm.x86.sse2.pmadd.wd"
// PORTABLE: return
// AVX2-LABEL: func.func @trellis.avx2(
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pshuf.b"
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// AVX2: return
