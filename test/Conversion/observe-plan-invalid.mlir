// RUN: lowbit-opt %s --split-input-file --convert-lowbit-to-plan --verify-diagnostics

func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>, %x: tensor<?x8xf32>) {
  %0 = lowbit.select_rows %x, %select : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x8xf32>
  // expected-error @+1 {{of selected rows is not served}}
  lowbit.observe %0 moments = "full" as ["a"] : tensor<?x8xf32>
  return
}

// -----

func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>, %x: tensor<?x8xf32>) -> tensor<?x4xf32> {
  lowbit.observe %x moments = "full" as ["a"] : tensor<?x8xf32>
  %0 = lowbit.slice %x at 2 : tensor<?x8xf32> -> tensor<?x4xf32>
  // expected-error @+1 {{of a part requires one value, whole rows that an operation computes}}
  return %0 : tensor<?x4xf32>
}

// -----

// Attention would turn the rows that are observed behind it.
func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>, %x: tensor<?x8xf32>) {
  %r = lowbit.rotary %x, %rows frequencies = [1.0, 0.5] : tensor<?x8xf32>, tensor<?x2xi32>
  // expected-error @+1 {{requires query and key from rotary embeddings}}
  %t = lowbit.attention %r, %r, %x, %rows layer = 0 heads = 2 kv_heads = 2 scale = 0.5 cache = f16
    : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  lowbit.observe %r moments = "none" as ["attention.0.query"] : tensor<?x8xf32>
  return
}
