// RUN: lowbit-opt %s --split-input-file --lowbit-quantize="format=int4-g64" | FileCheck %s
// RUN: lowbit-opt %s --split-input-file --lowbit-quantize="roles=ffn,head format=int2-row-e4m3-half solver=nearest activation=i8" | FileCheck %s --check-prefix=FFN
// RUN: lowbit-opt %s --split-input-file --lowbit-quantize="roles=q,o first-layer=1 format=int8-g32" | FileCheck %s --check-prefix=DEPTH
// RUN: lowbit-opt %s --split-input-file --lowbit-quantize="format=int4-g64 solver=given file=codes.safetensors" | FileCheck %s --check-prefix=GIVEN
// RUN: lowbit-opt %s --split-input-file --lowbit-quantize="format=int3-g64 solver=gptq order=columns damp=0.05" | FileCheck %s --check-prefix=GPTQ
// RUN: lowbit-opt %s --split-input-file --pass-pipeline="builtin.module(lowbit-quantize{roles=down format=int8-g64},lowbit-quantize{format=int4-g64})" | FileCheck %s --check-prefix=FIRST

// CHECK-LABEL: @example
// CHECK: %[[W:.+]] = lowbit.weight @w
// CHECK: %[[Q:.+]] = lowbit.quantize %[[W]] solver "search" : tensor<768x256xbf16> -> tensor<768x256xf32, #lowbit.int<4, group = 64, scale = f16, offset = integer>>
// CHECK: lowbit.linear %{{.+}}, %[[Q]] activation = <i16>
// GIVEN-LABEL: @example
// GIVEN: lowbit.quantize %{{.+}} solver "given" options {file = "codes.safetensors"}
// GPTQ: lowbit.quantize %{{.+}} solver "gptq" options {damp = 5.000000e-02 : f64, order = "columns", scales = "search"}
lowbit.parameter @w : tensor<768x256xbf16> source <"m.safetensors", "w", offset = 64, bytes = 393216>
func.func @example(%x: tensor<?x256xf32>) -> tensor<?x768xf32> {
  %w = lowbit.weight @w : tensor<768x256xbf16>
  %y = lowbit.linear %x, %w activation = <f32> : tensor<?x256xf32>, tensor<768x256xbf16> -> tensor<?x768xf32>
  return %y : tensor<?x768xf32>
}

// -----

