//===- CheckOps.td - Expectations in tests -----------------*- tablegen -*-===//
#ifndef LOWBIT_REFERENCE_CHECKOPS_TD
#define LOWBIT_REFERENCE_CHECKOPS_TD

include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpBase.td"

def Check_Dialect : Dialect {
  let name = "check";
  let summary = "Expectations that the interpreter tests";
  let description = [{
    Only tests use it. The function that holds these operations is always run by
    the reference interpreter.
  }];
  let cppNamespace = "::lowbit::check";
}

class Check_Op<string mnemonic> : Op<Check_Dialect, mnemonic>;

def Check_ExpectEqOp : Check_Op<"expect_eq"> {
  let summary = "every element equals the expected one";
  let description = [{
    Equal bits, except that any NaN equals any NaN. A weight is decoded first.

    Constraints:

    - (C1) value and expected have the same shape.

    Example: `check.expect_eq %y, dense<[[1.0, 2.0]]> : tensor<1x2xf32> : tensor<1x2xf32>`
  }];
  let arguments = (ins AnyRankedTensor:$value, ElementsAttr:$expected);
  let assemblyFormat = "$value `,` $expected attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Check_ExpectCloseOp : Check_Op<"expect_close"> {
  let summary = "every element is within a tolerance of the expected one";
  let description = [{
    `|value − expected| ≤ tolerance`; NaN is never close.

    Constraints:

    - (C1) value and expected have the same shape.
    - (C2) `tolerance` is not negative.

    Example: `check.expect_close %y, dense<[[1.0, 2.0]]> : tensor<1x2xf32> tolerance = 1.0e-6 : tensor<1x2xf32>`
  }];
  let arguments = (ins AnyRankedTensor:$value, ElementsAttr:$expected,
                       F64Attr:$tolerance);
  let assemblyFormat = [{
    $value `,` $expected `tolerance` `=` $tolerance attr-dict `:` type($value)
  }];
  let hasVerifier = 1;
}

#endif // LOWBIT_REFERENCE_CHECKOPS_TD
