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
           "How linears see their input: i16, i8, or e.g. "
           "i4-g32-e4m3-stored">,
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

def LowbitFoldNormScale : Pass<"lowbit-fold-norm-scale", "::mlir::ModuleOp"> {
  let summary = "Move the scales of norms into the linears that read them";
  let description = [{
    `norm_γ(x) · Wᵀ = norm₁(x) · (W · diag(γ))ᵀ`: the gain becomes ones, and rotations
    can pass the norm. Keeps the function to 1e-9 in f64.

    Left alone are norms that anything but plain linears reads, and, with
    `tied=keep`, norms in front of a head that shares its table with the embedding
    (the scale would make a second table of it).

    ```mlir
    %n = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
    %y = lowbit.linear %n, %w activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
    ```

    becomes

    ```mlir
    %ones = lowbit.fill 1.0 : tensor<8xf32>
    %n = lowbit.rms_norm %x, %ones eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
    %v = lowbit.transform_weight %w dim = 1 by diagonal(%g : tensor<8xf32>) : tensor<12x8xf32> -> tensor<12x8xf32>
    %y = lowbit.linear %n, %v activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
    ```
  }];
  let options = [
    Option<"tied", "tied", "std::string", /*default=*/"\"keep\"",
           "Norm in front of a tied head: keep it, or untie the head">,
  ];
}

def LowbitInsertRotations
    : Pass<"lowbit-insert-rotations", "::mlir::ModuleOp"> {
  let summary = "Insert pairs of rotations that change nothing";
  let description = [{
    Random Hadamard rotations D · H / √n at the places of SpinQuant: `r1` at
    everything that enters the residual stream, `r2` at the values of each head, `r3`
    at queries and keys behind the rotary embedding (both rotated: scores do not
    change), `r4` in front of the down projection. A pair is T, marked to move up
    into what makes the rows, and T⁻¹, marked to move down into what reads them;
    `lowbit-fold-rotations` moves them. Where there is no Hadamard matrix of the
    size, the rotation consists of blocks, the largest that divide the size and
    have one. Keeps the function to 1e-9 in f64.

    R1 uses the signs of `seed`; R2, R3, R4 of layer l those of seed + 4 l + 1, 2, 3.
    With `file`, R1 and R2 are the learned matrices `R1` and `layers.<l>.R2` (or
    `model.layers.<l>.self_attn.R2`), made orthogonal to f64.

    ```mlir
    %x = lowbit.embedding %ids, %table : tensor<?xi32>, tensor<32x8xf32> -> tensor<?x8xf32>
    ```

    becomes

    ```mlir
    %x = lowbit.embedding %ids, %table : tensor<?xi32>, tensor<32x8xf32> -> tensor<?x8xf32>
    %0 = lowbit.transform %x by hadamard<block = 8, seed = 0> {lowbit.fold = "up"} : tensor<?x8xf32> -> tensor<?x8xf32>
    %1 = lowbit.transform %0 by hadamard<block = 8, seed = 0, transposed> {lowbit.fold = "down"} : tensor<?x8xf32> -> tensor<?x8xf32>
    ```
  }];
  let options = [
    ListOption<"sites", "sites", "std::string",
               "Places: r1, r2, r3, r4 (default: all)">,
    Option<"seed", "seed", "int64_t", /*default=*/"0",
           "Seed of the signs; -1: no signs">,
    Option<"file", "file", "std::string", /*default=*/"\"\"",
           "Safetensors file of R1 and R2; none: Hadamard matrices">,
  ];
}

def LowbitFoldRotations : Pass<"lowbit-fold-rotations", "::mlir::ModuleOp"> {
  let summary = "Move inserted transforms into weights, norms and embeddings";
  let description = [{
    Moves the halves of inserted pairs (any kind of transform) as far as they go:
    up into linears (weight rows and bias), embeddings, gains of norms; down into
    linears (weight columns), through sums, selections of rows, norms, attention
    (values), gates (diagonal ones). What cannot go further stays an online
    `lowbit.transform`; pairs of which neither half moved are removed. Keeps the
    function to 1e-9 in f64.

    A rotation that meets a norm with a scale moves that into the linears behind
    the norm first. Where one of them is a head that shares its table with the
    embedding, `tied=untie` does the same, so that head and embedding become two
    tables; `tied=keep` keeps one, and leaves the d × d matrix T · diag(γ) · T⁻¹ in
    front of the head. Both show in the ledger's bytes.

    ```mlir
    %y = lowbit.linear %x, %w activation = <f32> : tensor<?x4xf32>, tensor<8x4xf32> -> tensor<?x8xf32>
    %0 = lowbit.transform %y by hadamard<block = 8> {lowbit.fold = "up"} : tensor<?x8xf32> -> tensor<?x8xf32>
    ```

    becomes

    ```mlir
    %v = lowbit.transform_weight %w dim = 0 by hadamard<block = 8> : tensor<8x4xf32> -> tensor<8x4xf32>
    %0 = lowbit.linear %x, %v activation = <f32> : tensor<?x4xf32>, tensor<8x4xf32> -> tensor<?x8xf32>
    ```
  }];
  let options = [
    Option<"tied", "tied", "std::string", /*default=*/"\"untie\"",
           "Tied head behind a norm with a scale: untie or keep">,
  ];
}

