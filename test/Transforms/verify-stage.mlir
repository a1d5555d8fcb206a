// RUN: lowbit-opt %s --split-input-file --verify-diagnostics --lowbit-verify-stage="stage=materialized"

// expected-error @+1 {{should have a layout at stage 'materialized'}}
lowbit.parameter @w.source : tensor<16x64xf32> source <"m.safetensors", "w", offset = 64, bytes = 4096>
// expected-error @+1 {{should have been computed: it must have a source at stage 'materialized'}}
lowbit.parameter @w : tensor<16x64xf32> layout <tile_rows = 16, lane_bytes = 4> init {
  %0 = lowbit.weight @w.source : tensor<16x64xf32>
  lowbit.yield %0 : tensor<16x64xf32>
}

// -----

// expected-error @+1 {{should have a layout at stage 'materialized'}}
lowbit.parameter @w : tensor<16x64xf32> source <"m.safetensors", "w", offset = 64, bytes = 4096>
// expected-error @+1 {{should be f32 at stage 'materialized'}}
lowbit.parameter @g : tensor<64xbf16> source <"m.safetensors", "g", offset = 64, bytes = 128>

// -----

#fmt = #lowbit.int<4, group = 64, scale = f16, offset = integer>
func.func @chain_in_function(%w: tensor<16x64xf32>, %h: tensor<16x64xf16>) {
  // expected-error @+1 {{should be inside a parameter at stage 'materialized'}}
  %q = lowbit.quantize %w solver "nearest" : tensor<16x64xf32> -> tensor<16x64xf32, #fmt>
  // expected-error @+1 {{should be inside a parameter at stage 'materialized'}}
  %v = lowbit.widen %h : tensor<16x64xf16> -> tensor<16x64xf32>
  // expected-error @+1 {{should be inside a parameter at stage 'materialized'}}
  %c = lowbit.concat %w, %w : tensor<16x64xf32>, tensor<16x64xf32> -> tensor<32x64xf32>
  return
}

// -----

// expected-error @+1 {{should not be there yet at stage 'materialized'}}
lowbit.kernel @gate_768 family "gate" {columns = 768 : i64}

// -----

lowbit.parameter @fine : tensor<16x64xf32> source <"m.safetensors", "w", offset = 64, bytes = 4096> layout <tile_rows = 16, lane_bytes = 4>
func.func @fine_graph(%x: tensor<?x64xf32>) -> tensor<?x16xf32> {
  %w = lowbit.weight @fine : tensor<16x64xf32>
  %y = lowbit.linear %x, %w activation = <f32> : tensor<?x64xf32>, tensor<16x64xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
