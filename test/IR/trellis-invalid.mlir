// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

// trellis_c1
// expected-error @+1 {{streams must be 1 to 4, got 5}}
func.func private @trellis_c1_count(tensor<4x4xf32, #lowbit.trellis<streams = [1, 1, 1, 1, 1], window = 12>>)

// -----

// expected-error @+1 {{a stream must be 1, 2 or 4, got 3}}
func.func private @trellis_c1_rate(tensor<4x4xf32, #lowbit.trellis<streams = [3], window = 12>>)

// -----

// expected-error @+1 {{streams must be in ascending order}}
func.func private @trellis_c1_order(tensor<4x4xf32, #lowbit.trellis<streams = [2, 1], window = 12>>)

// -----

// expected-error @+1 {{window must be 12 or 10, got 16}}
func.func private @trellis_c2(tensor<4x4xf32, #lowbit.trellis<streams = [1], window = 16>>)

// -----

// expected-error @+1 {{a tensor with format trellis2 has element type f32, got 'f16'}}
func.func private @trellis_c3_element(tensor<4x4xf16, #lowbit.trellis<streams = [1], window = 12>>)

// -----

// expected-error @+1 {{a tensor with format trellis1+0.5-fast has two static dimensions of at least 1}}
func.func private @trellis_c3_rank(tensor<4xf32, #lowbit.trellis<streams = [2, 4], window = 10>>)

// -----

// expected-error @+1 {{is larger than 2^63 bytes}}
func.func private @trellis_c3_size(tensor<4294967296x4294967296xf32, #lowbit.trellis<streams = [1], window = 12>>)
