//===- Passes.td - Passes from lowbit to lowbit ------------*- tablegen -*-===//
#ifndef LOWBIT_TRANSFORMS_PASSES_TD
#define LOWBIT_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def LowbitQuantize : Pass<"lowbit-quantize", "::mlir::ModuleOp"> {
  let summary = "Give weights of chosen roles a format";
  let description = [{
    Inserts a `lowbit.quantize` behind every weight that a linear or an embedding
    of one of `roles` uses, and sets the linear's activation. Roles come from the
    graph (what a linear's result reaches), never from names. The layer range
    counts for linears inside layers only.

    A weight that has a format already is left alone, so of several runs the
    first that matches a weight decides it. A weight with several uses (a tied
    table) is quantized once, as soon as one of its uses matches, and all uses
    share the result.

    Nothing happens to linears and embeddings of other roles and layers.

    ```mlir
    %w = lowbit.weight @w : tensor<768x256xbf16>
    %y = lowbit.linear %x, %w activation = #lowbit.activation<f32>
      : tensor<?x256xf32>, tensor<768x256xbf16> -> tensor<?x768xf32>
    ```

    becomes, with `format=int4-g64`,

    ```mlir
    %w = lowbit.weight @w : tensor<768x256xbf16>
    %q = lowbit.quantize %w solver "search"
      : tensor<768x256xbf16> -> tensor<768x256xf32, #lowbit.int<4, group = 64, scale = f16, offset = integer>>
    %y = lowbit.linear %x, %q activation = #lowbit.activation<i16>
      : tensor<?x256xf32>, tensor<768x256xf32, #lowbit.int<4, group = 64, scale = f16, offset = integer>> -> tensor<?x768xf32>
    ```
  }];
  let options = [
    ListOption<"roles", "roles", "std::string",
               "Roles: embedding, head, attention, ffn, q, k, v, o, gate, up, "
               "down, other, all (default)">,
    Option<"firstLayer", "first-layer", "int64_t", /*default=*/"0",
           "First layer whose linears are meant">,
    Option<"lastLayer", "last-layer", "int64_t", /*default=*/"-1",
           "Last layer whose linears are meant; -1 is the model's last">,
    Option<"format", "format", "std::string", /*default=*/"\"\"",
           "Format by name, e.g. int4-g64 or int2-row-e4m3-half">,
    Option<"solver", "solver", "std::string", /*default=*/"\"search\"",
           "How scales and codes are chosen: nearest, search, gptq, viterbi, given">,
    Option<"file", "file", "std::string", /*default=*/"\"\"",
           "Safetensors file of codes and scales, for the solver given">,
    Option<"order", "order", "std::string", /*default=*/"\"activation\"",
           "Order in which gptq rounds columns: activation (those that weigh "
           "most first) or columns (from left to right)">,
    Option<"scales", "scales", "std::string", /*default=*/"\"search\"",
           "How gptq chooses scales: search or nearest">,
    Option<"damp", "damp", "double", /*default=*/"0.01",
           "What gptq adds to the diagonal of the second moments, as a share of "
           "its mean">,
    Option<"activation", "activation", "std::string", /*default=*/"\"i16\"",
           "How linears see their input: i16 or i8">,
  ];
}

def LowbitSetCache : Pass<"lowbit-set-cache", "::mlir::ModuleOp"> {
  let summary = "Choose the element type of the KV cache";
  let description = [{
    Sets the cache type of every `lowbit.attention`. Does nothing where it is that
    type already. Types of 4 and 2 bits have a scale and a zero point for each
    group of elements of a head: `i4-g32`, `i4-g64` (what `i4` means), `i4-head`.

    ```mlir
    %y = lowbit.attention %q, %k, %v, %rows layer = 0 heads = 4 kv_heads = 2 scale = 1.25e-01 cache = f16
      : tensor<?x256xf32>, tensor<?x128xf32>, tensor<?x2xi32>
    ```

    becomes, with `type=i8`,

    ```mlir
    %y = lowbit.attention %q, %k, %v, %rows layer = 0 heads = 4 kv_heads = 2 scale = 1.25e-01 cache = i8
      : tensor<?x256xf32>, tensor<?x128xf32>, tensor<?x2xi32>
    ```
  }];
  let options = [
    Option<"type", "type", "std::string", /*default=*/"\"f16\"",
           "Element type: f16, f32, i8, or i4 or i2 with -g32, -g64 "
           "(default) or -head">,
  ];
}

