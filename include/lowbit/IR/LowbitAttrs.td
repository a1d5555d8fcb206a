//===- LowbitAttrs.td - Formats, layouts, sources ----------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITATTRS_TD
#define LOWBIT_IR_LOWBITATTRS_TD

include "lowbit/IR/LowbitDialect.td"
include "lowbit/IR/LowbitInterfaces.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/TensorEncoding.td"

class Lowbit_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Lowbit_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

class Lowbit_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::lowbit";
  let genSpecializedAttr = 0;
}

def Lowbit_ZeroOffset : Lowbit_Enum<"ZeroOffset",
    "where zero lies on an integer grid", [
      I32EnumAttrCase<"Integer", 0, "integer">,
      I32EnumAttrCase<"Half", 1, "half">,
      I32EnumAttrCase<"Stored", 2, "stored">]>;

def Lowbit_IntAttr : Lowbit_Attr<"Int", "int", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>,
    DeclareAttrInterfaceMethods<Lowbit_FormatInterface>]> {
  let summary = "integers on a grid, one scale for each group of a row";
  let description = [{
    Value of a code `c` in a group with scale `s` and zero point `z`:
    `F * s * (c - z)`; Spec.md, section 1.1.

    Constraints:

    - (C1) `bits` is 1 to 8.
    - (C2) `group` is 16 (2, 4, 6 and 8 bits), 32, 64, 128 or `row` (one group
      for the whole row).
    - (C3) `scale` is `f16` or `f8E4M3FN`.
    - (C4) the tensor has two static dimensions, none of them zero, and element
      type `f32`.
    - (C5) 1 bit goes with offset `half` and `stored` (binary with a mean).

    Example: `tensor<768x256xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>`
  }];
  let parameters = (ins
    "int64_t":$bits,
    "int64_t":$group,
    "::mlir::Type":$scale,
    EnumParameter<Lowbit_ZeroOffset>:$offset);
  let assemblyFormat = [{
    `<` $bits `,` `group` `=` custom<Group>($group) `,` `scale` `=` $scale `,`
    `offset` `=` $offset `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The same format as plain numbers, for the rooms without MLIR.
    IntegerFormat getFormat() const;
  }];
}

def Lowbit_TrellisAttr : Lowbit_Attr<"Trellis", "trellis", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>,
    DeclareAttrInterfaceMethods<Lowbit_FormatInterface>]> {
  let summary = "paths through a trellis, one scale for each row and stream";
  let description = [{
    Each stream is a string of bits whose every two bits, with those around
    them, are an index into tables of bytes; Spec.md, section 1.3. `streams`
    lists how many weights (of different rows) a step of each gives: 1, 2, 4 for
    2, 1, 0.5 bits a weight. The streams of a stack are added.

    Constraints:

    - (C1) `streams` has 1 to 4 entries, each 1, 2 or 4, in ascending order.
    - (C2) `window` is 12 or 10.
    - (C3) the tensor has two static dimensions, none of them zero, and element
      type `f32`.

    Example: `tensor<4096x4096xf32, #lowbit.trellis<streams = [1, 2], window = 12>>`
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$streams,
    "int64_t":$window);
  let assemblyFormat = [{
    `<` `streams` `=` `[` $streams `]` `,` `window` `=` $window `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The same format as plain numbers, for the rooms without MLIR.
    TrellisFormat getFormat() const;
    /// The tables of stream `i`: entry c of table u at [64 u + c].
    ::llvm::ArrayRef<int8_t> getTable(size_t i) const;
    /// The mask M of stream `i`.
    int getMask(size_t i) const;
  }];
}

def Lowbit_MicroAttr : Lowbit_Attr<"Micro", "micro", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>,
    DeclareAttrInterfaceMethods<Lowbit_FormatInterface>]> {
  let summary = "small floats, one scale for each short group";
  let description = [{
    MXFP4, MXFP6, MXFP8, MXINT8 and NVFP4; Spec.md, section 1.4.

    Constraints:

    - (C1) `element` is `f4E2M1FN`, `f6E2M3FN`, `f6E3M2FN`, `f8E4M3FN`,
      `f8E5M2` or `i8`.
    - (C2) `group` and `scale` are 32 and `f8E8M0FNU`; for `f4E2M1FN` also 16
      and `f8E4M3FN`.
    - (C3) the tensor has two static dimensions, none of them zero, and element
      type `f32`.

    Example: `tensor<768x256xf32, #lowbit.micro<f4E2M1FN, group = 32, scale = f8E8M0FNU>>`
  }];
  let parameters = (ins
    "::mlir::Type":$element,
    "int64_t":$group,
    "::mlir::Type":$scale);
  let assemblyFormat = [{
    `<` $element `,` `group` `=` custom<Group>($group) `,` `scale` `=` $scale `>`
  }];
  let genVerifyDecl = 1;
}

def Lowbit_LevelsAttr : Lowbit_Attr<"Levels", "levels", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>,
    DeclareAttrInterfaceMethods<Lowbit_FormatInterface>]> {
  let summary = "listed integers, one scale for each group of a row";
  let description = [{
    A code of as many bits as the list needs is the index of an integer; Spec.md,
    section 1.5. Ternary is `[-1, 0, 1]`.

    Constraints:

    - (C1) `levels` are 2 to 16 ascending integers of -128 to 127, 0 among them.
    - (C2) `group` is 16 (not for 1 or 3 bits), 32, 64, 128 or `row`.
    - (C3) `scale` is `f16` or `f8E4M3FN`.
    - (C4) the tensor has two static dimensions, none of them zero, and element
      type `f32`.

    Example: `tensor<768x256xf32, #lowbit.levels<[-1, 0, 1], group = 64, scale = f16>>`
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$levels,
    "int64_t":$group,
    "::mlir::Type":$scale);
  let assemblyFormat = [{
    `<` `[` $levels `]` `,` `group` `=` custom<Group>($group) `,`
    `scale` `=` $scale `>`
  }];
  let genVerifyDecl = 1;
}

def Lowbit_FreeAttr : Lowbit_Attr<"Free", "free", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>,
    DeclareAttrInterfaceMethods<Lowbit_FormatInterface>]> {
  let summary = "four levels of its own for each group of a row";
  let description = [{
    A code of two bits is the index of one of four integers that are stored with
    the group; Spec.md, section 1.6. Grouped binary W(1+1) is this format: a sign
    and a cluster for each weight, a scale and a mean for each cluster.

    Constraints:

    - (C1) `group` is 32, 64 or 128.
    - (C2) `scale` is `f16` or `f8E4M3FN`.
    - (C3) the tensor has two static dimensions, none of them zero, and element
      type `f32`.

    Example: `tensor<768x256xf32, #lowbit.free<group = 128, scale = f16>>`
  }];
  let parameters = (ins
    "int64_t":$group,
    "::mlir::Type":$scale);
  let assemblyFormat = [{
    `<` `group` `=` custom<Group>($group) `,` `scale` `=` $scale `>`
  }];
  let genVerifyDecl = 1;
}

