// RUN: lowbit-opt %s --lowbit-insert-observers --split-input-file --verify-diagnostics
// RUN: not lowbit-opt %s --lowbit-insert-observers=moments=block --split-input-file 2>&1 | FileCheck %s

// CHECK: lowbit-insert-observers: moments 'block' are not known, must be diagonal or full

lowbit.parameter @w : tensor<8x8xf32> source <"m.safetensors", "w", offset = 64, bytes = 256>
func.func @two_inputs(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = lowbit.weight @w : tensor<8x8xf32>
  %0 = lowbit.linear %x, %w activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  // expected-error @+1 {{would be the second observation named 'w'}}
  %1 = lowbit.linear %0, %w activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// -----

func.func @no_parameter(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{has a weight that is no parameter of the checkpoint}}
  %0 = lowbit.linear %x, %w activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
