// RUN: lowbit-opt %s | lowbit-opt | FileCheck %s

// CHECK: lowbit.parameter @embed : tensor<32x8xbf16> source <"model.safetensors", "e", offset = 64, bytes = 512>
lowbit.parameter @embed : tensor<32x8xbf16> source <"model.safetensors", "e", offset = 64, bytes = 512>
lowbit.parameter @gain : tensor<8xf32> source <"model.safetensors", "g", offset = 0, bytes = 32>
// CHECK: lowbit.parameter @packed : tensor<32x8xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>> layout <tile_rows = 16, lane_bytes = 4> init {
lowbit.parameter @packed : tensor<32x8xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>> layout <tile_rows = 16, lane_bytes = 4> init {
  %0 = lowbit.weight @embed : tensor<32x8xbf16>
  // CHECK: lowbit.quantize %{{.+}} solver "search" options {candidates = 16 : i64}
  %1 = lowbit.quantize %0 solver "search" options {candidates = 16} : tensor<32x8xbf16> -> tensor<32x8xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>
  lowbit.yield %1 : tensor<32x8xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>
}
// CHECK: lowbit.parameter @stack : tensor<32x8xf32, #lowbit.trellis<streams = [1, 2], window = 12>> layout <tile_rows = 128, lane_bytes = 4> init {
lowbit.parameter @stack : tensor<32x8xf32, #lowbit.trellis<streams = [1, 2], window = 12>> layout <tile_rows = 128, lane_bytes = 4> init {
  %0 = lowbit.weight @embed : tensor<32x8xbf16>
  // CHECK: lowbit.quantize %{{.+}} solver "viterbi"
  %1 = lowbit.quantize %0 solver "viterbi" : tensor<32x8xbf16> -> tensor<32x8xf32, #lowbit.trellis<streams = [1, 2], window = 12>>
  lowbit.yield %1 : tensor<32x8xf32, #lowbit.trellis<streams = [1, 2], window = 12>>
}
// CHECK-LABEL: func.func @forward
func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>) -> tensor<?x32xf32> {
  %table = lowbit.weight @embed : tensor<32x8xbf16>
  %gain = lowbit.weight @gain : tensor<8xf32>
  %x = lowbit.embedding %ids, %table : tensor<?xi32>, tensor<32x8xbf16> -> tensor<?x8xf32>
  %n = lowbit.rms_norm %x, %gain eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  // CHECK: lowbit.observe %{{.+}} moments = "full" as ["q", "k"] : tensor<?x8xf32>
  lowbit.observe %n moments = "full" as ["q", "k"] : tensor<?x8xf32>
  %r = lowbit.rotary %n, %rows frequencies = [1.0, 0.5] : tensor<?x8xf32>, tensor<?x2xi32>
  // CHECK: lowbit.attention {{.+}} layer = 1 heads = 2 kv_heads = 2 scale = 5.000000e-01 cache = i4 group = head
  %grouped = lowbit.attention %r, %r, %n, %rows layer = 1 heads = 2 kv_heads = 2 scale = 0.5 cache = i4 group = head
    : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  // CHECK: lowbit.attention {{.+}} layer = 0 heads = 2 kv_heads = 2 scale = 5.000000e-01 cache = f16
  %a = lowbit.attention %r, %r, %n, %rows layer = 0 heads = 2 kv_heads = 2 scale = 0.5 cache = f16
    : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  %g = lowbit.gate %a, %n : tensor<?x8xf32>
  %h = lowbit.add %g, %x : tensor<?x8xf32>
  %s = lowbit.select_rows %h, %select : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x8xf32>
  %w = lowbit.weight @packed : tensor<32x8xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>
  // CHECK: lowbit.linear %{{.+}}, %{{.+}} activation = <i16>
  %y = lowbit.linear %s, %w activation = <i16> : tensor<?x8xf32>, tensor<32x8xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>> -> tensor<?x32xf32>
  // CHECK: lowbit.linear %{{.+}}, %{{.+}} activation = <i4, group = 32, scale = f8E4M3FN, offset = stored>
  %z = lowbit.linear %s, %w activation = <i4, group = 32, scale = f8E4M3FN, offset = stored> : tensor<?x8xf32>, tensor<32x8xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
// CHECK: lowbit.kernel @gate_8 family "gate" {columns = 8 : i64}
lowbit.kernel @gate_8 family "gate" {columns = 8}
// CHECK: lowbit.plan @x86_64 limits = [512, 512, 8, 64, 16] scratch = 0 {
lowbit.plan @x86_64 limits = [512, 512, 8, 64, 16] scratch = 0 {
  lowbit.buffer "x" "arena" bytes = [0, 32, 0, 0] at 0
  lowbit.buffer "w" "weight" bytes = [512, 0, 0, 0] at 0 of @embed
  lowbit.entry rows 1 to 1 width 0 {
    lowbit.call @gate_8 count "rows" items = [0, 1, 0, 0] buffers = [0] offsets = [0] bytes = [0, 32, 0, 0] access = ["r"]
  }
}

// CHECK: @element_formats(tensor<4x64xf32, #lowbit.micro<f4E2M1FN, group = 32, scale = f8E8M0FNU>>, tensor<4x64xf32, #lowbit.micro<i8, group = 32, scale = f8E8M0FNU>>, tensor<4x64xf32, #lowbit.levels<[-1, 0, 1], group = row, scale = f16>>)
func.func private @element_formats(tensor<4x64xf32, #lowbit.micro<f4E2M1FN, group = 32, scale = f8E8M0FNU>>, tensor<4x64xf32, #lowbit.micro<i8, group = 32, scale = f8E8M0FNU>>, tensor<4x64xf32, #lowbit.levels<[-1, 0, 1], group = row, scale = f16>>)
