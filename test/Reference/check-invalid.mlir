// RUN: split-file %s %t
// RUN: not lowbit-reference %t/expect_eq_c1.mlir 2>&1 | FileCheck %s --check-prefix=EQ-C1
// RUN: not lowbit-reference %t/expect_close_c1.mlir 2>&1 | FileCheck %s --check-prefix=CLOSE-C1
// RUN: not lowbit-reference %t/expect_close_c2.mlir 2>&1 | FileCheck %s --check-prefix=CLOSE-C2

//--- expect_eq_c1.mlir
// EQ-C1: compares a 'tensor<2xf32>' with a 'tensor<3xf32>'
func.func @expect_eq_c1(%x: tensor<2xf32>) {
  check.expect_eq %x, dense<1.0> : tensor<3xf32> : tensor<2xf32>
  return
}

//--- expect_close_c1.mlir
// CLOSE-C1: compares a 'tensor<2xf32>' with a 'tensor<1x2xf32>'
func.func @expect_close_c1(%x: tensor<2xf32>) {
  check.expect_close %x, dense<1.0> : tensor<1x2xf32> tolerance = 1.0 : tensor<2xf32>
  return
}

//--- expect_close_c2.mlir
// CLOSE-C2: requires a tolerance that is not negative, got -1
func.func @expect_close_c2(%x: tensor<2xf32>) {
  check.expect_close %x, dense<1.0> : tensor<2xf32> tolerance = -1.0 : tensor<2xf32>
  return
}
