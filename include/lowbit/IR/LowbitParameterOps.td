//===- LowbitParameterOps.td - The weight side -------------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITPARAMETEROPS_TD
#define LOWBIT_IR_LOWBITPARAMETEROPS_TD

include "lowbit/IR/LowbitBase.td"

def Lowbit_ParameterOp : Lowbit_Op<"parameter",
    [Symbol, IsolatedFromAbove, SingleBlock]> {
  let summary = "a tensor of the model, by reference";
  let description = [{
    Names a tensor of parameters. Its bytes are in a file (`source`), or are
    computed once when the artifact is written, by the chain of weight
    operations in `init`, whose `lowbit.yield` gives the tensor.

    Constraints:

    - (C1) it has a `source` or a non-empty `init`, not both.
    - (C2) `init` ends in a `lowbit.yield` of the parameter's type.
    - (C3) the type is a ranked static tensor of f32, f16 or bf16.
    - (C4) with a `source`, `bytes` is the size that type and layout give.
    - (C5) a type with a format has a layout once bytes exist (`source`).

    Example:

    ```mlir
    lowbit.parameter @embed : tensor<4096x256xbf16>
      source <"model.safetensors", "model.embed_tokens.weight", offset = 1024, bytes = 2097152>
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    TypeAttrOf<AnyRankedTensor>:$type,
    OptionalAttr<Lowbit_SourceAttr>:$source,
    OptionalAttr<Lowbit_LayoutAttr>:$layout);
  let regions = (region AnyRegion:$init);
  let assemblyFormat = [{
    $sym_name `:` $type (`source` $source^)? (`layout` $layout^)? attr-dict-with-keyword
    `` custom<Init>($init)
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// The parameter's type as the ranked tensor that C3 makes it.
    ::mlir::RankedTensorType getTensorType() {
      return ::llvm::cast<::mlir::RankedTensorType>(getType());
    }
    /// Bytes of a tensor of `type` stored in `layout` (null: row-major).
    static std::optional<int64_t> getStoredBytes(::mlir::RankedTensorType type,
                                                 LayoutAttr layout);
  }];
}

def Lowbit_YieldOp : Lowbit_Op<"yield", [Pure, Terminator, HasParent<"ParameterOp">]> {
  let summary = "the tensor that a chain of weight operations gives";
  let arguments = (ins Lowbit_Weight:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def Lowbit_WeightOp : Lowbit_Op<"weight",
    [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "use a parameter";
  let description = [{
    Constraints:

    - (C1) `parameter` names a `lowbit.parameter` of the result's type.

    Example: `%w = lowbit.weight @embed : tensor<4096x256xbf16>`
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter);
  let results = (outs Lowbit_Weight:$result);
  let assemblyFormat = "$parameter attr-dict `:` type($result)";
}

def Lowbit_QuantizeOp : Lowbit_Op<"quantize", [Pure]> {
  let summary = "round a weight to a format";
  let description = [{
    The one lossy operation on weights. `solver` says how codes and scales are
    chosen (`nearest`, `search`, `gptq`, `viterbi`, `given`); the options of a solver are in
    `options`.

    Constraints:

    - (C1) the result's type has a format; the input's has none.
    - (C2) both have the same shape.
    - (C3) `solver` is known.

    Example:

    ```mlir
    %q = lowbit.quantize %w solver "search" {candidates = 24}
      : tensor<768x256xbf16> -> tensor<768x256xf32, #lowbit.int<4, group = 64, scale = f16, offset = half>>
    ```
  }];
  let arguments = (ins
    Lowbit_Weight:$input,
    StrAttr:$solver,
    OptionalAttr<DictionaryAttr>:$options);
  let results = (outs Lowbit_Weight:$result);
  let assemblyFormat = [{
    $input `solver` $solver (`options` $options^)? attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Lowbit_ConcatOp : Lowbit_Op<"concat", [Pure]> {
  let summary = "stack weights on top of each other";
  let description = [{
    Rows of all inputs in order: how linears that share an input become one.
    Vectors (biases) are stacked the same way.

    Constraints:

    - (C1) at least two inputs, none with a format.
    - (C2) all shapes agree but for the first dimension, and the result has
      their sum there.
    - (C3) all element types are the same.
  }];
  let arguments = (ins Variadic<Lowbit_Weight>:$inputs);
  let results = (outs Lowbit_Weight:$result);
  let assemblyFormat = "$inputs attr-dict `:` type($inputs) `->` type($result)";
  let hasVerifier = 1;
}

/// A tensor of weights as it is in a checkpoint: without a format.
class Lowbit_PlainOf<list<Type> elementTypes> : RankedTensorOf<elementTypes,
    [CPred<"!::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding()">],
    "ranked tensor without a format">;

def Lowbit_WidenOp : Lowbit_Op<"widen",
    [Pure, AllShapesMatch<["input", "result"]>]> {
  let summary = "the same numbers as f32";
  let description = [{
    Exact. Vectors of parameters (norm gains, biases) are stored as f32 whatever
    the checkpoint has; this op says so where the chain of a parameter ends.

    Example: `%g = lowbit.widen %0 : tensor<256xbf16> -> tensor<256xf32>`
  }];
  let arguments = (ins Lowbit_PlainOf<[F16, BF16]>:$input);
  let results = (outs Lowbit_PlainOf<[F32]>:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
}

#endif // LOWBIT_IR_LOWBITPARAMETEROPS_TD
