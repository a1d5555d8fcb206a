//===- GroupedWeights.cpp - Integer weights with scales ---------*- C++ -*-===//

#include "GroupedWeights.h"
#include "RowLoops.h"
#include "lowbit/Numerics/IntegerTile.h"
#include <cmath>

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
  if (integers->isFloat()) {
    weights.floats = *integers->smallFloat();
    return weights;
  }
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
    weights.zeroBits = zeroBits(*integers);
    // Codes of one bit: 256 c − z.
    weights.multiplier = zerosPerCode(*integers);
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

Value GroupedWeights::floatValues(KernelBuilder &k, Value codes) const {
  // Exponent and mantissa at their places in an f32 of another bias, which a
  // multiplication by a power of two puts right; subnormals come out, too.
  int64_t signBit = shape->largest() == 63 ? 5 : 7;
  int32_t magnitudeBits = (1 << signBit) - 1;
  Value sign =
      k.shl(k.andi(codes, k.splat(k.i32(magnitudeBits + 1))), 31 - signBit);
  Value magnitude = k.shl(k.andi(codes, k.splat(k.i32(magnitudeBits))),
                          23 - floats->mantissaBits);
  Value value = k.bitcast(k.ori(sign, magnitude), k.f32x16());
  return k.mul(value, k.splat(k.f32(std::ldexp(1.0f, 126 + floats->least))));
}

Value GroupedWeights::factor(KernelBuilder &k, Value weight) const {
  if (!hasFactor)
    return Value();
  int64_t trailer = geometry.tiles * geometry.tileBytes;
  return k.load(k.getBuilder().getF32Type(), k.offset(weight, trailer));
}
