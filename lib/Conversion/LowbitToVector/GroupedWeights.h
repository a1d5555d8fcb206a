//===- GroupedWeights.h - Integer weights with scales -----------*- C++ -*-===//
//
// What the walks of integer linears and the embedding see of a format: where
// groups, scales and zero points lie, the shape that turns words into bytes u,
// and what a byte means. The integer of Spec.md, section 3 is
//
//   step = multiplier · u − zero,      w = F · s · (step · unit)
//
// with one `zero` for all weights, or one for each group. Formats become such a
// description in GroupedWeights.cpp and are not looked at again.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_GROUPEDWEIGHTS_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_GROUPEDWEIGHTS_H

#include "DecodeShape.h"
#include "lowbit/IR/Lowbit.h"

namespace lowbit {

struct GroupedWeights {
  std::shared_ptr<const DecodeShape> shape;
  TileGeometry geometry;
  /// Columns of a group; 0: one scale for the row.
  int64_t group = 0;
  ScaleType scale = ScaleType::F16;
  /// A factor F of the tensor lies behind the last tile.
  bool hasFactor = false;
  /// Bits of a stored zero point; 0 where `zero` holds for all.
  int zeroBits = 0;
  int32_t multiplier = 1, zero = 0;
  float unit = 1;

  /// The description of an N × K weight; fails where `format` is served by no
  /// integer kernel or a size overflows.
  static mlir::FailureOr<GroupedWeights> get(FormatInterface format,
                                             int64_t rows, int64_t columns);

  /// Bytes u of the value u − 128, with one f16 scale per row: what other
  /// shapes are decoded to. Fails where a size overflows.
  static mlir::FailureOr<GroupedWeights> bytesOfRows(int64_t rows,
                                                     int64_t columns);

  bool hasStoredZeros() const { return zeroBits != 0; }
  /// Largest |step|.
  int64_t largestStep() const;
  /// 16 scales stored at `pointer`, f32.
  Value scales(KernelBuilder &k, Value pointer) const;
  /// The scale of one row: lane `lane` (i64) of those at `pointer`, f32.
  Value scaleOf(KernelBuilder &k, Value pointer, Value lane) const;
  /// 16 stored zero points at `pointer`, i32.
  Value zeros(KernelBuilder &k, Value pointer) const;
  /// F (f32), loaded from the buffer that starts at `weight`; null where there
  /// is none.
  Value factor(KernelBuilder &k, Value weight) const;
};

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_GROUPEDWEIGHTS_H
