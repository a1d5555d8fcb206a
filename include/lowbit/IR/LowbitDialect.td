//===- LowbitDialect.td - The lowbit dialect ---------------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITDIALECT_TD
#define LOWBIT_IR_LOWBITDIALECT_TD

include "mlir/IR/DialectBase.td"

def Lowbit_Dialect : Dialect {
  let name = "lowbit";
  let summary = "Decoder-only language models with weights of a few bits";
  let description = [{
    One dialect from import to plan. The model is a function over tensors; its
    weights are `lowbit.parameter` symbols that name a file, an offset and a
    type, so no weight bytes live in the IR. A quantized weight is a tensor
    whose encoding is a format (`#lowbit.int`); where its bytes lie is a layout
    (`#lowbit.layout`), fixed later and independent of the format.
  }];
  let cppNamespace = "::lowbit";
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    /// Adds the attributes; defined beside them.
    void registerAttributes();
  }];
}

#endif // LOWBIT_IR_LOWBITDIALECT_TD