def Lowbit_LayoutAttr : Lowbit_Attr<"Layout", "layout"> {
  let summary = "rows interleaved to vectors";
  let description = [{
    `tile_rows` consecutive rows form a tile; within a vector each row (lane)
    holds `lane_bytes` consecutive bytes (Spec.md, section 2). The CPU reads a
    vector as dword lanes, a warp reads the same bytes as fragments of
    `mma.m16n8k32`.

    Constraints:

    - (C1) `tile_rows` is 16, or 64, 128 or 256 (trellis codes).
    - (C2) `lane_bytes` is 2 or 4.

    Example: `#lowbit.layout<tile_rows = 16, lane_bytes = 4>`
  }];
  let parameters = (ins "int64_t":$tileRows, "int64_t":$laneBytes);
  let assemblyFormat = [{
    `<` `tile_rows` `=` $tileRows `,` `lane_bytes` `=` $laneBytes `>`
  }];
  let genVerifyDecl = 1;
}

def Lowbit_SourceAttr : Lowbit_Attr<"Source", "source"> {
  let summary = "where the bytes of a parameter are";
  let description = [{
    A tensor of a safetensors file: the file's name inside the model folder (or
    beside the module), the tensor's name, and its bytes in the file.

    Constraints:

    - (C1) `file` and `tensor` are not empty; `file` is a name, or (matrices that
      were learned elsewhere) a path that starts with `/` or `./`, without `..`.
    - (C2) `offset` and `bytes` are not negative.

    Example: `#lowbit.source<"model.safetensors", "model.norm.weight", offset = 4096, bytes = 512>`
  }];
  let parameters = (ins
    StringRefParameter<"file name">:$file,
    StringRefParameter<"tensor name">:$tensor,
    "int64_t":$offset,
    "int64_t":$bytes);
  let assemblyFormat = [{
    `<` $file `,` $tensor `,` `offset` `=` $offset `,` `bytes` `=` $bytes `>`
  }];
  let genVerifyDecl = 1;
}

