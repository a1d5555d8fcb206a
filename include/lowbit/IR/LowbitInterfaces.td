//===- LowbitInterfaces.td - What every format offers ------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITINTERFACES_TD
#define LOWBIT_IR_LOWBITINTERFACES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def Lowbit_FormatInterface : AttrInterface<"FormatInterface"> {
  let cppNamespace = "::lowbit";
  let description = [{
    The encoding of a quantized weight. What a format is (its sizes, its name,
    how it is packed) is said by a `WeightFormat` of Numerics; the attribute only
    names it. It knows nothing of targets.
  }];
  let methods = [
    InterfaceMethod<
      "The format on plain arrays.",
      "::lowbit::FormatPtr", "getWeightFormat", (ins)>,
  ];
  let extraSharedClassDeclaration = [{
    /// Bytes of the stored buffer of a rows x columns weight, payload and
    /// padding apart (Spec.md, 1.2 and 2). None where a size overflows.
    std::optional<::lowbit::StoredSize> getStoredSize(int64_t rows,
                                                      int64_t columns) const {
      return $_attr.getWeightFormat()->storedSize(rows, columns);
    }
    /// Bytes that one lane (row) holds in a vector of the layout.
    int64_t getLaneBytes() const {
      return $_attr.getWeightFormat()->laneBytes();
    }
    /// Rows of a tile.
    int64_t getTileRows() const {
      return $_attr.getWeightFormat()->tileRows();
    }
    /// Columns that an exact integer sum covers at most; 0 where activations
    /// are f32.
    int64_t getSumColumns() const {
      return $_attr.getWeightFormat()->sumColumns();
    }
    /// Name in recipes, reports and kernel names, e.g. `int4-g64`.
    std::string getShortName() const { return $_attr.getWeightFormat()->name(); }
  }];
}

def Lowbit_TransformInterface : AttrInterface<"TransformInterface"> {
  let cppNamespace = "::lowbit";
  let description = [{
    A matrix T that rows x are multiplied with: y = x · T. Kinds that hold numbers
    take them from matrix operands of the operation, so that no weight bytes are in
    the IR. Transpose and inverse with their operands: `lowbit/IR/Transform.h`.
  }];
  let methods = [
    InterfaceMethod<
      "Columns of the result for an input of `columns` columns and these matrix "
      "operands; none, with the reason in `problem`, where they do not fit.",
      "std::optional<int64_t>", "getResultColumns",
      (ins "int64_t":$columns, "::llvm::ArrayRef<::mlir::RankedTensorType>":$matrices,
           "std::string &":$problem)>,
    InterfaceMethod<
      "Columns after which T repeats itself: T = I ⊗ (block × block). 0 for "
      "transforms that have no such blocks.",
      "int64_t", "getBlock",
      (ins "::llvm::ArrayRef<::mlir::RankedTensorType>":$matrices)>,
    InterfaceMethod<"Whether T · Tᵀ = I.", "bool", "isOrthogonal", (ins)>,
    InterfaceMethod<"Whether T is diagonal.", "bool", "isDiagonal", (ins)>,
    InterfaceMethod<
      "The attribute of Tᵀ; its matrix operands are the transposes of T's.",
      "::lowbit::TransformInterface", "getTransposedKind", (ins)>,
    InterfaceMethod<
      "The attribute of T⁻¹; its matrix operands are the inverses of T's (for an "
      "orthogonal T: the transposes).",
      "::lowbit::TransformInterface", "getInverseKind", (ins)>,
  ];
}

#endif // LOWBIT_IR_LOWBITINTERFACES_TD
