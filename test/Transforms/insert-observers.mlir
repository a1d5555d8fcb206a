// RUN: lowbit-opt %s --lowbit-insert-observers=moments=full | FileCheck %s
// RUN: lowbit-opt %s --lowbit-insert-observers | FileCheck %s --check-prefix=DIAGONAL
// RUN: lowbit-opt %s --lowbit-insert-observers=attention=false | FileCheck %s --check-prefix=INPUTS

// INPUTS-COUNT-2: lowbit.observe {{.+}} moments = "diagonal"
// INPUTS-NOT: lowbit.observe
// DIAGONAL: lowbit.observe {{.+}} moments = "diagonal" as ["q.weight", "k.weight"]
// DIAGONAL: lowbit.observe {{.+}} moments = "none" as ["attention.3.query"]

lowbit.parameter @table : tensor<32x8xf32> source <"m.safetensors", "embed.weight", offset = 64, bytes = 1024>
lowbit.parameter @gain : tensor<8xf32> source <"m.safetensors", "norm.weight", offset = 64, bytes = 32>
lowbit.parameter @q : tensor<8x8xf32> source <"m.safetensors", "q.weight", offset = 64, bytes = 256>
lowbit.parameter @k : tensor<8x8xf32> source <"m.safetensors", "k.weight", offset = 64, bytes = 256>
// CHECK-LABEL: @forward
func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>) -> tensor<?x32xf32> {
  %table = lowbit.weight @table : tensor<32x8xf32>
  %gain = lowbit.weight @gain : tensor<8xf32>
  // CHECK: %[[X:.+]] = lowbit.embedding
  %x = lowbit.embedding %ids, %table : tensor<?xi32>, tensor<32x8xf32> -> tensor<?x8xf32>
  // CHECK: %[[N:.+]] = lowbit.rms_norm %[[X]]
  %n = lowbit.rms_norm %x, %gain eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %wq = lowbit.weight @q : tensor<8x8xf32>
  // Names are the checkpoint's, two linears share one observation.
  // CHECK: lowbit.observe %[[N]] moments = "full" as ["q.weight", "k.weight"] : tensor<?x8xf32>
  // CHECK-NEXT: lowbit.linear %[[N]]
  %0 = lowbit.linear %n, %wq activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  %wk = lowbit.weight @k : tensor<8x8xf32>
  // CHECK: %[[V:.+]] = lowbit.linear %[[N]]
  %1 = lowbit.linear %n, %wk activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  // CHECK: %[[Q:.+]] = lowbit.rotary
  %2 = lowbit.rotary %0, %rows frequencies = [1.0, 0.5] : tensor<?x8xf32>, tensor<?x2xi32>
  // CHECK: %[[K:.+]] = lowbit.rotary
  %3 = lowbit.rotary %1, %rows frequencies = [1.0, 0.5] : tensor<?x8xf32>, tensor<?x2xi32>
  // CHECK-NEXT: lowbit.observe %[[Q]] moments = "none" as ["attention.3.query"]
  // CHECK-NEXT: lowbit.observe %[[K]] moments = "none" as ["attention.3.key"]
  // CHECK-NEXT: lowbit.observe %[[V]] moments = "none" as ["attention.3.value"]
  // CHECK-NEXT: %[[A:.+]] = lowbit.attention
  %4 = lowbit.attention %2, %3, %1, %rows layer = 3 heads = 2 kv_heads = 2 scale = 0.5 cache = f16
    : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  %5 = lowbit.select_rows %4, %select : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x8xf32>
  %6 = lowbit.rms_norm %5, %gain eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  // All rows are normalized and observed, not the selected ones.
  // CHECK: %[[ALL:.+]] = lowbit.rms_norm %[[A]]
  // CHECK-NEXT: lowbit.observe %[[ALL]] moments = "full" as ["embed.weight"]
  // CHECK-NEXT: lowbit.linear
  %7 = lowbit.linear %6, %table activation = <f32> : tensor<?x8xf32>, tensor<32x8xf32> -> tensor<?x32xf32>
  return %7 : tensor<?x32xf32>
}
