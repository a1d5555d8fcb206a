//===- GroupedWeights.cpp - Integer weights with scales ---------*- C++ -*-===//

#include "GroupedWeights.h"
#include "RowLoops.h"

using namespace mlir;
using namespace lowbit;

static FailureOr<GroupedWeights>
describeIntegers(const IntegerFormat *integers, int64_t rows, int64_t columns) {
  std::optional<TileGeometry> geometry = tileGeometry(*integers, rows, columns);
  if (!geometry)
    return failure();
  GroupedWeights weights;
  weights.shape = makeDecodeShape(*integers);
  weights.geometry = *geometry;
  weights.group = integers->group;
  weights.scale = integers->scale;
  weights.hasFactor = integers->hasFactor();
  weights.unit = integers->unit();
  if (integers->element != Element::Integer) {
    weights.zero = -smallestStep(*integers);
    return weights;
  }
  switch (integers->offset) {
  case Offset::Integer:
    weights.zero = 1 << (integers->bits - 1);
    break;
  case Offset::Half:
    weights.multiplier = 2;
    weights.zero = (1 << integers->bits) - 1;
    break;
  case Offset::Stored:
    weights.zeroBits = integers->bits;
    break;
  }
  return weights;
}

FailureOr<GroupedWeights> GroupedWeights::get(FormatInterface format,
                                              int64_t rows, int64_t columns) {
  FormatPtr stored = format.getWeightFormat();
  const IntegerFormat *integers = stored->integers();
  if (!integers)
    return failure();
  return describeIntegers(integers, rows, columns);
}

FailureOr<GroupedWeights> GroupedWeights::bytesOfRows(int64_t rows,
                                                      int64_t columns) {
  IntegerFormat bytes = {/*bits=*/8, /*group=*/0, ScaleType::F16,
                         Offset::Integer};
  return describeIntegers(&bytes, rows, columns);
}

int64_t GroupedWeights::largestStep() const {
  int64_t top = multiplier * shape->largest();
  // A stored zero point has the bits of a code.
  return hasStoredZeros() ? top : std::max<int64_t>(zero, top - zero);
}

Value GroupedWeights::scales(KernelBuilder &k, Value pointer) const {
  OpBuilder &builder = k.getBuilder();
  if (scale == ScaleType::F16)
    return k.f16ToF32(k.load(k.vectorType(builder.getI16Type()), pointer));
  Value codes = k.load(k.vectorType(builder.getI8Type()), pointer);
  return scale == ScaleType::E8M0 ? k.e8m0ToF32(codes) : k.e4m3ToF32(codes);
}

Value GroupedWeights::scaleOf(KernelBuilder &k, Value pointer,
                              Value lane) const {
  OpBuilder &builder = k.getBuilder();
  if (scale == ScaleType::F16)
    return k.f16ToF32(
        k.load(builder.getI16Type(), k.element(pointer, lane, 2)));
  Value code = k.load(builder.getI8Type(), k.offset(pointer, lane));
  return scale == ScaleType::E8M0 ? k.e8m0ToF32(code) : k.e4m3ToF32(code);
}

Value GroupedWeights::zeros(KernelBuilder &k, Value pointer) const {
  return unpackLanes(k, pointer, zeroBits);
}

Value GroupedWeights::factor(KernelBuilder &k, Value weight) const {
  if (!hasFactor)
    return Value();
  int64_t trailer = geometry.tiles * geometry.tileBytes;
  return k.load(k.getBuilder().getF32Type(), k.offset(weight, trailer));
}
