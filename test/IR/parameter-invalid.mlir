// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{requires either a source or an init}}
lowbit.parameter @parameter_c1 : tensor<4x4xf32>

// -----

lowbit.parameter @w : tensor<4x4xf32> source <"f", "t", offset = 0, bytes = 64>
// expected-error @+1 {{has type 'tensor<2x4xf32>', its init yields 'tensor<4x4xf32>'}}
lowbit.parameter @parameter_c2 : tensor<2x4xf32> init {
  %0 = lowbit.weight @w : tensor<4x4xf32>
  lowbit.yield %0 : tensor<4x4xf32>
}

// -----

// expected-error @+1 {{requires a static tensor of f32, f16 or bf16, got 'tensor<4x4xi8>'}}
lowbit.parameter @parameter_c3 : tensor<4x4xi8> source <"f", "t", offset = 0, bytes = 16>

// -----

// expected-error @+1 {{of type 'tensor<4x4xf32>' is stored in 64 bytes, the source has 60}}
lowbit.parameter @parameter_c4 : tensor<4x4xf32> source <"f", "t", offset = 0, bytes = 60>

// -----

// expected-error @+1 {{of a type with a format requires a layout}}
lowbit.parameter @parameter_c5 : tensor<4x4xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>> source <"f", "t", offset = 0, bytes = 60>

// -----

func.func @weight_c1_missing() {
  // expected-error @+1 {{names no parameter: @nothing}}
  %0 = lowbit.weight @nothing : tensor<4x4xf32>
  return
}

// -----

lowbit.parameter @w : tensor<4x4xf32> source <"f", "t", offset = 0, bytes = 64>
func.func @weight_c1_type() {
  // expected-error @+1 {{has type 'tensor<4x5xf32>', the parameter has 'tensor<4x4xf32>'}}
  %0 = lowbit.weight @w : tensor<4x5xf32>
  return
}

// -----

func.func @quantize_c1(%w: tensor<4x4xf32>) {
  // expected-error @+1 {{requires a result with a format}}
  %0 = lowbit.quantize %w solver "nearest" : tensor<4x4xf32> -> tensor<4x4xf32>
  return
}

// -----

func.func @quantize_c1_input(%w: tensor<4x4xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>) {
  // expected-error @+1 {{requires an input without a format}}
  %0 = lowbit.quantize %w solver "nearest" : tensor<4x4xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>> -> tensor<4x4xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>
  return
}

// -----

func.func @quantize_c2(%w: tensor<4x4xf32>) {
  // expected-error @+1 {{requires equal shapes}}
  %0 = lowbit.quantize %w solver "nearest" : tensor<4x4xf32> -> tensor<4x5xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>
  return
}

// -----

func.func @quantize_c3(%w: tensor<4x4xf32>) {
  // expected-error @+1 {{knows the solvers nearest, search, gptq, em, viterbi and given, not 'best'}}
  %0 = lowbit.quantize %w solver "best" : tensor<4x4xf32> -> tensor<4x4xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>
  return
}

// -----

func.func @concat_c1(%a: tensor<4x4xf32>) {
  // expected-error @+1 {{requires at least two inputs}}
  %0 = lowbit.concat %a : tensor<4x4xf32> -> tensor<4x4xf32>
  return
}

// -----

func.func @concat_c2(%a: tensor<4x4xf32>, %b: tensor<4x5xf32>) {
  // expected-error @+1 {{requires shapes that differ in the first dimension only}}
  %0 = lowbit.concat %a, %b : tensor<4x4xf32>, tensor<4x5xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @concat_c2_sum(%a: tensor<4x4xf32>) {
  // expected-error @+1 {{stacks 8 rows, the result has 9}}
  %0 = lowbit.concat %a, %a : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<9x4xf32>
  return
}

// -----

func.func @concat_c3(%a: tensor<4x4xf32>, %b: tensor<4x4xf16>) {
  // expected-error @+1 {{requires one element type, got 'f16' and 'f32'}}
  %0 = lowbit.concat %a, %b : tensor<4x4xf32>, tensor<4x4xf16> -> tensor<8x4xf32>
  return
}
