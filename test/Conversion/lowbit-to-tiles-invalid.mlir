// RUN: lowbit-opt %s --convert-lowbit-to-tiles --split-input-file --verify-diagnostics
// RUN: not lowbit-opt %s --convert-lowbit-to-tiles=target=x86_64 2>&1 | FileCheck %s
// CHECK: knows no GPU target 'x86_64'

// expected-error @+1 {{is of family 'diagonal_moments', which GPU targets do not serve}}
lowbit.kernel @moments family "diagonal_moments" {columns = 64, x_offset = 0, x_stride = 64}

// -----

// expected-error @+1 {{parameter 'cache' of kernel 'narrow' of family 'attention': is i4-g32; GPU targets serve f16, f32 and i8}}
lowbit.kernel @narrow family "attention" {heads = 4, kv_heads = 2, head_dim = 64, cache = i4, cache_group = 32, page_bytes = 1048576, pages_per_sequence = 4, scale = 0.125 : f32, q_offset = 0, q_stride = 256}

// -----

// expected-error @+1 {{has weights that GPU targets do not serve}}
lowbit.kernel @trellis family "linear" {type = tensor<64x64xf32, #lowbit.trellis<streams = [1], window = 12>>, activation = i16, bucket = 1, bias = false, residual = false, y_stride = 64}

// -----

// expected-error @+1 {{has weights that GPU targets do not serve}}
lowbit.kernel @table family "linear" {type = tensor<64x64xf32, #lowbit.micro<f4E2M1FN, group = 32, scale = f8E8M0FNU>>, activation = i16, bucket = 1, bias = false, residual = false, y_stride = 64}

// -----

// expected-error @+1 {{has weights that GPU targets do not serve}}
lowbit.kernel @narrow_group family "linear" {type = tensor<64x64xf32, #lowbit.int<4, group = 16, scale = f16, offset = half>>, activation = i16, bucket = 1, bias = false, residual = false, y_stride = 64}

// -----

// expected-error @+1 {{parameter 'type' of kernel 'gather' of family 'embedding': is of no format that a GPU target gathers from}}
lowbit.kernel @gather family "embedding" {type = tensor<64x64xf32, #lowbit.micro<f4E2M1FN, group = 32, scale = f8E8M0FNU>>}

// -----

// expected-error @+1 {{parameter 'heads' of kernel 'wide' of family 'attention': gives 256 query heads for each KV head, which do not fit the shared memory of a block}}
lowbit.kernel @wide family "attention" {heads = 256, kv_heads = 1, head_dim = 64, cache = f16, page_bytes = 1048576, pages_per_sequence = 4, scale = 0.125 : f32, q_offset = 0, q_stride = 16384}
