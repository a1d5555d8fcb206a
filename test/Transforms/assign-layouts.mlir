// RUN: lowbit-opt %s --split-input-file --lowbit-assign-layouts | FileCheck %s

// Vectors become f32, row-major.
// CHECK: lowbit.parameter @g : tensor<256xf32> init {
// CHECK: %[[W:.+]] = lowbit.widen %{{.+}} : tensor<256xbf16> -> tensor<256xf32>
// CHECK: lowbit.yield %[[W]] : tensor<256xf32>
// CHECK-LABEL: @example
// CHECK: lowbit.weight @g : tensor<256xf32>
// CHECK: lowbit.rms_norm {{.+}} : tensor<?x256xf32>, tensor<256xf32>
lowbit.parameter @g : tensor<256xbf16> init {
  %0 = lowbit.weight @g.source : tensor<256xbf16>
  lowbit.yield %0 : tensor<256xbf16>
}
lowbit.parameter @g.source : tensor<256xbf16> source <"m.safetensors", "g", offset = 64, bytes = 512>
func.func @example(%x: tensor<?x256xf32>) -> tensor<?x256xf32> {
  %g = lowbit.weight @g : tensor<256xbf16>
  %y = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x256xf32>, tensor<256xbf16>
  return %y : tensor<?x256xf32>
}

// -----

// Lanes hold an element of a float matrix, or a word of codes. Vectors of f32 and tensors with bytes are left alone.
// CHECK-DAG: lowbit.parameter @half : tensor<16x64xf16> layout <tile_rows = 16, lane_bytes = 2> init
// CHECK-DAG: lowbit.parameter @single : tensor<16x64xf32> layout <tile_rows = 16, lane_bytes = 4> init
// CHECK-DAG: lowbit.parameter @codes : tensor<16x64xf32, #lowbit.int<2, {{.+}}>> layout <tile_rows = 16, lane_bytes = 4> init
// CHECK-DAG: lowbit.parameter @bias : tensor<16xf32> init
// CHECK-DAG: lowbit.parameter @h.source : tensor<16x64xf16> source
// CHECK-NOT: lowbit.widen
#fmt = #lowbit.int<2, group = 64, scale = f16, offset = half>
lowbit.parameter @half : tensor<16x64xf16> init {
  %0 = lowbit.weight @h.source : tensor<16x64xf16>
  lowbit.yield %0 : tensor<16x64xf16>
}
lowbit.parameter @single : tensor<16x64xf32> init {
  %0 = lowbit.weight @s.source : tensor<16x64xf32>
  lowbit.yield %0 : tensor<16x64xf32>
}
lowbit.parameter @codes : tensor<16x64xf32, #fmt> init {
  %0 = lowbit.weight @s.source : tensor<16x64xf32>
  %1 = lowbit.quantize %0 solver "nearest" : tensor<16x64xf32> -> tensor<16x64xf32, #fmt>
  lowbit.yield %1 : tensor<16x64xf32, #fmt>
}
lowbit.parameter @bias : tensor<16xf32> init {
  %0 = lowbit.weight @b.source : tensor<16xf32>
  lowbit.yield %0 : tensor<16xf32>
}
lowbit.parameter @h.source : tensor<16x64xf16> source <"m.safetensors", "h", offset = 64, bytes = 2048>
lowbit.parameter @s.source : tensor<16x64xf32> source <"m.safetensors", "s", offset = 64, bytes = 4096>
lowbit.parameter @b.source : tensor<16xf32> source <"m.safetensors", "b", offset = 64, bytes = 64>
