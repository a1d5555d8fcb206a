// RUN: lowbit-opt %s --split-input-file --lowbit-fuse-linears | FileCheck %s

// CHECK-LABEL: @example
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>
// CHECK: %[[A:.+]] = lowbit.weight @a
// CHECK: %[[B:.+]] = lowbit.weight @b
// CHECK: %[[W:.+]] = lowbit.concat %[[A]], %[[B]] : {{.+}} -> tensor<48x64xf32>
// CHECK: %[[Y:.+]] = lowbit.linear %[[X]], %[[W]] activation = <f32>
// CHECK: %[[Y0:.+]] = lowbit.slice %[[Y]] at 0 : {{.+}} -> tensor<?x32xf32>
// CHECK: %[[Y1:.+]] = lowbit.slice %[[Y]] at 32 : {{.+}} -> tensor<?x16xf32>
// CHECK: return %[[Y0]], %[[Y1]]
lowbit.parameter @a : tensor<32x64xf32> source <"m.safetensors", "a", offset = 64, bytes = 8192>
lowbit.parameter @b : tensor<16x64xf32> source <"m.safetensors", "b", offset = 64, bytes = 4096>
func.func @example(%x: tensor<?x64xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>) {
  %a = lowbit.weight @a : tensor<32x64xf32>
  %0 = lowbit.linear %x, %a activation = <f32> : tensor<?x64xf32>, tensor<32x64xf32> -> tensor<?x32xf32>
  %b = lowbit.weight @b : tensor<16x64xf32>
  %1 = lowbit.linear %x, %b activation = <f32> : tensor<?x64xf32>, tensor<16x64xf32> -> tensor<?x16xf32>
  return %0, %1 : tensor<?x32xf32>, tensor<?x16xf32>
}

// -----

// Stacked in front of the quantization; biases are stacked, too.
// CHECK-LABEL: @quantized_with_bias
// CHECK: %[[W:.+]] = lowbit.concat {{.+}} -> tensor<48x64xf32>
// CHECK: %[[Q:.+]] = lowbit.quantize %[[W]] solver "search" : tensor<48x64xf32> -> tensor<48x64xf32, #lowbit.int<4,
// CHECK: %[[BIAS:.+]] = lowbit.concat {{.+}} -> tensor<48xf32>
// CHECK: lowbit.linear %{{.+}}, %[[Q]] bias %[[BIAS]] : tensor<48xf32> activation = <i16>
// CHECK-NOT: lowbit.linear
#fmt = #lowbit.int<4, group = 64, scale = f8E4M3FN, offset = integer>
lowbit.parameter @a : tensor<32x64xf32> source <"m.safetensors", "a", offset = 64, bytes = 8192>
lowbit.parameter @b : tensor<16x64xf32> source <"m.safetensors", "b", offset = 64, bytes = 4096>
lowbit.parameter @c : tensor<32xf32> source <"m.safetensors", "c", offset = 64, bytes = 128>
lowbit.parameter @d : tensor<16xf32> source <"m.safetensors", "d", offset = 64, bytes = 64>
func.func @quantized_with_bias(%x: tensor<?x64xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>) {
  %a = lowbit.weight @a : tensor<32x64xf32>
  %aq = lowbit.quantize %a solver "search" : tensor<32x64xf32> -> tensor<32x64xf32, #fmt>
  %c = lowbit.weight @c : tensor<32xf32>
  %0 = lowbit.linear %x, %aq bias %c : tensor<32xf32> activation = <i16> : tensor<?x64xf32>, tensor<32x64xf32, #fmt> -> tensor<?x32xf32>
  %b = lowbit.weight @b : tensor<16x64xf32>
  %bq = lowbit.quantize %b solver "search" : tensor<16x64xf32> -> tensor<16x64xf32, #fmt>
  %d = lowbit.weight @d : tensor<16xf32>
  %1 = lowbit.linear %x, %bq bias %d : tensor<16xf32> activation = <i16> : tensor<?x64xf32>, tensor<16x64xf32, #fmt> -> tensor<?x16xf32>
  return %0, %1 : tensor<?x32xf32>, tensor<?x16xf32>
}

// -----