def LowbitFuseLinears : Pass<"lowbit-fuse-linears", "::mlir::func::FuncOp"> {
  let summary = "Make one linear of those that share an input";
  let description = [{
    Linears of one block that have the same input, activation, weight type
    (columns, element type, format), solver and solver options become one: their
    weights and biases are stacked by `lowbit.concat` in front of the
    quantization, and `lowbit.slice` takes the results apart. That is query, key
    and value, and gate and up, where they have one format.

    Left alone are linears whose weight has another use (a tied head), those of
    which only some have a bias, and, for the solver `given`, formats with a
    factor of the whole tensor (each given tensor has its own).

    ```mlir
    %a = lowbit.weight @a : tensor<32x64xf32>
    %b = lowbit.weight @b : tensor<16x64xf32>
    %0 = lowbit.linear %x, %a activation = #lowbit.activation<f32> : tensor<?x64xf32>, tensor<32x64xf32> -> tensor<?x32xf32>
    %1 = lowbit.linear %x, %b activation = #lowbit.activation<f32> : tensor<?x64xf32>, tensor<16x64xf32> -> tensor<?x16xf32>
    ```

    becomes

    ```mlir
    %a = lowbit.weight @a : tensor<32x64xf32>
    %b = lowbit.weight @b : tensor<16x64xf32>
    %w = lowbit.concat %a, %b : tensor<32x64xf32>, tensor<16x64xf32> -> tensor<48x64xf32>
    %y = lowbit.linear %x, %w activation = #lowbit.activation<f32> : tensor<?x64xf32>, tensor<48x64xf32> -> tensor<?x48xf32>
    %0 = lowbit.slice %y at 0 : tensor<?x48xf32> -> tensor<?x32xf32>
    %1 = lowbit.slice %y at 32 : tensor<?x48xf32> -> tensor<?x16xf32>
    ```
  }];
}

def LowbitOutlineParameters
    : Pass<"lowbit-outline-parameters", "::mlir::ModuleOp"> {
  let summary = "Move every chain of weight operations into a parameter";
  let description = [{
    Each weight that the graph uses becomes one `lowbit.parameter` whose `init`
    holds the chain (weight, concat, quantize, …) that was in the function. Equal
    chains become one parameter: a tied table is stored once. The new parameter
    takes the name of the checkpoint's (several names are joined: `q+k+v_proj`),
    which itself is renamed to `NAME.source` where it had that name. What the
    parameter is for is left on it (`lowbit.role`, `lowbit.layer`).

    Weights whose parameter has an `init` already are left alone.

    ```mlir
    lowbit.parameter @w : tensor<768x256xbf16> source #lowbit.source<"model.safetensors", "w", offset = 64, bytes = 393216>
    func.func @forward(%x: tensor<?x256xf32>) -> tensor<?x768xf32> {
      %w = lowbit.weight @w : tensor<768x256xbf16>
      %y = lowbit.linear %x, %w activation = #lowbit.activation<f32> : tensor<?x256xf32>, tensor<768x256xbf16> -> tensor<?x768xf32>
      return %y : tensor<?x768xf32>
    }
    ```

    becomes

    ```mlir
    lowbit.parameter @w : tensor<768x256xbf16> init {
      %0 = lowbit.weight @w.source : tensor<768x256xbf16>
      lowbit.yield %0 : tensor<768x256xbf16>
    }
    lowbit.parameter @w.source : tensor<768x256xbf16> source #lowbit.source<"model.safetensors", "w", offset = 64, bytes = 393216>
    func.func @forward(%x: tensor<?x256xf32>) -> tensor<?x768xf32> {
      %w = lowbit.weight @w : tensor<768x256xbf16>
      …
    ```
  }];
}

