// RUN: lowbit-opt %s --split-input-file --convert-lowbit-to-plan="max-rows=4 context=64 sequences=1" | FileCheck %s

// A middle part: rows come in `hidden`, which the residual linear updates in
// place; moments have no arena; a sample is as many rows as are selected.

// CHECK-DAG: lowbit.kernel @second_moments_8 family "second_moments" {columns = 8 : i64, x_offset = 0 : i64, x_stride = 8 : i64}
// CHECK-DAG: lowbit.kernel @select_rows_8 family "select_rows" {columns = 8 : i64, x_offset = 0 : i64, x_stride = 8 : i64}
// CHECK-DAG: lowbit.kernel @linear_8x8_f32_residual_m1
// CHECK: lowbit.plan @x86_64 limits = [4, 4, 1, 1, 1]
// CHECK: lowbit.buffer "hidden" "output" bytes = [128, 0, 0, 0] at 0
// CHECK: lowbit.buffer "h.a" "output" bytes = [256, 0, 0, 0] at 0
// CHECK: lowbit.buffer "sample.a" "output" bytes = [128, 0, 0, 0] at 0
// CHECK: lowbit.entry rows 1 to 1
// CHECK: lowbit.call @second_moments_8 count "rows" items = [1, 0, 0, 0] buffers = [4, {{[0-9]+}}] offsets = [0, 0] bytes = [0, 32, 0, 0, 256, 0, 0, 0] access = ["r", "rw"]
// CHECK: lowbit.call @select_rows_8 count "logits" items = [0, 0, 1, 0] buffers = [4, 2, {{[0-9]+}}] offsets = [0, 0, 0] bytes = [0, 32, 0, 0, 0, 0, 4, 0, 0, 0, 32, 0] access = ["r", "r", "w"]
// CHECK: lowbit.call @linear_8x8_f32_residual_m1 count "rows" {{.+}} access = ["r", "r", "r", "w"]
lowbit.parameter @a : tensor<8x8xf32> source <"m.safetensors", "a", offset = 64, bytes = 512> layout <tile_rows = 16, lane_bytes = 4>
func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %a = lowbit.weight @a : tensor<8x8xf32>
  lowbit.observe %x moments = "full" as ["a"] : tensor<?x8xf32>
  %0 = lowbit.linear %x, %a activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  %1 = lowbit.add %x, %0 : tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// -----

// Rows that are not updated in place go to `hidden.out`; queries and keys are
// turned for whoever looks at them, before attention turns its own.

// CHECK-DAG: lowbit.kernel @rotary_8 family "rotary" {columns = 8 : i64, head_dim = 4 : i64,
// CHECK-DAG: lowbit.kernel @diagonal_moments_8 family "diagonal_moments"
// CHECK: lowbit.buffer "hidden" "output"
// CHECK: lowbit.buffer "hidden.out" "output" bytes = [128, 0, 0, 0] at 0
// CHECK: lowbit.buffer "h.a" "output" bytes = [32, 0, 0, 0] at 0
// CHECK: lowbit.entry rows 1 to 1
// CHECK: lowbit.call @rotary_table_2
// CHECK: lowbit.call @rotary_8
// CHECK: lowbit.call @rotary_cache_8
// CHECK: lowbit.call @attention_8
// CHECK: lowbit.call @diagonal_moments_8
lowbit.parameter @a : tensor<8x8xf32> source <"m.safetensors", "a", offset = 64, bytes = 512> layout <tile_rows = 16, lane_bytes = 4>
lowbit.parameter @g : tensor<8xf32> source <"m.safetensors", "g", offset = 64, bytes = 32>
func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %g = lowbit.weight @g : tensor<8xf32>
  %n = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %r = lowbit.rotary %n, %rows frequencies = [1.0, 0.5] : tensor<?x8xf32>, tensor<?x2xi32>
  lowbit.observe %r moments = "none" as ["attention.0.query"] : tensor<?x8xf32>
  %m = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %k = lowbit.rotary %m, %rows frequencies = [1.0, 0.5] : tensor<?x8xf32>, tensor<?x2xi32>
  %t = lowbit.attention %r, %k, %m, %rows layer = 0 heads = 2 kv_heads = 2 scale = 0.5 cache = f16
    : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  lowbit.observe %t moments = "diagonal" as ["a"] : tensor<?x8xf32>
  return %t : tensor<?x8xf32>
}