// One has a bias, the other has none.
// CHECK-LABEL: @one_bias
// CHECK-NOT: lowbit.concat
lowbit.parameter @a : tensor<16x64xf32> source <"m.safetensors", "a", offset = 64, bytes = 4096>
lowbit.parameter @b : tensor<16x64xf32> source <"m.safetensors", "b", offset = 64, bytes = 4096>
lowbit.parameter @c : tensor<16xf32> source <"m.safetensors", "c", offset = 64, bytes = 64>
func.func @one_bias(%x: tensor<?x64xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %a = lowbit.weight @a : tensor<16x64xf32>
  %c = lowbit.weight @c : tensor<16xf32>
  %0 = lowbit.linear %x, %a bias %c : tensor<16xf32> activation = <f32> : tensor<?x64xf32>, tensor<16x64xf32> -> tensor<?x16xf32>
  %b = lowbit.weight @b : tensor<16x64xf32>
  %1 = lowbit.linear %x, %b activation = <f32> : tensor<?x64xf32>, tensor<16x64xf32> -> tensor<?x16xf32>
  return %0, %1 : tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// Different formats, different inputs, a weight with a second use.
// CHECK-LABEL: @no_reason_to_fuse
// CHECK-NOT: lowbit.concat
#four = #lowbit.int<4, group = 64, scale = f16, offset = integer>
#two = #lowbit.int<2, group = 64, scale = f16, offset = integer>
lowbit.parameter @a : tensor<16x64xf32> source <"m.safetensors", "a", offset = 64, bytes = 4096>
lowbit.parameter @b : tensor<16x64xf32> source <"m.safetensors", "b", offset = 64, bytes = 4096>
lowbit.parameter @t : tensor<16x64xf32> source <"m.safetensors", "t", offset = 64, bytes = 4096>
lowbit.parameter @u : tensor<16x64xf32> source <"m.safetensors", "u", offset = 64, bytes = 4096>
func.func @no_reason_to_fuse(%ids: tensor<?xi32>) -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %t = lowbit.weight @t : tensor<16x64xf32>
  %x = lowbit.embedding %ids, %t : tensor<?xi32>, tensor<16x64xf32> -> tensor<?x64xf32>
  %a = lowbit.weight @a : tensor<16x64xf32>
  %aq = lowbit.quantize %a solver "search" : tensor<16x64xf32> -> tensor<16x64xf32, #four>
  %0 = lowbit.linear %x, %aq activation = <i16> : tensor<?x64xf32>, tensor<16x64xf32, #four> -> tensor<?x16xf32>
  %b = lowbit.weight @b : tensor<16x64xf32>
  %bq = lowbit.quantize %b solver "search" : tensor<16x64xf32> -> tensor<16x64xf32, #two>
  %1 = lowbit.linear %x, %bq activation = <i16> : tensor<?x64xf32>, tensor<16x64xf32, #two> -> tensor<?x16xf32>
  %2 = lowbit.linear %x, %t activation = <f32> : tensor<?x64xf32>, tensor<16x64xf32> -> tensor<?x16xf32>
  %u = lowbit.weight @u : tensor<16x64xf32>
  %3 = lowbit.linear %x, %u activation = <f32> : tensor<?x64xf32>, tensor<16x64xf32> -> tensor<?x16xf32>
  return %0, %1, %2, %3 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// Given tensors have a factor each; a stacked one would have one.
// CHECK-LABEL: @given_with_factor
// CHECK-NOT: lowbit.concat
#fmt = #lowbit.int<4, group = 64, scale = f8E4M3FN, offset = integer>
lowbit.parameter @a : tensor<16x64xf32> source <"m.safetensors", "a", offset = 64, bytes = 4096>
lowbit.parameter @b : tensor<16x64xf32> source <"m.safetensors", "b", offset = 64, bytes = 4096>
func.func @given_with_factor(%x: tensor<?x64xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %a = lowbit.weight @a : tensor<16x64xf32>
  %aq = lowbit.quantize %a solver "given" options {file = "c"} : tensor<16x64xf32> -> tensor<16x64xf32, #fmt>
  %0 = lowbit.linear %x, %aq activation = <i16> : tensor<?x64xf32>, tensor<16x64xf32, #fmt> -> tensor<?x16xf32>
  %b = lowbit.weight @b : tensor<16x64xf32>
  %bq = lowbit.quantize %b solver "given" options {file = "c"} : tensor<16x64xf32> -> tensor<16x64xf32, #fmt>
  %1 = lowbit.linear %x, %bq activation = <i16> : tensor<?x64xf32>, tensor<16x64xf32, #fmt> -> tensor<?x16xf32>
  return %0, %1 : tensor<?x16xf32>, tensor<?x16xf32>
}