def LowbitAssignLayouts : Pass<"lowbit-assign-layouts", "::mlir::ModuleOp"> {
  let summary = "Fix how every parameter is stored";
  let description = [{
    Gives every matrix with an `init` the layout that the kernels of all targets
    read (16 rows interleaved, the lane width of its format or element type), and
    makes every vector (norm gains, biases) f32, row-major, by a `lowbit.widen` at
    the end of its `init`.

    Parameters that have a `source` are left alone: their bytes exist. Needs
    `lowbit-outline-parameters`.

    ```mlir
    lowbit.parameter @g : tensor<256xbf16> init {
      %0 = lowbit.weight @g.source : tensor<256xbf16>
      lowbit.yield %0 : tensor<256xbf16>
    }
    ```

    becomes

    ```mlir
    lowbit.parameter @g : tensor<256xf32> init {
      %0 = lowbit.weight @g.source : tensor<256xbf16>
      %1 = lowbit.widen %0 : tensor<256xbf16> -> tensor<256xf32>
      lowbit.yield %1 : tensor<256xf32>
    }
    ```
  }];
}

def LowbitInsertObservers
    : Pass<"lowbit-insert-observers", "::mlir::ModuleOp"> {
  let summary = "Observe what linears and attention read";
  let description = [{
    The first step of calibration: puts a `lowbit.observe` at every distinct
    input of a linear (query, key and value share one, gate and up another) and,
    without moments, at queries and keys after the rotary embedding and at
    values. Names of an input are the checkpoint's names of the weights that read
    it; queries, keys and values of a layer are `attention.<layer>.query`, `.key`
    and `.value`.

    All rows of a batch are observed, also where a linear reads selected ones
    (the head): what lies between the selection and the linear is done for all
    rows as well.

    Fails where a weight reads two different inputs, or where another name is
    there twice.

    ```mlir
    %y = lowbit.linear %x, %w activation = <f32> : tensor<?x256xf32>, tensor<768x256xbf16> -> tensor<?x768xf32>
    ```

    becomes, with `moments=diagonal`,

    ```mlir
    lowbit.observe %x moments = "diagonal" as ["model.layers.0.mlp.gate_proj.weight"] : tensor<?x256xf32>
    %y = lowbit.linear %x, %w activation = <f32> : tensor<?x256xf32>, tensor<768x256xbf16> -> tensor<?x768xf32>
    ```
  }];
  let options = [
    Option<"moments", "moments", "std::string", /*default=*/"\"diagonal\"",
           "Second moments of a linear's input: diagonal or full">,
    Option<"attention", "attention", "bool", /*default=*/"true",
           "Observe queries, keys and values, too">,
  ];
}

def LowbitExtractPart : Pass<"lowbit-extract-part", "::mlir::ModuleOp"> {
  let summary = "Keep one of the parts that an observed model runs in";
  let description = [{
    Calibration runs all of its text through one part of the model after the
    other, so that moments and weights of one part only are in memory. A part
    ends at the first place behind an observation where a single batch of rows
    is all that later operations need: in a decoder, half a layer. The rows are
    the result of `@forward`, and the fourth argument of the next part's; the
    last part ends with its last observation and has no result.

    Parameters that the part does not use are removed.

    ```mlir
    func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>) -> tensor<?x97xf32>
    ```

    becomes, with `index=1`,

    ```mlir
    func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>, %x: tensor<?x32xf32>) -> tensor<?x32xf32>
    ```
  }];
  let options = [
    Option<"index", "index", "int64_t", /*default=*/"0", "Number of the part">,
  ];
}

def LowbitVerifyStage : Pass<"lowbit-verify-stage", "::mlir::ModuleOp"> {
  let summary = "Fail where the module is not what a stage promises";
  let description = [{
    The gate after each stage. Changes nothing; emits an error on every operation
    that should be gone, or that has not what the stage gives it.

    | stage | what holds |
    | --- | --- |
    | `imported`, `transformed` | no `lowbit.quantize`; every parameter has a source |
    | `quantized` | every parameter has a source |
    | `laid-out` | functions use parameters only, whole: no weight operation but `lowbit.weight`; matrices have a layout, vectors are f32 |
    | `materialized` | the same, and every parameter has a source: nothing is left to compute |
    | `planned` | a plan for each target, no graph |
    | `lowered` | as `planned`, and no kernel that is still to be generated |
  }];
  let options = [
    Option<"stage", "stage", "std::string", /*default=*/"\"\"",
           "Stage to check: imported, transformed, quantized, laid-out, "
           "materialized, planned, lowered">,
  ];
}

#endif // LOWBIT_TRANSFORMS_PASSES_TD
