// RUN: lowbit-opt %s --split-input-file --lowbit-outline-parameters | FileCheck %s
// A second run finds nothing to do.
// RUN: lowbit-opt %s --split-input-file --lowbit-outline-parameters --lowbit-outline-parameters | FileCheck %s

// CHECK: lowbit.parameter @w : tensor<768x256xbf16> attributes {lowbit.role = "head"} init {
// CHECK-NEXT: %[[S:.+]] = lowbit.weight @w.source
// CHECK-NEXT: lowbit.yield %[[S]]
// CHECK: lowbit.parameter @w.source : tensor<768x256xbf16> source <"model.safetensors", "w",
// CHECK-LABEL: @example
// CHECK: %[[W:.+]] = lowbit.weight @w : tensor<768x256xbf16>
// CHECK: lowbit.linear %{{.+}}, %[[W]]
lowbit.parameter @w : tensor<768x256xbf16> source <"model.safetensors", "w", offset = 64, bytes = 393216>
func.func @example(%x: tensor<?x256xf32>) -> tensor<?x768xf32> {
  %w = lowbit.weight @w : tensor<768x256xbf16>
  %y = lowbit.linear %x, %w activation = <f32> : tensor<?x256xf32>, tensor<768x256xbf16> -> tensor<?x768xf32>
  return %y : tensor<?x768xf32>
}

// -----

// A whole chain moves; names are joined; equal chains become one parameter.
// CHECK: lowbit.parameter @"l.q+k.w" : tensor<32x64xf32, #lowbit.int<4, {{.+}} init {
// CHECK-DAG: lowbit.weight @l.q.w
// CHECK-DAG: lowbit.weight @l.k.w
// CHECK: lowbit.concat
// CHECK: lowbit.quantize
// CHECK: lowbit.yield
// CHECK-NOT: init
// CHECK-LABEL: @chains
// CHECK-COUNT-2: lowbit.weight @"l.q+k.w"
// CHECK-NOT: lowbit.weight
// CHECK-NOT: lowbit.concat
// CHECK: return
#fmt = #lowbit.int<4, group = 64, scale = f16, offset = integer>
lowbit.parameter @l.q.w : tensor<16x64xf32> source <"m.safetensors", "a", offset = 64, bytes = 4096>
lowbit.parameter @l.k.w : tensor<16x64xf32> source <"m.safetensors", "b", offset = 64, bytes = 4096>
func.func @chains(%x: tensor<?x64xf32>, %z: tensor<?x64xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %a = lowbit.weight @l.q.w : tensor<16x64xf32>
  %b = lowbit.weight @l.k.w : tensor<16x64xf32>
  %c = lowbit.concat %a, %b : tensor<16x64xf32>, tensor<16x64xf32> -> tensor<32x64xf32>
  %w = lowbit.quantize %c solver "nearest" : tensor<32x64xf32> -> tensor<32x64xf32, #fmt>
  %0 = lowbit.linear %x, %w activation = <i16> : tensor<?x64xf32>, tensor<32x64xf32, #fmt> -> tensor<?x32xf32>
  %d = lowbit.concat %a, %b : tensor<16x64xf32>, tensor<16x64xf32> -> tensor<32x64xf32>
  %v = lowbit.quantize %d solver "nearest" : tensor<32x64xf32> -> tensor<32x64xf32, #fmt>
  %1 = lowbit.linear %z, %v activation = <i16> : tensor<?x64xf32>, tensor<32x64xf32, #fmt> -> tensor<?x32xf32>
  return %0, %1 : tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// The same tensor in two formats is two parameters; the role of a tied table names both uses.
// CHECK: lowbit.parameter @t : {{.+}} #lowbit.int<8, {{.+}} {lowbit.role = "embedding"}
// CHECK: lowbit.parameter @t.2 : tensor<16x64xf32> attributes {lowbit.role = "embedding+head"}
#fmt = #lowbit.int<8, group = 64, scale = f16, offset = integer>
lowbit.parameter @t : tensor<16x64xf32> source <"m.safetensors", "t", offset = 64, bytes = 4096>
func.func @two_formats(%ids: tensor<?xi32>) -> (tensor<?x16xf32>, tensor<?x64xf32>) {
  %t = lowbit.weight @t : tensor<16x64xf32>
  %q = lowbit.quantize %t solver "nearest" : tensor<16x64xf32> -> tensor<16x64xf32, #fmt>
  %x = lowbit.embedding %ids, %q : tensor<?xi32>, tensor<16x64xf32, #fmt> -> tensor<?x64xf32>
  %z = lowbit.embedding %ids, %t : tensor<?xi32>, tensor<16x64xf32> -> tensor<?x64xf32>
  %y = lowbit.linear %x, %t activation = <f32> : tensor<?x64xf32>, tensor<16x64xf32> -> tensor<?x16xf32>
  return %y, %z : tensor<?x16xf32>, tensor<?x64xf32>
}
