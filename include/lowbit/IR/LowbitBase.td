//===- LowbitBase.td - What all operations share -----------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITBASE_TD
#define LOWBIT_IR_LOWBITBASE_TD

include "lowbit/IR/LowbitAttrs.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Lowbit_Op<string opMnemonic, list<Trait> traits = []>
    : Op<Lowbit_Dialect, opMnemonic, traits>;

/// A batch of rows: tensor<?xKxf32>.
def Lowbit_Rows : TensorOf<[F32]>;
/// A matrix of weights, with or without a format.
def Lowbit_Weight : RankedTensorOf<[F32, F16, BF16]>;
/// A vector of parameters (gain, bias).
def Lowbit_Vector : 1DTensorOf<[F32, F16, BF16]>;
/// A tensor of weights as it is in a checkpoint: without a format.
class Lowbit_PlainOf<list<Type> elementTypes> : RankedTensorOf<elementTypes,
    [CPred<"!::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding()">],
    "ranked tensor without a format">;
def Lowbit_Plain : Lowbit_PlainOf<[F32, F16, BF16]>;
/// tensor<?xi32>: token ids, row indices.
def Lowbit_Indices : 1DTensorOf<[I32]>;
/// tensor<?x2xi32>: (sequence, position) of each row.
def Lowbit_Positions : 2DTensorOf<[I32]>;

#endif // LOWBIT_IR_LOWBITBASE_TD
