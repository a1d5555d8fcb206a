// RUN: lowbit-opt %s --lowbit-flip-signs="sites=input seed=3" | FileCheck %s --check-prefix=INPUT
// RUN: lowbit-opt %s --lowbit-flip-signs="sites=gated bits=3a5" | FileCheck %s --check-prefix=GATED
// RUN: not lowbit-opt %s --lowbit-flip-signs=bits=xy 2>&1 | FileCheck %s --check-prefix=BITS
// RUN: not lowbit-opt %s --lowbit-flip-signs=seed=-1 2>&1 | FileCheck %s --check-prefix=SEED
// BITS: bits 'xy' must be hexadecimal digits
// SEED: seed -1 must be from 0 to

lowbit.parameter @g : tensor<8xf32> source <"m", "g", offset = 0, bytes = 32>
lowbit.parameter @up : tensor<12x8xf32> source <"m", "up", offset = 0, bytes = 384>
lowbit.parameter @upb : tensor<12xf32> source <"m", "upb", offset = 0, bytes = 48>
lowbit.parameter @gate : tensor<12x8xf32> source <"m", "gate", offset = 0, bytes = 384>
lowbit.parameter @down : tensor<8x12xf32> source <"m", "down", offset = 0, bytes = 384>

func.func @block(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // INPUT: %[[H:.+]] = lowbit.transform_weight %{{.+}} dim = 0 by signs<block = 8, seed = 3> : tensor<8xf32>
  // INPUT: lowbit.rms_norm %{{.+}}, %[[H]]
  // INPUT: lowbit.transform_weight %{{.+}} dim = 1 by signs<block = 8, seed = 3> : tensor<12x8xf32>
  // INPUT: lowbit.transform_weight %{{.+}} dim = 1 by signs<block = 8, seed = 3> : tensor<12x8xf32>
  // INPUT-NOT: lowbit.transform
  %g = lowbit.weight @g : tensor<8xf32>
  %n = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %wg = lowbit.weight @gate : tensor<12x8xf32>
  %wu = lowbit.weight @up : tensor<12x8xf32>
  %bu = lowbit.weight @upb : tensor<12xf32>
  %wd = lowbit.weight @down : tensor<8x12xf32>
  // GATED: lowbit.linear %{{.+}}, %{{.+}} activation
  // GATED-DAG: lowbit.transform_weight %{{.+}} dim = 0 by signs<block = 12, bits = "3a5"> : tensor<12x8xf32>
  // GATED-DAG: lowbit.transform_weight %{{.+}} dim = 0 by signs<block = 12, bits = "3a5"> : tensor<12xf32>
  // GATED: lowbit.linear %{{.+}}, %{{.+}} bias
  // GATED: lowbit.gate
  // GATED-NEXT: lowbit.weight @down
  // GATED-NEXT: lowbit.transform_weight %{{.+}} dim = 1 by signs<block = 12, bits = "3a5"> : tensor<8x12xf32>
  // GATED-NOT: lowbit.transform
  %a = lowbit.linear %n, %wg activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  %u = lowbit.linear %n, %wu bias %bu : tensor<12xf32> activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  %gu = lowbit.gate %a, %u : tensor<?x12xf32>
  %d = lowbit.linear %gu, %wd activation = <f32> : tensor<?x12xf32>, tensor<8x12xf32> -> tensor<?x8xf32>
  return %d : tensor<?x8xf32>
}
