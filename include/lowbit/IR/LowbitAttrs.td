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

    - (C1) `bits` is 2, 3, 4 or 8.
    - (C2) `group` is 32, 64, 128 or `row` (one group for the whole row).
    - (C3) `scale` is `f16` or `f8E4M3FN`.
    - (C4) the tensor has two static dimensions, none of them zero, and element
      type `f32`.

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

def Lowbit_LayoutAttr : Lowbit_Attr<"Layout", "layout"> {
  let summary = "rows interleaved to vectors";
  let description = [{
    `tile_rows` consecutive rows form a tile; within a vector each row (lane)
    holds `lane_bytes` consecutive bytes (Spec.md, section 2). The CPU reads a
    vector as dword lanes, a warp reads the same bytes as fragments of
    `mma.m16n8k32`.

    Constraints:

    - (C1) `tile_rows` is 16.
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

    - (C1) `file` and `tensor` are not empty; `file` names no other folder.
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
    `f32` as it is; `i16` and `i8` symmetric integers with one scale per token;
    `i4` and `i2` integers with a scale for each group of columns, `f16` or, times
    one factor per token, `f8E4M3FN`, with offset `integer` (symmetric) or
    `stored` (a zero point) (Spec.md, section 3).

    Constraints:

    - (C1) the type is `f32`, `i16`, `i8`, `i4` or `i2`.
    - (C2) i4 and i2 have a group of 32, 64 or 128, a scale and an offset; other
      types have none.
    - (C3) `scale` is `f16` or `f8E4M3FN`; `offset` is `integer` or `stored`.

    Example: `#lowbit.activation<i16>`, `#lowbit.activation<i4, group = 32, scale = f8E4M3FN, offset = stored>`
  }];
  let parameters = (ins
    "::mlir::Type":$type,
    DefaultValuedParameter<"int64_t", "0">:$group,
    OptionalParameter<"::mlir::Type">:$scale,
    DefaultValuedParameter<"::lowbit::ZeroOffset", "::lowbit::ZeroOffset::Integer">:$offset);
  let builders = [AttrBuilder<(ins "::mlir::Type":$type), [{
    return $_get($_ctxt, type, 0, ::mlir::Type(), ::lowbit::ZeroOffset::Integer);
  }]>];
  let assemblyFormat = "`<` $type `` custom<ActivationGroup>($group, $scale, $offset) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Planes of signed bytes: 2 for i16, 0 for f32, else 1.
    int64_t getPlanes() const;
    /// Whether there is a scale for each group of columns.
    bool isGrouped() const { return getGroup() != 0; }
    /// `i8`, `i4-g32-e4m3-stored`.
    std::string getShortName() const;
  }];
}

#endif // LOWBIT_IR_LOWBITATTRS_TD
