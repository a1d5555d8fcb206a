// RUN: not lowbit-reference %s --weights=%S 2>&1 | FileCheck %s

// What the interpreter refuses, and how it says so.

lowbit.parameter @searched : tensor<1x4xf32, #lowbit.int<4, group = 32, scale = f16, offset = half>> init {
  %0 = arith.constant dense<1.0> : tensor<1x4xf32>
  %1 = lowbit.quantize %0 solver "search" : tensor<1x4xf32> -> tensor<1x4xf32, #lowbit.int<4, group = 32, scale = f16, offset = half>>
  lowbit.yield %1 : tensor<1x4xf32, #lowbit.int<4, group = 32, scale = f16, offset = half>>
}
// CHECK: @test_search: module: @searched: is quantized by the solver "search", the interpreter evaluates only "nearest": materialize the module first
func.func @test_search() {
  %0 = lowbit.weight @searched : tensor<1x4xf32, #lowbit.int<4, group = 32, scale = f16, offset = half>>
  return
}

lowbit.parameter @overflow : tensor<1x4xf32, #lowbit.int<2, group = 32, scale = f16, offset = integer>> init {
  %0 = arith.constant dense<1.0e6> : tensor<1x4xf32>
  %1 = lowbit.quantize %0 solver "nearest" : tensor<1x4xf32> -> tensor<1x4xf32, #lowbit.int<2, group = 32, scale = f16, offset = integer>>
  lowbit.yield %1 : tensor<1x4xf32, #lowbit.int<2, group = 32, scale = f16, offset = integer>>
}
// CHECK: @test_overflow: overflow: scale of row 0, group 0: is 1000000.000000, more than an f16 can hold (65504)
func.func @test_overflow() {
  %0 = lowbit.weight @overflow : tensor<1x4xf32, #lowbit.int<2, group = 32, scale = f16, offset = integer>>
  return
}

lowbit.parameter @cycle : tensor<2xf32> init {
  %0 = lowbit.weight @cycle : tensor<2xf32>
  lowbit.yield %0 : tensor<2xf32>
}
// CHECK: @test_cycle: module: @cycle: is computed from itself
func.func @test_cycle() {
  %0 = lowbit.weight @cycle : tensor<2xf32>
  return
}

lowbit.parameter @absent : tensor<2xf32> source <"absent.safetensors", "w", offset = 0, bytes = 8>
// CHECK: @test_absent: {{.*}}absent.safetensors: cannot open
func.func @test_absent() {
  %0 = lowbit.weight @absent : tensor<2xf32>
  return
}

// CHECK: @test_ids: ids: 1: is 2, must be from 0 to 1
func.func @test_ids() {
  %0 = arith.constant dense<[1, 2]> : tensor<2xi32>
  %1 = arith.constant dense<1.0> : tensor<2x3xf32>
  %2 = lowbit.embedding %0, %1 : tensor<2xi32>, tensor<2x3xf32> -> tensor<2x3xf32>
  return
}

// CHECK: @test_gap: rows: position of row 0: is 1, sequence 0 has positions below 0
func.func @test_gap() {
  %0 = arith.constant dense<1.0> : tensor<1x2xf32>
  %1 = arith.constant dense<[[0, 1]]> : tensor<1x2xi32>
  %2 = lowbit.attention %0, %0, %0, %1 layer = 0 heads = 1 kv_heads = 1 scale = 1.0 cache = f16 : tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xi32>
  return
}

// CHECK: @test_unknown: module: @test_unknown: has an operation that the interpreter does not know: arith.addf
func.func @test_unknown() {
  %0 = arith.constant dense<1.0> : tensor<1x2xf32>
  %1 = arith.addf %0, %0 : tensor<1x2xf32>
  return
}

// CHECK: 0 of 7 functions passed, 0 elements compared