def Lowbit_ActivationAttr : Lowbit_Attr<"Activation", "activation"> {
  let summary = "how a linear sees its input";
  let description = [{
    `f32` as it is; `i16` and `i8` symmetric integers with one scale per token
    (Spec.md, section 3).

    Constraints:

    - (C1) the type is `f32`, `i16` or `i8`.

    Example: `#lowbit.activation<i16>`
  }];
  let parameters = (ins "::mlir::Type":$type);
  let assemblyFormat = "`<` $type `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Planes of signed bytes: 2 for i16, 1 for i8, 0 for f32.
    int64_t getPlanes() const;
  }];
}

//===----------------------------------------------------------------------===//
// Transforms: matrices that rows are multiplied with
//===----------------------------------------------------------------------===//

def Lowbit_MatrixKind : Lowbit_Enum<"MatrixKind",
    "what is known of a matrix that a transform multiplies with", [
      I32EnumAttrCase<"General", 0, "general">,
      I32EnumAttrCase<"Orthogonal", 1, "orthogonal">]>;

def Lowbit_HadamardAttr : Lowbit_Attr<"Hadamard", "hadamard", [
    DeclareAttrInterfaceMethods<Lowbit_TransformInterface>]> {
  let summary = "blocks of signs times an orthonormal Hadamard matrix";
  let description = [{
    T = I ⊗ (D · H_n / √n), n = `block`, or its transpose I ⊗ (H_nᵀ · D / √n): an
    orthogonal matrix that is applied with O(n log n) additions. H_n is fixed by n,
    the signs D by `seed` (none without one); Spec.md, section 3.

    Constraints:

    - (C1) `block` is an order that the constructions of Spec.md reach.
    - (C2) `block` divides the columns.

    Example: `#lowbit.hadamard<block = 64, seed = 1>`, `#lowbit.hadamard<block = 12, transposed>`
  }];
  let parameters = (ins
    "int64_t":$block,
    OptionalParameter<"std::optional<int64_t>">:$seed,
    DefaultValuedParameter<"bool", "false">:$transposed);
  let assemblyFormat = [{
    `<` custom<Hadamard>($block, $seed, $transposed) `>`
  }];
  let genVerifyDecl = 1;
}