// A tied table is one value for both uses, also where two ops name it.
// CHECK-LABEL: @tied
// CHECK: lowbit.weight @t
// CHECK: %[[Q:.+]] = lowbit.quantize
// CHECK-NOT: lowbit.weight @t
// CHECK-NOT: lowbit.quantize
// CHECK: lowbit.embedding %{{.+}}, %[[Q]]
// CHECK: lowbit.linear %{{.+}}, %[[Q]] activation = <i16>
// One use that is meant decides for all: the head's role is enough.
// FFN-LABEL: @tied
// FFN: %[[Q:.+]] = lowbit.quantize %{{.+}} solver "nearest" : {{.+}} #lowbit.int<2, group = row, scale = f8E4M3FN, offset = half>>
// FFN: lowbit.embedding %{{.+}}, %[[Q]]
// FFN: lowbit.linear %{{.+}}, %[[Q]] activation = <i8>
lowbit.parameter @t : tensor<32x64xf32> source <"m.safetensors", "t", offset = 64, bytes = 8192>
func.func @tied(%ids: tensor<?xi32>) -> tensor<?x32xf32> {
  %0 = lowbit.weight @t : tensor<32x64xf32>
  %x = lowbit.embedding %ids, %0 : tensor<?xi32>, tensor<32x64xf32> -> tensor<?x64xf32>
  %1 = lowbit.weight @t : tensor<32x64xf32>
  %y = lowbit.linear %x, %1 activation = <f32> : tensor<?x64xf32>, tensor<32x64xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

// Roles come from the graph: o and q of layer 1 only, although names lie.
// DEPTH-LABEL: @roles
// DEPTH: lowbit.weight @head
// DEPTH-NEXT: lowbit.quantize
// DEPTH: lowbit.weight @gate
// DEPTH-NOT: lowbit.quantize
// DEPTH: lowbit.weight @down
// DEPTH-NEXT: lowbit.quantize
// DEPTH: lowbit.weight @query
// DEPTH-NOT: lowbit.quantize
// FFN-LABEL: @roles
// FFN: lowbit.weight @head
// FFN-NOT: lowbit.quantize
// FFN: lowbit.weight @query
// FFN-NEXT: lowbit.quantize
// FFN: lowbit.weight @output
// FFN-NEXT: lowbit.quantize
// The first run that means a weight decides it.
// FIRST-LABEL: @roles
// FIRST: lowbit.weight @head
// FIRST-NEXT: lowbit.quantize {{.+}} #lowbit.int<4,
// FIRST: lowbit.weight @output
// FIRST-NEXT: lowbit.quantize {{.+}} #lowbit.int<8,
lowbit.parameter @head : tensor<16x16xf32> source <"m.safetensors", "a", offset = 64, bytes = 1024>
lowbit.parameter @gate : tensor<16x16xf32> source <"m.safetensors", "b", offset = 64, bytes = 1024>
lowbit.parameter @up : tensor<16x16xf32> source <"m.safetensors", "c", offset = 64, bytes = 1024>
lowbit.parameter @down : tensor<16x16xf32> source <"m.safetensors", "d", offset = 64, bytes = 1024>
lowbit.parameter @query : tensor<16x16xf32> source <"m.safetensors", "e", offset = 64, bytes = 1024>
lowbit.parameter @output : tensor<16x16xf32> source <"m.safetensors", "f", offset = 64, bytes = 1024>
func.func @roles(%x: tensor<?x16xf32>, %rows: tensor<?x2xi32>) -> tensor<?x16xf32> {
  %qw = lowbit.weight @head : tensor<16x16xf32>
  %q = lowbit.linear %x, %qw activation = <f32> : tensor<?x16xf32>, tensor<16x16xf32> -> tensor<?x16xf32>
  %qr = lowbit.rotary %q, %rows frequencies = [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125] : tensor<?x16xf32>, tensor<?x2xi32>
  %kw = lowbit.weight @gate : tensor<16x16xf32>
  %k = lowbit.linear %x, %kw activation = <f32> : tensor<?x16xf32>, tensor<16x16xf32> -> tensor<?x16xf32>
  %vw = lowbit.weight @up : tensor<16x16xf32>
  %v = lowbit.linear %x, %vw activation = <f32> : tensor<?x16xf32>, tensor<16x16xf32> -> tensor<?x16xf32>
  %a = lowbit.attention %qr, %k, %v, %rows layer = 1 heads = 1 kv_heads = 1 scale = 2.500000e-01 cache = f16 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x2xi32>
  %ow = lowbit.weight @down : tensor<16x16xf32>
  %o = lowbit.linear %a, %ow activation = <f32> : tensor<?x16xf32>, tensor<16x16xf32> -> tensor<?x16xf32>
  %gw = lowbit.weight @query : tensor<16x16xf32>
  %g = lowbit.linear %o, %gw activation = <f32> : tensor<?x16xf32>, tensor<16x16xf32> -> tensor<?x16xf32>
  %h = lowbit.gate %g, %a : tensor<?x16xf32>
  %dw = lowbit.weight @output : tensor<16x16xf32>
  %d = lowbit.linear %h, %dw activation = <f32> : tensor<?x16xf32>, tensor<16x16xf32> -> tensor<?x16xf32>
  %y = lowbit.add %d, %o : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Norms have no matrix: nothing happens.
// CHECK-LABEL: @norm
// CHECK-NOT: lowbit.quantize
lowbit.parameter @g : tensor<16xf32> source <"m.safetensors", "g", offset = 64, bytes = 64>
func.func @norm(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %g = lowbit.weight @g : tensor<16xf32>
  %y = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x16xf32>, tensor<16xf32>
  return %y : tensor<?x16xf32>
}
