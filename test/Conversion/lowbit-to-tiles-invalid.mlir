// RUN: lowbit-opt %s --convert-lowbit-to-tiles --split-input-file --verify-diagnostics
// RUN: not lowbit-opt %s --convert-lowbit-to-tiles=target=x86_64 2>&1 | FileCheck %s
// CHECK: knows no GPU target 'x86_64'

// expected-error @+1 {{is of family 'diagonal_moments', which GPU targets do not serve}}
lowbit.kernel @moments family "diagonal_moments" {columns = 64, x_offset = 0, x_stride = 64}

// -----

// expected-error @+1 {{parameter 'cache' of kernel 'narrow' of family 'attention': is i4-g32; GPU targets serve f16, f32 and i8}}
lowbit.kernel @narrow family "attention" {heads = 4, kv_heads = 2, head_dim = 64, cache = i4, cache_group = 32, page_bytes = 1048576, pages_per_sequence = 4, scale = 0.125 : f32, q_offset = 0, q_stride = 256}

// -----

// expected-error @+1 {{parameter 'heads' of kernel 'wide' of family 'attention': gives 256 query heads for each KV head, which do not fit the shared memory of a block}}
lowbit.kernel @wide family "attention" {heads = 256, kv_heads = 1, head_dim = 64, cache = f16, page_bytes = 1048576, pages_per_sequence = 4, scale = 0.125 : f32, q_offset = 0, q_stride = 16384}
