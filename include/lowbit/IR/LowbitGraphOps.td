//===- LowbitGraphOps.td - The graph of a model ------------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITGRAPHOPS_TD
#define LOWBIT_IR_LOWBITGRAPHOPS_TD

include "lowbit/IR/LowbitBase.td"

def Lowbit_EmbeddingOp : Lowbit_Op<"embedding", [Pure]> {
  let summary = "rows of a table";
  let description = [{
    Constraints:

    - (C1) the result is `tensor<RxKxf32>` for ids `tensor<Rxi32>` and a table of
      K columns.

    Example: `%x = lowbit.embedding %ids, %table : tensor<?xi32>, tensor<4096x256xbf16> -> tensor<?x256xf32>`
  }];
  let arguments = (ins Lowbit_Indices:$ids, Lowbit_Weight:$table);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = [{
    $ids `,` $table attr-dict `:` type($ids) `,` type($table) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Lowbit_RmsNormOp : Lowbit_Op<"rms_norm",
    [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "root-mean-square normalization of each row, times a gain";
  let description = [{
    `y = x / sqrt(mean(x²) + eps) · gain`; order of steps in Spec.md, section 3.

    Constraints:

    - (C1) `gain` has as many elements as a row.
    - (C2) `eps` is positive and finite.
  }];
  let arguments = (ins Lowbit_Rows:$input, Lowbit_Vector:$gain, F32Attr:$eps);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = [{
    $input `,` $gain `eps` `=` $eps attr-dict `:` type($input) `,` type($gain)
  }];
  let hasVerifier = 1;
}

def Lowbit_LinearOp : Lowbit_Op<"linear", [Pure]> {
  let summary = "each row times a weight, transposed";
  let description = [{
    `y[m][n] = Σ_k w[n][k] · x[m][k] + bias[n]`. Lowered as one unit: the weight
    is never expanded in memory.

    Constraints:

    - (C1) the input's columns are the weight's columns, the result's columns its
      rows.
    - (C2) `bias` has one element per weight row.
    - (C3) integer activations need a weight with a format, `f32` activations one
      without.

    Example:

    ```mlir
    %y = lowbit.linear %x, %w activation = <i16>
      : tensor<?x256xf32>, tensor<768x256xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>> -> tensor<?x768xf32>
    ```
  }];
  let arguments = (ins Lowbit_Rows:$input, Lowbit_Weight:$weight,
                       Optional<Lowbit_Vector>:$bias,
                       Lowbit_ActivationAttr:$activation);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^ `:` type($bias))? `activation` `=` $activation attr-dict
    `:` type($input) `,` type($weight) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Lowbit_SliceOp : Lowbit_Op<"slice", [Pure]> {
  let summary = "a range of columns of each row";
  let description = [{
    Constraints:

    - (C1) `offset` ≥ 0 and `offset` + the result's columns ≤ the input's columns.
  }];
  let arguments = (ins Lowbit_Rows:$input, I64Attr:$offset);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = "$input `at` $offset attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Lowbit_RotaryOp : Lowbit_Op<"rotary",
    [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotary position embedding";
  let description = [{
    Each head's pairs (i, i + head_dim/2) are turned by position · frequency_i;
    Spec.md, section 3.

    Constraints:

    - (C1) there are head_dim/2 finite frequencies, at least one.
    - (C2) head_dim divides the columns.

    Example: `%r = lowbit.rotary %q, %rows frequencies = [1.0, 0.01] : tensor<?x8xf32>, tensor<?x2xi32>`
  }];
  let arguments = (ins Lowbit_Rows:$input, Lowbit_Positions:$rows,
                       DenseF32ArrayAttr:$frequencies);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = [{
    $input `,` $rows `frequencies` `=` custom<Frequencies>($frequencies) attr-dict `:` type($input) `,` type($rows)
  }];
  let hasVerifier = 1;
}

def Lowbit_AttentionOp : Lowbit_Op<"attention",
    [MemoryEffects<[MemRead, MemWrite]>, AllTypesMatch<["query", "result"]>,
     AllTypesMatch<["key", "value"]>]> {
  let summary = "append keys and values to the cache, attend causally";
  let description = [{
    Keys and values of all rows of the batch are written to the cache of
    `layer` first, in its element type; then each row attends to the positions
    of its sequence up to its own.

    Constraints:

    - (C1) query columns = heads · head_dim, key columns = kv_heads · head_dim.
    - (C2) kv_heads divides heads.
    - (C3) the cache's element type is f16, f32, i8, i4 or i2.
    - (C4) `layer` is not negative; `scale` is positive and finite.
    - (C5) i4 and i2 have a `group` of 32, 64 or `head` elements that share a
      scale and a zero point; other types have none.

    Example:

    ```mlir
    %y = lowbit.attention %q, %k, %v, %rows layer = 0 heads = 4 kv_heads = 2 scale = 0.125 cache = i4 group = 64
      : tensor<?x256xf32>, tensor<?x128xf32>, tensor<?x2xi32>
    ```
  }];
  let arguments = (ins Lowbit_Rows:$query, Lowbit_Rows:$key, Lowbit_Rows:$value,
                       Lowbit_Positions:$rows,
                       I64Attr:$layer, I64Attr:$heads, I64Attr:$kv_heads,
                       F32Attr:$scale, TypeAttr:$cache,
                       OptionalAttr<I64Attr>:$cache_group);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value `,` $rows `layer` `=` $layer `heads` `=` $heads
    `kv_heads` `=` $kv_heads `scale` `=` $scale `cache` `=` $cache
    (`group` `=` custom<CacheGroup>($cache_group)^)? attr-dict
    `:` type($query) `,` type($key) `,` type($rows)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Elements of one head.
    int64_t getHeadDim();
  }];
}

def Lowbit_GateOp : Lowbit_Op<"gate",
    [Pure, AllTypesMatch<["gate", "up", "result"]>]> {
  let summary = "gated activation: silu(gate) · up";
  let arguments = (ins Lowbit_Rows:$gate, Lowbit_Rows:$up);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = "$gate `,` $up attr-dict `:` type($gate)";
}

def Lowbit_AddOp : Lowbit_Op<"add",
    [Pure, Commutative, AllTypesMatch<["lhs", "rhs", "result"]>]> {
  let summary = "sum of two batches of rows";
  let arguments = (ins Lowbit_Rows:$lhs, Lowbit_Rows:$rhs);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs)";
}

def Lowbit_SelectRowsOp : Lowbit_Op<"select_rows", [Pure]> {
  let summary = "the listed rows of a batch";
  let description = [{
    Constraints:

    - (C1) input and result have the same columns; the result has a row for each
      index.
  }];
  let arguments = (ins Lowbit_Rows:$input, Lowbit_Indices:$index);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = [{
    $input `,` $index attr-dict `:` type($input) `,` type($index) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Lowbit_TransformOp : Lowbit_Op<"transform", [Pure]> {
  let summary = "each row times a matrix of a known kind";
  let description = [{
    `y = x · T`; order of steps in Spec.md, section 3. Passes insert T and T⁻¹ next
    to each other and move each into a neighbouring weight; what cannot be moved
    stays, and is computed together with the rounding of activations that follows.

    Constraints:

    - (C1) the transform takes rows of the input's columns and these matrices.
    - (C2) the result has the columns that the transform gives.

    Example:

    ```mlir
    %y = lowbit.transform %x by hadamard<block = 64, seed = 1> : tensor<?x256xf32> -> tensor<?x256xf32>
    %z = lowbit.transform %x by kronecker<general>(%p, %q : tensor<16x16xf32>, tensor<16x16xf32>) : tensor<?x256xf32> -> tensor<?x256xf32>
    ```
  }];
  let arguments = (ins Lowbit_Rows:$input, Lowbit_TransformInterface:$transform,
                       Variadic<Lowbit_Plain>:$matrices);
  let results = (outs Lowbit_Rows:$result);
  let assemblyFormat = [{
    $input `by` custom<Kind>($transform) (`(` $matrices^ `:` type($matrices) `)`)? attr-dict
    `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Lowbit_ObserveOp : Lowbit_Op<"observe",
    [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "keep what calibration wants to know of rows";
  let description = [{
    Adds the second moments Σ x xᵀ of all rows to an accumulator, and keeps a
    sample of the rows. `names` says what the rows are: the tensors of the
    checkpoint that read them (the first names the accumulator, the others share
    it), or a place in the graph. Computes nothing that the model needs.

    Constraints:

    - (C1) `names` has at least one name; none is empty or there twice.
    - (C2) `moments` is `none`, `diagonal` or `full`.

    Example: `lowbit.observe %x moments = "full" as ["q.weight", "k.weight"] : tensor<?x256xf32>`
  }];
  let arguments = (ins Lowbit_Rows:$input, StrAttr:$moments, StrArrayAttr:$names);
  let assemblyFormat = "$input `moments` `=` $moments `as` $names attr-dict `:` type($input)";
  let hasVerifier = 1;
}

#endif // LOWBIT_IR_LOWBITGRAPHOPS_TD
