//===- LowbitPlanOps.td - Kernels and the host schedule ----*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITPLANOPS_TD
#define LOWBIT_IR_LOWBITPLANOPS_TD

include "lowbit/IR/LowbitBase.td"

def Lowbit_KernelOp : Lowbit_Op<"kernel", [Symbol]> {
  let summary = "one kernel to generate";
  let description = [{
    A kernel family (`linear`, `attention`, …) and the parameters that fix one
    instance of it: shapes, format, activation, token bucket. Everything that
    the lowering of the family needs is in `parameters`.

    Example: `lowbit.kernel @gate_768 family "gate" {columns = 768}`
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$family,
                       DictionaryAttr:$parameters);
  let assemblyFormat = "$sym_name `family` $family $parameters attr-dict-with-keyword";
}

def Lowbit_PlanOp : Lowbit_Op<"plan",
    [Symbol, IsolatedFromAbove, SingleBlock, NoTerminator]> {
  let summary = "the host schedule of one target";
  let description = [{
    Buffers, then one `lowbit.entry` for each range of rows. Spec.md, section
    5.3 says what each number means; the same plan goes into the artifact.
    `limits` is [rows, logit rows, sequences, pages, pages per sequence].

    Constraints:

    - (C1) `limits` has five positive numbers.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseI64ArrayAttr:$limits,
                       I64Attr:$scratch);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `limits` `=` $limits `scratch` `=` $scratch attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Lowbit_BufferOp : Lowbit_Op<"buffer", [HasParent<"PlanOp">]> {
  let summary = "a buffer of the plan";
  let description = [{
    `bytes` is affine: [constant, per row, per logit row, per page].

    Constraints:

    - (C1) `bytes` has four numbers, none negative.
    - (C2) `kind` is `input`, `output`, `arena`, `weight` or `cache`; a weight names
      its `parameter`, nothing else does.
  }];
  let arguments = (ins StrAttr:$name, StrAttr:$kind, DenseI64ArrayAttr:$bytes,
                       I64Attr:$offset, OptionalAttr<FlatSymbolRefAttr>:$parameter);
  let assemblyFormat = [{
    $name $kind `bytes` `=` $bytes `at` $offset (`of` $parameter^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Lowbit_EntryOp : Lowbit_Op<"entry",
    [HasParent<"PlanOp">, SingleBlock, NoTerminator]> {
  let summary = "the steps for a range of rows";
  let arguments = (ins I64Attr:$first_row, I64Attr:$last_row, I64Attr:$width);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `rows` $first_row `to` $last_row `width` $width attr-dict-with-keyword $body
  }];
}

def Lowbit_CallOp : Lowbit_Op<"call", [HasParent<"EntryOp">]> {
  let summary = "run a kernel";
  let description = [{
    One step. Argument i is `bytes[4i … 4i+3]` bytes of buffer `buffers[i]` from
    `offsets[i]` on, used as `access[i]` (`r`, `w` or `rw`) says. `plain` names, for
    steps that quantize rows, the kernel that does so from f32 rows alone.

    Constraints:

    - (C1) the arrays of an argument list have equal length (bytes: four times).
    - (C2) `items` has four numbers.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel,
                       OptionalAttr<FlatSymbolRefAttr>:$plain, StrAttr:$count,
                       DenseI64ArrayAttr:$items, DenseI64ArrayAttr:$buffers,
                       DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$bytes,
                       StrArrayAttr:$access);
  let assemblyFormat = [{
    $kernel (`plain` $plain^)? `count` $count `items` `=` $items `buffers` `=` $buffers `offsets` `=` $offsets
    `bytes` `=` $bytes `access` `=` $access attr-dict
  }];
  let hasVerifier = 1;
}

#endif // LOWBIT_IR_LOWBITPLANOPS_TD
