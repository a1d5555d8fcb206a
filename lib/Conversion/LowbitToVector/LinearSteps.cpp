//===- LinearSteps.cpp - Float steps of a linear ----------------*- C++ -*-===//

#include "LinearSteps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lowbit;

LinearSteps::LinearSteps(const LinearKernel &linear, KernelBuilder &k,
                         const LinearArguments &arguments)
    : linear(linear), k(k), arguments(arguments) {
  if (!linear.isInteger())
    return;
  bool isHalf = linear.format.offset == Offset::Half;
  if (linear.format.hasFactor()) {
    int64_t trailer = linear.geometry.tiles * linear.geometry.tileBytes;
    factor = k.load(k.getBuilder().getF32Type(),
                    k.offset(arguments.weight, trailer));
    if (isHalf)
      factor = k.mul(factor, k.f32(0.5f));
  } else if (isHalf) {
    factor = k.f32(0.5f);
  }
}

Value LinearSteps::tile(Value index) {
  return k.element(arguments.weight, index, linear.tileBytes());
}

Value LinearSteps::scales(Value pointer) {
  OpBuilder &builder = k.getBuilder();
  if (linear.format.scale == ScaleType::F16)
    return k.f16ToF32(k.load(k.vectorType(builder.getI16Type()), pointer));
  Value codes = k.load(k.vectorType(builder.getI8Type()), pointer);
  if (!k.getTarget().hasF16Conversion)
    return k.e4m3ToF32(codes);
  // Moved to f16's place the code is scale · 2^-8, subnormals included, and the
  // conversion of f16 subnormals is fast where that of f32 subnormals is not.
  Value moved = k.shl(k.extend(codes, builder.getI16Type(), false), 7);
  return k.mul(k.f16ToF32(moved), k.splat(k.f32(256.0f)));
}

Value LinearSteps::zeros(Value pointer) {
  OpBuilder &builder = k.getBuilder();
  int bits = linear.format.bits;
  if (bits == 8)
    return k.extend(k.load(k.vectorType(builder.getI8Type()), pointer),
                    builder.getI32Type(), /*isSigned=*/false);
  // Eight lanes are b bytes: lanes 0…7 from one word, 8…15 from the one that
  // starts b bytes on.
  SmallVector<int32_t> shifts, isHigh;
  for (int lane = 0; lane < 16; ++lane) {
    shifts.push_back(lane % 8 * bits);
    isHigh.push_back(lane < 8 ? 0 : -1);
  }
  Value low = k.splat(k.load(builder.getI32Type(), pointer));
  Value high = k.splat(k.load(builder.getI32Type(), k.offset(pointer, bits)));
  Value isLow = k.compare(arith::CmpIPredicate::eq, k.constant(isHigh),
                          k.zero(k.i32x16()));
  Value word = k.select(isLow, low, high);
  Value shifted =
      arith::ShRUIOp::create(builder, k.getLoc(), word, k.constant(shifts));
  return k.andi(shifted, k.splat(k.i32((1 << bits) - 1)));
}

Value LinearSteps::sums(Value token, Value index) {
  int64_t count = linear.sumCount();
  Value i = k.add(k.mul(token, k.index(linear.planes * count)), index);
  return k.element(arguments.sums, i, 4);
}

Value LinearSteps::toFloat(const Sums &exact, Value sums, Value zeros) {
  Type i32 = k.getBuilder().getI32Type();
  int bits = linear.format.bits;
  SmallVector<Value> plain;
  for (int64_t plane = 0; plane < linear.planes; ++plane)
    plain.push_back(k.load(i32, k.offset(sums, plane * linear.sumCount() * 4)));
  if (exact.size() < plain.size())
    plain = {k.add(k.shl(plain[0], 8), plain[1])};

  SmallVector<Value> parts;
  for (auto [sum, activations] : llvm::zip_equal(exact, plain)) {
    Value whole = sum, offset;
    switch (linear.format.offset) {
    case Offset::Integer: // Σ c·q − 2^(b−1) Σ q
      offset = k.splat(k.shl(activations, bits - 1));
      break;
    case Offset::Half: // 2 Σ c·q − (2^b − 1) Σ q
      whole = k.shl(sum, 1);
      offset = k.splat(k.mul(activations, k.i32((1 << bits) - 1)));
      break;
    case Offset::Stored:
      offset = k.mul(zeros, k.splat(activations));
      break;
    }
    parts.push_back(k.toF32(k.sub(whole, offset)));
  }
  if (parts.size() == 1)
    return parts[0];
  return k.fma(parts[0], k.splat(k.f32(256.0f)), parts[1]);
}

void LinearSteps::writeRow(Value token, Value tile, Value total,
                           Value rowScales) {
  Type f32 = k.getBuilder().getF32Type();
  Value y = total;
  if (rowScales)
    y = k.mul(y, rowScales);
  if (linear.isInteger()) {
    Value a = k.load(f32, k.element(arguments.scales, token, 4));
    if (factor)
      a = k.mul(a, factor);
    y = k.mul(y, k.splat(a));
  }
  Value first = k.mul(tile, k.index(tileRows));
  // Bias and residual are read whole: beyond the last output lies the slack
  // that every buffer has, and those lanes are not stored.
  if (linear.hasBias)
    y = k.add(y, k.load(k.f32x16(), k.element(arguments.bias, first, 4)));
  if (linear.hasResidual) {
    Value i = k.add(k.mul(token, k.index(linear.outputs)), first);
    y = k.add(k.load(k.f32x16(), k.element(arguments.residual, i, 4)), y);
  }
  Value i = k.add(k.mul(token, k.index(linear.yStride)), first);
  Value pointer = k.element(arguments.y, i, 4);
  int64_t rest = linear.outputs % tileRows;
  if (rest == 0)
    return k.store(y, pointer);
  Value isLast =
      k.compare(arith::CmpIPredicate::eq, tile, k.index(linear.tiles() - 1));
  k.ifElse(
      isLast, [&] { k.storeTail(y, pointer, rest); },
      [&] { k.store(y, pointer); });
}
