// RUN: not lowbit-reference %s 2>&1 | FileCheck %s

// What a failed expectation says, and that it makes the run fail.

// CHECK: check-failures.mlir:[[#@LINE+3]]:3: @test_bits: 1 of 2 elements differ, first [0, 1]: is 2 (0x1p+1), expected 2.00000024 (0x1.000002p+1)
func.func @test_bits() {
  %0 = arith.constant dense<[[1.0, 2.0]]> : tensor<1x2xf32>
  check.expect_eq %0, dense<[[1.0, 2.00000024]]> : tensor<1x2xf32> : tensor<1x2xf32>
  return
}

// CHECK: @test_signed_zero: 1 of 2 elements differ, first [0, 0]: is 0
func.func @test_signed_zero() {
  %0 = arith.constant dense<0.0> : tensor<2xf32>
  check.expect_eq %0, dense<[-0.0, 0.0]> : tensor<2xf32> : tensor<2xf32>
  return
}

// CHECK: @test_tolerance: 1 of 2 elements differ, first [1, 0]: is 2 {{.*}}, expected 2.5 {{.*}} within 0.25
func.func @test_tolerance() {
  %0 = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  check.expect_close %0, dense<[1.25, 2.5]> : tensor<2xf32> tolerance = 0.25 : tensor<2xf32>
  return
}

// CHECK: @test_nan_is_not_close: 1 of 1 elements differ
func.func @test_nan_is_not_close() {
  %0 = arith.constant dense<0x7FC00000> : tensor<1xf32>
  check.expect_eq %0, dense<0xFFC00001> : tensor<1xf32> : tensor<1xf32>
  check.expect_close %0, dense<0x7FC00000> : tensor<1xf32> tolerance = 1.0 : tensor<1xf32>
  return
}

// CHECK: @test_nothing: compares nothing
func.func @test_nothing() {
  return
}

// CHECK: 0 of 5 functions passed, 8 elements compared
