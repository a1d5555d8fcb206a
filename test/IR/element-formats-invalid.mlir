// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{element must be f4E2M1FN, f6E2M3FN, f6E3M2FN, f8E4M3FN, f8E5M2 or i8, got 'f8E4M3B11FNUZ'}}
func.func private @micro_c1(tensor<4x4xf32, #lowbit.micro<f8E4M3B11FNUZ, group = 32, scale = f8E8M0FNU>>)

// -----

// expected-error @+1 {{scale must be f8E8M0FNU or f8E4M3FN, got 'bf16'}}
func.func private @micro_c2_type(tensor<4x4xf32, #lowbit.micro<i8, group = 32, scale = bf16>>)

// -----

// expected-error @+1 {{scales are f8E8M0FNU for groups of 32 or f8E4M3FN for groups of 16 (group 16)}}
func.func private @micro_c2_group(tensor<4x4xf32, #lowbit.micro<f4E2M1FN, group = 16, scale = f8E8M0FNU>>)

// -----

// expected-error @+1 {{scales are f8E8M0FNU for groups of 32 (group 16)}}
func.func private @micro_c2_six(tensor<4x4xf32, #lowbit.micro<f6E2M3FN, group = 16, scale = f8E4M3FN>>)

// -----

// expected-error @+1 {{scales are f8E8M0FNU for groups of 32 (group 16)}}
func.func private @micro_c2_float(tensor<4x4xf32, #lowbit.micro<f8E5M2, group = 16, scale = f8E4M3FN>>)

// -----

// expected-error @+1 {{a tensor with format mxfp4 has element type f32, got 'f16'}}
func.func private @micro_c3(tensor<4x4xf16, #lowbit.micro<f4E2M1FN, group = 32, scale = f8E8M0FNU>>)

// -----

// expected-error @+1 {{levels must ascend}}
func.func private @levels_c1_order(tensor<4x4xf32, #lowbit.levels<[0, 3, 3], group = 64, scale = f16>>)

// -----

// expected-error @+1 {{levels must be -128 to 127, got 128}}
func.func private @levels_c1_range(tensor<4x4xf32, #lowbit.levels<[0, 128], group = 64, scale = f16>>)

// -----

// expected-error @+1 {{0 must be one of the levels}}
func.func private @levels_c1_zero(tensor<4x4xf32, #lowbit.levels<[-1, 1], group = 64, scale = f16>>)

// -----

// expected-error @+1 {{there must be 2 to 16 levels}}
func.func private @levels_c1_count(tensor<4x4xf32, #lowbit.levels<[0], group = 64, scale = f16>>)

// -----

// expected-error @+1 {{group must be 16, 32, 64, 128 or row (group 48)}}
func.func private @levels_c2(tensor<4x4xf32, #lowbit.levels<[-1, 0, 1], group = 48, scale = f16>>)

// -----

// expected-error @+1 {{scale must be f16 or f8E4M3FN}}
func.func private @levels_c3(tensor<4x4xf32, #lowbit.levels<[-1, 0, 1], group = 32, scale = f8E8M0FNU>>)

// -----

// expected-error @+1 {{has two static dimensions of at least 1}}
func.func private @levels_c4(tensor<4xf32, #lowbit.levels<[-1, 0, 1], group = 64, scale = f16>>)

// -----

// expected-error @+1 {{group must be 32, 64 or 128 (group row)}}
func.func private @free_c1(tensor<4x4xf32, #lowbit.free<group = row, scale = f16>>)

// -----

// expected-error @+1 {{group must be 32, 64 or 128 (group 16)}}
func.func private @free_c1_short(tensor<4x4xf32, #lowbit.free<group = 16, scale = f16>>)

// -----

// expected-error @+1 {{scale must be f16 or f8E4M3FN (group 64)}}
func.func private @free_c2(tensor<4x4xf32, #lowbit.free<group = 64, scale = f8E8M0FNU>>)

// -----

// expected-error @+1 {{scale must be f16 or f8E4M3FN, got 'f32'}}
func.func private @free_c2_type(tensor<4x4xf32, #lowbit.free<group = 64, scale = f32>>)

// -----

// expected-error @+1 {{a tensor with format free4-g64 has two static dimensions of at least 1}}
func.func private @free_c3(tensor<?x4xf32, #lowbit.free<group = 64, scale = f16>>)
