// Queries and keys are turned, keys and values rounded to the cache's bytes.
// No memory of its own, no table, no vector of a size of the weights: what is
// decoded stays in registers or the caller's scratch.
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=avx2 \
// RUN:   | FileCheck %s --check-prefix=AVX2 \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'
// RUN: lowbit-opt %s --convert-lowbit-to-vector=variant=portable \
// RUN:   | FileCheck %s --check-prefix=PORTABLE \
// RUN:     --implicit-check-not='{{alloca|global|memref|tensor<|dense_resource}}' --implicit-check-not='vector<{{[0-9][0-9][0-9]+}}xf{{16|32|64}}>'

lowbit.kernel @k family "rotary_cache" {cache = i8, head_dim = 64, heads = 4, k_offset = 256, k_stride = 512, kv_heads = 2, page_bytes = 139264, pages_per_sequence = 16, q_offset = 0, q_stride = 512, v_offset = 384, v_stride = 512}
// AVX2-LABEL: func.func @k.avx2(
// AVX2: math.fma {{.*}} : vector<16xf32>
// AVX2: vector.reduction <maxsi>, {{.*}} : vector<16xi32> into i32
// AVX2: math.roundeven {{.*}} : vector<16xf32>
// AVX2: llvm.store {{.*}} : vector<16xi8>
// AVX2: return
// PORTABLE-LABEL: func.func @k.portable(
// PORTABLE: arith.extf {{.*}} : vector<16xf32> to vector<16xf64>
// PORTABLE: vector.reduction <maxsi>, {{.*}} : vector<16xi32> into i32
// PORTABLE: math.roundeven {{.*}} : vector<16xf32>
// PORTABLE: llvm.store {{.*}} : vector<16xi8>
// PORTABLE: return
