// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

// int_c1
// expected-error @+1 {{bits must be 2, 3, 4 or 8, got 5}}
func.func private @int_c1(tensor<4x4xf32, #lowbit.int<5, group = 64, scale = f16, offset = half>>)

// -----

// expected-error @+1 {{group must be 32, 64, 128 or row, got 48}}
func.func private @int_c2(tensor<4x4xf32, #lowbit.int<4, group = 48, scale = f16, offset = half>>)

// -----

// expected-error @+1 {{scale must be f16 or f8E4M3FN, got 'bf16'}}
func.func private @int_c3(tensor<4x4xf32, #lowbit.int<4, group = 64, scale = bf16, offset = half>>)

// -----

// expected-error @+1 {{a tensor with format int2-g64-half has element type f32, got 'f16'}}
func.func private @int_c4_element(tensor<4x4xf16, #lowbit.int<2, group = 64, scale = f16, offset = half>>)

// -----

// expected-error @+1 {{has two static dimensions of at least 1}}
func.func private @int_c4_rank(tensor<4xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>)

// -----

// expected-error @+1 {{has two static dimensions of at least 1}}
func.func private @int_c4_dynamic(tensor<?x4xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>)

// -----

// expected-error @+1 {{is larger than 2^63 bytes}}
func.func private @int_c4_size(tensor<4294967296x4294967296xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>)
