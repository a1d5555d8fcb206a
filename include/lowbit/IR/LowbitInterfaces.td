//===- LowbitInterfaces.td - What every format offers ------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITINTERFACES_TD
#define LOWBIT_IR_LOWBITINTERFACES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def Lowbit_FormatInterface : AttrInterface<"FormatInterface"> {
  let cppNamespace = "::lowbit";
  let description = [{
    The encoding of a quantized weight. A format knows the exact size of its
    stored buffer, the layout it is stored in and its short name; it knows
    nothing of targets or kernels beyond the decode shape it offers.
  }];
  let methods = [
    InterfaceMethod<
      "Bytes of the stored buffer of a rows x columns weight, payload and "
      "padding apart (Spec.md, 1.2 and 2). None where a size overflows.",
      "std::optional<::lowbit::StoredSize>", "getStoredSize",
      (ins "int64_t":$rows, "int64_t":$columns)>,
    InterfaceMethod<
      "Bytes that one lane (row) holds in a vector of the layout.",
      "int64_t", "getLaneBytes", (ins)>,
    InterfaceMethod<
      "How packed words become numbers: the decode shape that kernel families "
      "match on (`digits`, later `table`, `bits`, `floats`, `trellis`).",
      "::llvm::StringRef", "getDecodeShape", (ins)>,
    InterfaceMethod<
      "Name in recipes, reports and kernel names, e.g. `int4-g64`.",
      "std::string", "getShortName", (ins)>,
  ];
}

#endif // LOWBIT_IR_LOWBITINTERFACES_TD