def LowbitFlipSigns : Pass<"lowbit-flip-signs", "::mlir::ModuleOp"> {
  let summary = "Fold random signs into the linears of a block";
  let description = [{
    D · D = I for a diagonal D of signs: each half is folded exactly, so the function
    stays the same to the bit. Places: `residual` (everything that enters the residual
    stream), `input` (what the linears behind a norm read; the other half goes into
    the gain), `value` (values of a head and columns of the output projection),
    `gated` (rows of up and columns of down). Acts through a zero point or a mean,
    through a codebook shared over columns, or before a rotation; formats that are
    symmetric in sign do not see it.

    Signs are those of `seed` + a number for each place (Spec.md, section 3), or, with
    `bits`, the given hexadecimal digits at every place whose size they have.

    ```mlir
    %n = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
    %y = lowbit.linear %n, %w activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
    ```

    becomes, with `sites=input seed=3`,

    ```mlir
    %h = lowbit.transform_weight %g dim = 0 by signs<block = 8, seed = 3> : tensor<8xf32> -> tensor<8xf32>
    %n = lowbit.rms_norm %x, %h eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
    %v = lowbit.transform_weight %w dim = 1 by signs<block = 8, seed = 3> : tensor<12x8xf32> -> tensor<12x8xf32>
    %y = lowbit.linear %n, %v activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
    ```
  }];
  let options = [
    ListOption<"sites", "sites", "std::string",
               "Places: residual, input, value, gated (default: all)">,
    Option<"seed", "seed", "int64_t", /*default=*/"0", "Seed of the signs">,
    Option<"bits", "bits", "std::string", /*default=*/"\"\"",
           "Signs as hexadecimal digits, for places of that many columns">,
  ];
}

def LowbitSelectRotations
    : Pass<"lowbit-select-rotations", "::mlir::ModuleOp"> {
  let summary = "Rotate where rounding gains by it";
  let description = [{
    One decision, identity or Hadamard, for R1 and for R2, R3, R4 of each layer, over
    all tensors that it touches (R1: everything on the residual stream, the embedding
    too; R2 also cached values; R3 only cached keys). `metric=frobenius`: RoSTE's
    Σ‖Q(W) − W‖² + mean ‖Q(x) − x‖² (arXiv 2502.09003, 3.3); `metric=output`: both
    errors through W and the sample's rows. Given R1 the others are independent; both
    ways of R1 are measured, so the chosen set has at most the error of none and of
    all. Chosen rotations are inserted and folded; the ledger shows both errors of
    every decision. Needs a profile. Keeps the function to 1e-9 in f64.

    ```mlir
    %g = lowbit.gate %a, %b : tensor<?x12xf32>
    %y = lowbit.linear %g, %w activation = <f32> : tensor<?x12xf32>, tensor<8x12xf32> -> tensor<?x8xf32>
    ```

    becomes, where R4 has the smaller error,

    ```mlir
    %g = lowbit.gate %a, %b : tensor<?x12xf32>
    %0 = lowbit.transform %g by hadamard<block = 12, seed = 3> {lowbit.fold = "up"} : tensor<?x12xf32> -> tensor<?x12xf32>
    %v = lowbit.transform_weight %w dim = 1 by hadamard<block = 12, seed = 3> : tensor<8x12xf32> -> tensor<8x12xf32>
    %y = lowbit.linear %0, %v activation = <f32> : tensor<?x12xf32>, tensor<8x12xf32> -> tensor<?x8xf32>
    ```
  }];
  let options = [
    Option<"metric", "metric", "std::string", /*default=*/"\"frobenius\"",
           "Error to compare: frobenius or output">,
    Option<"format", "format", "std::string", /*default=*/"\"int4-g64-half\"",
           "Format that weights will have">,
    Option<"solver", "solver", "std::string", /*default=*/"\"nearest\"",
           "Solver of the errors: nearest or search">,
    Option<"activationBits", "activation-bits", "int64_t", /*default=*/"8",
           "Bits of activations, 2 to 16 (16: not counted)">,
    Option<"activationGroup", "activation-group", "int64_t", /*default=*/"0",
           "Columns of an activation's scale; 0: the row">,
    Option<"cacheBits", "cache-bits", "int64_t", /*default=*/"8",
           "Bits of cached keys and values, 2 to 16 (16: not counted)">,
    Option<"seed", "seed", "int64_t", /*default=*/"0",
           "Seed of the signs, as lowbit-insert-rotations has it">,
  ];
}