def Lowbit_SignsAttr : Lowbit_Attr<"Signs", "signs", [
    DeclareAttrInterfaceMethods<Lowbit_TransformInterface>]> {
  let summary = "a sign for each column";
  let description = [{
    T = I ⊗ D, D of `block` signs: of a seed (Spec.md, section 3), or given as
    hexadecimal digits: column k is negative where bit k % 4 of digit k / 4 is set.

    Constraints:

    - (C1) `block` is positive.
    - (C2) there is either a seed or a text of ceil(block / 4) hexadecimal digits,
      bits beyond the block 0.
    - (C3) `block` divides the columns.

    Example: `#lowbit.signs<block = 256, seed = 7>`, `#lowbit.signs<block = 8, bits = "0f">`
  }];
  let parameters = (ins
    "int64_t":$block,
    OptionalParameter<"std::optional<int64_t>">:$seed,
    OptionalParameter<"::mlir::StringAttr">:$bits);
  let assemblyFormat = [{
    `<` custom<Signs>($block, $seed, $bits) `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The `block` signs, +1 and −1.
    std::vector<int8_t> getSigns() const;
  }];
}

def Lowbit_DiagonalAttr : Lowbit_Attr<"Diagonal", "diagonal", [
    DeclareAttrInterfaceMethods<Lowbit_TransformInterface>]> {
  let summary = "a factor for each column";
  let description = [{
    T = I ⊗ diag(s); s is the operation's matrix operand, a vector.

    Constraints:

    - (C1) there is one matrix operand, a vector; its size divides the columns.

    Example: `%y = lowbit.transform %x by diagonal(%s : tensor<64xf32>) : tensor<?x256xf32> -> tensor<?x256xf32>`
  }];
}

def Lowbit_DenseAttr : Lowbit_Attr<"Dense", "dense", [
    DeclareAttrInterfaceMethods<Lowbit_TransformInterface>]> {
  let summary = "blocks of a matrix";
  let description = [{
    T = I ⊗ P; P is the operation's matrix operand, n × n, row-major: y = x · P.
    `orthogonal` is a promise of who makes the attribute: P · Pᵀ = I.

    Constraints:

    - (C1) there is one matrix operand, square; its size divides the columns.

    Example: `%y = lowbit.transform %x by dense<orthogonal>(%p : tensor<64x64xf32>) : tensor<?x256xf32> -> tensor<?x256xf32>`
  }];
  let parameters = (ins EnumParameter<Lowbit_MatrixKind>:$kind);
  let assemblyFormat = "`<` $kind `>`";
}

def Lowbit_KroneckerAttr : Lowbit_Attr<"Kronecker", "kronecker", [
    DeclareAttrInterfaceMethods<Lowbit_TransformInterface>]> {
  let summary = "blocks of a Kronecker product of two matrices";
  let description = [{
    T = I ⊗ (P₁ ⊗ P₂); P₁ (a × a) and P₂ (b × b) are the operation's matrix
    operands. A block of a·b columns is a matrix X of a rows, and becomes P₁ᵀ X P₂.

    Constraints:

    - (C1) there are two matrix operands, both square; the product of their sizes
      divides the columns.

    Example: `#lowbit.kronecker<general>`
  }];
  let parameters = (ins EnumParameter<Lowbit_MatrixKind>:$kind);
  let assemblyFormat = "`<` $kind `>`";
}

def Lowbit_GatherAttr : Lowbit_Attr<"Gather", "gather", [
    DeclareAttrInterfaceMethods<Lowbit_TransformInterface>]> {
  let summary = "columns copied to new places";
  let description = [{
    The result's columns are runs of the input's, one after the other: `runs` lists
    first column and number of columns of each run; a first column of −1 is a run
    of zeros. Columns may be taken several times. `transposed`: the transpose Gᵀ,
    which adds up what was copied. `averaged`: each value is divided by the number
    of copies of its column (by 1 where there is none). Gᵀ averaged is the inverse
    from the right: x · G · G⁺ = x where every column is taken.

    Constraints:

    - (C1) `columns` is from 1 to 2^24. `runs` has an even number of entries, at
      least two; counts are positive, 2^24 in all at most; a run lies within
      0 … `columns` − 1 or has the first column −1.
    - (C2) the input has `columns` columns (transposed: as many as the runs have in
      all).

    Example: `#lowbit.gather<columns = 8, runs = [0, 5, 4, 4, -1, 7]>` takes column 4 twice and pads to 16.
  }];
  let parameters = (ins
    "int64_t":$columns,
    ArrayRefParameter<"int64_t">:$runs,
    DefaultValuedParameter<"bool", "false">:$transposed,
    DefaultValuedParameter<"bool", "false">:$averaged);
  let assemblyFormat = [{
    `<` custom<Gather>($columns, $runs, $transposed, $averaged) `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// For each column of the (not transposed) result the column that it is a
    /// copy of, −1 for zero.
    std::vector<int64_t> getIndex() const;
    /// Copies of each of the `columns` columns.
    std::vector<int64_t> getCopies() const;
  }];
}

#endif // LOWBIT_IR_LOWBITATTRS_TD
