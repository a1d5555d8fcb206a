// RUN: lowbit-opt %s --lowbit-fold-norm-scale | FileCheck %s --check-prefixes=CHECK,KEEP
// RUN: lowbit-opt %s --lowbit-fold-norm-scale=tied=untie | FileCheck %s --check-prefixes=CHECK,UNTIE
// RUN: not lowbit-opt %s --lowbit-fold-norm-scale=tied=other 2>&1 | FileCheck %s --check-prefix=BAD
// BAD: tied 'other' is not known, must be untie or keep

lowbit.parameter @e : tensor<16x8xbf16> source <"m", "e", offset = 0, bytes = 256>
lowbit.parameter @g : tensor<8xbf16> source <"m", "g", offset = 256, bytes = 16>
lowbit.parameter @f : tensor<8xbf16> source <"m", "f", offset = 272, bytes = 16>
lowbit.parameter @w : tensor<12x8xbf16> source <"m", "w", offset = 288, bytes = 192>
lowbit.parameter @d : tensor<8x12xbf16> source <"m", "d", offset = 480, bytes = 192>

// CHECK-LABEL: func.func @forward
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x16xf32> {
  %e = lowbit.weight @e : tensor<16x8xbf16>
  %x = lowbit.embedding %ids, %e : tensor<?xi32>, tensor<16x8xbf16> -> tensor<?x8xf32>
  %g = lowbit.weight @g : tensor<8xbf16>
  // CHECK: %[[ONES:.+]] = lowbit.fill 1.000000e+00 : tensor<8xf32>
  // CHECK: %[[N:.+]] = lowbit.rms_norm %{{.+}}, %[[ONES]] eps
  %n = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xbf16>
  %w = lowbit.weight @w : tensor<12x8xbf16>
  // CHECK-DAG: %[[G:.+]] = lowbit.weight @g
  // CHECK-DAG: %[[W:.+]] = lowbit.weight @w
  // CHECK: %[[V:.+]] = lowbit.transform_weight %[[W]] dim = 1 by diagonal(%[[G]] : tensor<8xbf16>) : tensor<12x8xbf16> -> tensor<12x8xf32>
  // CHECK: lowbit.linear %[[N]], %[[V]] activation = <f32>
  %y = lowbit.linear %n, %w activation = <f32> : tensor<?x8xf32>, tensor<12x8xbf16> -> tensor<?x12xf32>
  %d = lowbit.weight @d : tensor<8x12xbf16>
  %z = lowbit.linear %y, %d activation = <f32> : tensor<?x12xf32>, tensor<8x12xbf16> -> tensor<?x8xf32>
  %s = lowbit.add %x, %z : tensor<?x8xf32>
  %f = lowbit.weight @f : tensor<8xbf16>
  // The head shares its table with the embedding.
  // KEEP: %[[F:.+]] = lowbit.weight @f
  // KEEP: lowbit.rms_norm %{{.+}}, %[[F]] eps
  // UNTIE: lowbit.rms_norm %{{.+}}, %[[ONES]] eps
  // UNTIE: lowbit.transform_weight %{{.+}} dim = 1 by diagonal(%{{.+}} : tensor<8xbf16>) : tensor<16x8xbf16> -> tensor<16x8xf32>
  %m = lowbit.rms_norm %s, %f eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xbf16>
  %h = lowbit.linear %m, %e activation = <f32> : tensor<?x8xf32>, tensor<16x8xbf16> -> tensor<?x16xf32>
  return %h : tensor<?x16xf32>
}

// A norm that something else reads keeps its scale.
// CHECK-LABEL: func.func @mixed
func.func @mixed(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %g = lowbit.weight @g : tensor<8xbf16>
  // CHECK: %[[G:.+]] = lowbit.weight @g
  // CHECK: lowbit.rms_norm %{{.+}}, %[[G]] eps
  %n = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xbf16>
  %w = lowbit.weight @w : tensor<12x8xbf16>
  %d = lowbit.weight @d : tensor<8x12xbf16>
  %y = lowbit.linear %n, %w activation = <f32> : tensor<?x8xf32>, tensor<12x8xbf16> -> tensor<?x12xf32>
  %z = lowbit.linear %y, %d activation = <f32> : tensor<?x12xf32>, tensor<8x12xbf16> -> tensor<?x8xf32>
  %s = lowbit.add %n, %z : tensor<?x8xf32>
  return %s : tensor<?x8xf32>
}
