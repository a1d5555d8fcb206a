// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

// int_c1
// expected-error @+1 {{bits must be 1 to 8, got 9}}
func.func private @int_c1(tensor<4x4xf32, #lowbit.int<9, group = 64, scale = f16, offset = half>>)

// -----

// expected-error @+1 {{group must be 16, 32, 64, 128 or row (group 48)}}
func.func private @int_c2(tensor<4x4xf32, #lowbit.int<4, group = 48, scale = f16, offset = half>>)

// -----

// expected-error @+1 {{group 16 goes with bits 2, 4, 6 and 8 only}}
func.func private @int_c2_short(tensor<4x4xf32, #lowbit.int<3, group = 16, scale = f16, offset = half>>)

// -----

// expected-error @+1 {{bits 1 goes with offset half (-scale/2 and scale/2) and stored (a mean) only}}
func.func private @int_c5(tensor<4x4xf32, #lowbit.int<1, group = 64, scale = f16, offset = integer>>)

// -----

// expected-error @+1 {{scale must be f16 or f8E4M3FN}}
func.func private @int_c3_power(tensor<4x4xf32, #lowbit.int<4, group = 32, scale = f8E8M0FNU, offset = half>>)

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
