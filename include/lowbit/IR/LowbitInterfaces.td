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

#endif // LOWBIT_IR_LOWBITINTERFACES_TD