def LowbitFoldTransforms : Pass<"lowbit-fold-transforms", "::mlir::ModuleOp"> {
  let summary = "Insert learned transforms and fold what folds";
  let description = [{
    Reads transforms of places from a safetensors file: `R1` (orthogonal, of the
    residual stream), and for each layer `layers.<i>.attention_input`, `.value` and
    `.key` (of a head), `.output` (what the output projection reads), `.ffn_input`,
    `.down`. Each is `NAME.P` (dense), `NAME.P1` and `NAME.P2` (Kronecker, x · (P₁ ⊗ P₂)),
    or `NAME.scale` (diagonal); its size divides that of the place. x becomes x · T,
    the weights behind it W · T⁻ᵀ. Keys become k · T, queries q · T⁻ᵀ.

    Inverses are computed in f64 when weights are written. The condition number
    ‖T‖₁‖T⁻¹‖₁ of each transform is reported, and bounded by `max-condition`. A
    nearly orthogonal R1 is made orthogonal to f64. Keeps the function to 1e-9 in f64.

    ```mlir
    %y = lowbit.linear %x, %w activation = <f32> : tensor<?x12xf32>, tensor<8x12xf32> -> tensor<?x8xf32>
    ```

    becomes, with `layers.0.down.P1` 3 × 3 and `.P2` 4 × 4,

    ```mlir
    %0 = lowbit.transform %x by kronecker<general>(%p1, %p2 : tensor<3x3xf32>, tensor<4x4xf32>) {lowbit.fold = "up"} : tensor<?x12xf32> -> tensor<?x12xf32>
    %i1 = lowbit.invert %p1 : tensor<3x3xf32> -> tensor<3x3xf32>
    …
    %v = lowbit.transform_weight %w dim = 1 by kronecker<general>(%t1, %t2 : tensor<3x3xf32>, tensor<4x4xf32>) : tensor<8x12xf32> -> tensor<8x12xf32>
    %y = lowbit.linear %0, %v activation = <f32> : tensor<?x12xf32>, tensor<8x12xf32> -> tensor<?x8xf32>
    ```
  }];
  let options = [
    Option<"file", "file", "std::string", /*default=*/"\"\"",
           "Safetensors file of the transforms">,
    Option<"maxCondition", "max-condition", "double", /*default=*/"1e4",
           "Largest condition number that is taken">,
    Option<"tied", "tied", "std::string", /*default=*/"\"untie\"",
           "Tied head behind a norm with a scale: untie or keep">,
  ];
}

