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
    chosen (`nearest`, `search`, `gptq`, `em`, `viterbi`, `given`); the options of a solver are in
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

def Lowbit_TransformWeightOp : Lowbit_Op<"transform_weight", [Pure]> {
  let summary = "one dimension of a weight times a matrix of a known kind";
  let description = [{
    The weight side of `lowbit.transform`. `dim = 1`: W · T, every row is
    transformed. `dim = 0`: Tᵀ · W, every column is (of a vector b: b · T). Numbers
    between weight operations are f64: they are rounded once, where a chain is
    quantized or ends (Spec.md, section 3).

    With y = x · Wᵀ + b: `(x · T) · Wᵀ = x · (W · Tᵀ)ᵀ` and
    `y · T = x · (Tᵀ · W)ᵀ + b · T`.

    Constraints:

    - (C1) `dim` is 0 or 1, for a vector 0; the weight has at most two dimensions.
    - (C2) the transform takes the size of that dimension and these matrices.
    - (C3) the result is f32, its shape the input's but for that dimension, which
      is what the transform gives.

    Example: `%1 = lowbit.transform_weight %0 dim = 1 by hadamard<block = 64, seed = 1, transposed> : tensor<768x256xbf16> -> tensor<768x256xf32>`
  }];
  let arguments = (ins Lowbit_Plain:$input, I64Attr:$dim,
                       Lowbit_TransformInterface:$transform,
                       Variadic<Lowbit_Plain>:$matrices);
  let results = (outs Lowbit_PlainOf<[F32]>:$result);
  let assemblyFormat = [{
    $input `dim` `=` $dim `by` custom<Kind>($transform) (`(` $matrices^ `:` type($matrices) `)`)? attr-dict
    `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Lowbit_SpreadOp : Lowbit_Op<"spread",
    [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "equal copies of a column moved apart by parts of a step";
  let description = [{
    The rounding-aware channel split. Columns that `copies` takes k times hold w / k
    (a gather, transposed and averaged); copy t of them becomes
    `w / k + ((t − (k−1)/2) / k) · s`, s the step of `format` for the group, solved by
    `nearest` behind this operation. The sum over copies stays w, and the sum of the
    copies' codes is that of w rounded half up, ties included; Spec.md, section 3.

    Constraints:

    - (C1) `copies` is not transposed, and gives the columns of the input.
    - (C2) `format` has at least 2 bits, groups of columns and scales in f16.
    - (C3) the copies of a column follow each other and lie in one group; there are
      at most 8.

    Example: `%1 = lowbit.spread %0 copies = <columns = 31, runs = [0, 5, 4, 27]> format = <2, group = 32, scale = f16, offset = half> : tensor<8x32xf32>`
  }];
  let arguments = (ins Lowbit_PlainOf<[F32]>:$input, Lowbit_GatherAttr:$copies,
                       Lowbit_IntAttr:$format);
  let results = (outs Lowbit_PlainOf<[F32]>:$result);
  let assemblyFormat = [{
    $input `copies` `=` $copies `format` `=` $format attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
}

def Lowbit_TransposeOp : Lowbit_Op<"transpose", [Pure]> {
  let summary = "a matrix with rows and columns exchanged";
  let description = [{
    Constraints:

    - (C1) input and result are matrices of one element type, the result's shape
      the input's turned round.

    Example: `%1 = lowbit.transpose %0 : tensor<64x32xf32> -> tensor<32x64xf32>`
  }];
  let arguments = (ins Lowbit_Plain:$input);
  let results = (outs Lowbit_Plain:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Lowbit_InvertOp : Lowbit_Op<"invert", [Pure, AllShapesMatch<["input", "result"]>]> {
  let summary = "the inverse of a matrix, the reciprocals of a vector";
  let description = [{
    Computed in f64 (Spec.md, section 3). A vector stands for the diagonal matrix
    that `#lowbit.diagonal` makes of it.

    Constraints:

    - (C1) the input is a vector or a square matrix.

    Example: `%1 = lowbit.invert %0 : tensor<64x64xf32> -> tensor<64x64xf32>`
  }];
  let arguments = (ins Lowbit_Plain:$input);
  let results = (outs Lowbit_PlainOf<[F32]>:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Lowbit_FillOp : Lowbit_Op<"fill", [Pure]> {
  let summary = "a tensor of one value";
  let description = [{
    The gain of a norm whose scale was folded: ones.

    Constraints:

    - (C1) the value is finite; the result is static.

    Example: `%g = lowbit.fill 1.0 : tensor<256xf32>`
  }];
  let arguments = (ins F32Attr:$value);
  let results = (outs Lowbit_PlainOf<[F32]>:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Lowbit_ConstantOp : Lowbit_Op<"constant", [Pure]> {
  let summary = "a short vector of numbers that a pass found";
  let description = [{
    Channel scales and the like: a number for each column. Weights are parameters.

    Constraints:

    - (C1) the value is a dense vector of finite f32 of the result's type.

    Example: `%s = lowbit.constant dense<[1.0, 0.5]> : tensor<2xf32> -> tensor<2xf32>`
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Lowbit_PlainOf<[F32]>:$result);
  let assemblyFormat = "$value attr-dict `->` type($result)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::llvm::ArrayRef<float>":$values)>];
}

def Lowbit_OrthonormalizeOp : Lowbit_Op<"orthonormalize", [Pure, AllShapesMatch<["input", "result"]>]> {
  let summary = "the orthogonal matrix next to one that nearly is";
  let description = [{
    What is learned in f32 is orthogonal to seven digits; that of which the transpose
    shall be the inverse must be to sixteen. X ← 1.5 X − 0.5 X XᵀX in f64, five times
    (Spec.md, section 3).

    Constraints:

    - (C1) the input is a square matrix.

    Example: `%r = lowbit.orthonormalize %0 : tensor<64x64xf32> -> tensor<64x64xf32>`
  }];
  let arguments = (ins Lowbit_Plain:$input);
  let results = (outs Lowbit_PlainOf<[F32]>:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Lowbit_ExpandDiagonalOp : Lowbit_Op<"expand_diagonal", [Pure]> {
  let summary = "the matrix that has a vector on its diagonal";
  let description = [{
    Constraints:

    - (C1) the input is a vector of n elements, the result n × n.

    Example: `%m = lowbit.expand_diagonal %g : tensor<256xbf16> -> tensor<256x256xf32>`
  }];
  let arguments = (ins Lowbit_Plain:$input);
  let results = (outs Lowbit_PlainOf<[F32]>:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

#endif // LOWBIT_IR_LOWBITPARAMETEROPS_TD
