// A kernel as the program of one block of threads, and as what the emulator runs.
// RUN: lowbit-opt %s --convert-lowbit-to-tiles=target=sm_90a | FileCheck %s --check-prefix=TILES
// RUN: lowbit-opt %s --convert-lowbit-to-tiles=target=emulated --convert-tiles-to-host | FileCheck %s --check-prefix=HOST

// TILES-LABEL: func.func @add_64.sm_90a
// TILES-SAME: (%[[A:.*]]: !llvm.ptr<1>, %[[B:.*]]: !llvm.ptr<1>, %[[Y:.*]]: !llvm.ptr<1>, %{{.*}}: i64, %{{.*}}: !llvm.ptr<3>)
// TILES-SAME: lowbit.kernel = "add_64"
// TILES-SAME: lowbit.shared = 0 : i32
// TILES-SAME: lowbit.threads = 32 : i32
// TILES: nvvm.read.ptx.sreg.tid.x
// TILES: nvvm.read.ptx.sreg.ctaid.x
// TILES: arith.addf
// TILES: llvm.store {{.*}} : f32, !llvm.ptr<1>

// HOST-LABEL: func.func @add_64.emulated.thread(%{{.*}}: !llvm.ptr, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: !llvm.ptr)
// HOST-NOT: nvvm
// HOST: arith.addf
// HOST-LABEL: func.func @add_64.emulated(
// HOST: constant @add_64.emulated.thread
// HOST: llvm.call
lowbit.kernel @add_64 family "add" {columns = 64, a_offset = 0, a_stride = 64, b_offset = 0, b_stride = 64}

// A linear takes its sums from matrix products and adds slabs up behind barriers.
// TILES-LABEL: func.func @linear.sm_90a
// TILES: nvvm.mma.sync
// TILES: nvvm.barrier0
// HOST-LABEL: func.func @linear.emulated.thread
// HOST-NOT: nvvm
lowbit.kernel @linear family "linear" {type = tensor<64x1024xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>, activation = i16, bucket = 1, bias = false, residual = false, y_stride = 64}