def LowbitSplitOutlierChannels
    : Pass<"lowbit-split-outlier-channels", "::mlir::ModuleOp"> {
  let summary = "Split columns that make a group's scale large";
  let description = [{
    Copies the columns i with the largest ‖x_i‖ · max|W_ij| (over all weights that read
    the rows) `copies` times, and moves the copies of each weight apart by parts of the
    step that `nearest` will choose (`lowbit.spread`): the sum of their codes is that of
    the weight rounded half up, while the group's scale shrinks. The split share grows
    with depth from `first-ratio` to `last-ratio` (Bit-by-Bit, arXiv 2604.07888). Copies
    lie side by side within 32 columns, so that they have one activation scale and one
    group; the width is padded to whole groups and to 64, and what padding would leave
    empty is split as well.

    Places: `gated` (what the down projection reads: rows of gate and up are copied),
    `input` (behind a norm) and `output` (what the output projection reads), where the
    copies are made by an online gather. Goes last, and in front of `lowbit-quantize`
    with the same format and solver `nearest`. The ledger shows the errors of both.
    Needs a profile. Keeps the function to 1e-9 in f64.

    ```mlir
    %u = lowbit.linear %n, %wu activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
    %x = lowbit.gate %g, %u : tensor<?x12xf32>
    %y = lowbit.linear %x, %wd activation = <f32> : tensor<?x12xf32>, tensor<8x12xf32> -> tensor<?x8xf32>
    ```

    becomes, where column 3 is split and the width padded to 16 only,

    ```mlir
    %vu = lowbit.transform_weight %wu dim = 0 by gather<columns = 12, runs = [0, 4, 3, 9, -1, 3]> : tensor<12x8xf32> -> tensor<16x8xf32>
    %u = lowbit.linear %n, %vu activation = <f32> : tensor<?x8xf32>, tensor<16x8xf32> -> tensor<?x16xf32>
    %x = lowbit.gate %g, %u : tensor<?x16xf32>
    %c = lowbit.transform_weight %wd dim = 1 by gather<columns = 12, runs = [0, 4, 3, 9, -1, 3], averaged> : tensor<8x12xf32> -> tensor<8x16xf32>
    %vd = lowbit.spread %c copies = <columns = 12, runs = [0, 4, 3, 9, -1, 3]> format = <2, group = 32, scale = f16, offset = half> : tensor<8x16xf32>
    %y = lowbit.linear %x, %vd activation = <f32> : tensor<?x16xf32>, tensor<8x16xf32> -> tensor<?x8xf32>
    ```
  }];
  let options = [
    ListOption<"sites", "sites", "std::string",
               "Places: input, output, gated (default: all)">,
    Option<"format", "format", "std::string", /*default=*/"\"int2-g64-half\"",
           "Format that weights will have">,
    Option<"copies", "copies", "int64_t", /*default=*/"2",
           "Copies of a column, 2 to 8">,
    Option<"firstRatio", "first-ratio", "double", /*default=*/"0.02",
           "Share of the columns that is split in the first layer">,
    Option<"lastRatio", "last-ratio", "double", /*default=*/"0.04",
           "Share of the columns that is split in the last layer">,
  ];
}

def LowbitScaleChannels : Pass<"lowbit-scale-channels", "::mlir::ModuleOp"> {
  let summary = "Fold channel scales that the quantizer likes";
  let description = [{
    Rows x become x / s, the weights behind them W · diag(s), s_j = a_j^α with a_j the
    root mean square of column j in the profile (√(max s · min s) = 1), as AWQ does
    (arXiv 2306.00978). α is searched from 0 to 1 in `steps` steps by the error of the
    given format and solver, Σ h_k (w − ŵ)² / s_k² over all weights that read the rows;
    α = 0 leaves the place alone. Places: `input` (behind a norm; 1/s goes into its
    gain), `value` (values and output projection; one scale for all heads under grouped
    queries), `gated` (rows of up, columns of down). The ledger shows both errors.
    Needs a profile. Keeps the function to 1e-9 in f64.

    ```mlir
    %n = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x2xf32>, tensor<2xf32>
    %y = lowbit.linear %n, %w activation = <f32> : tensor<?x2xf32>, tensor<4x2xf32> -> tensor<?x4xf32>
    ```

    becomes, where columns have the scales 2 and 0.5,

    ```mlir
    %s = lowbit.constant dense<[2.0, 0.5]> : tensor<2xf32> -> tensor<2xf32>
    %i = lowbit.invert %s : tensor<2xf32> -> tensor<2xf32>
    %h = lowbit.transform_weight %g dim = 0 by diagonal(%i : tensor<2xf32>) : tensor<2xf32> -> tensor<2xf32>
    %n = lowbit.rms_norm %x, %h eps = 1.0e-5 : tensor<?x2xf32>, tensor<2xf32>
    %v = lowbit.transform_weight %w dim = 1 by diagonal(%s : tensor<2xf32>) : tensor<4x2xf32> -> tensor<4x2xf32>
    %y = lowbit.linear %n, %v activation = <f32> : tensor<?x2xf32>, tensor<4x2xf32> -> tensor<?x4xf32>
    ```
  }];
  let options = [
    ListOption<"sites", "sites", "std::string",
               "Places: input, value, gated (default: all)">,
    Option<"format", "format", "std::string", /*default=*/"\"int4-g64-half\"",
           "Format that weights will have">,
    Option<"solver", "solver", "std::string", /*default=*/"\"nearest\"",
           "Solver of the errors: nearest or search">,
    Option<"steps", "steps", "int64_t", /*default=*/"20",
           "Steps of the search over alpha, 1 to 1000">,
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
