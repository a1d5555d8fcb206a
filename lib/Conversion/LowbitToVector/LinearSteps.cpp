//===- LinearSteps.cpp - Float steps of a linear ----------------*- C++ -*-===//

#include "LinearSteps.h"

using namespace mlir;
using namespace lowbit;

LinearSteps::LinearSteps(const LinearKernel &linear, KernelBuilder &k,
                         const LinearArguments &arguments)
    : linear(linear), k(k), arguments(arguments) {
  if (!linear.isInteger())
    return;
  factor = linear.weights.factor(k, arguments.weight);
  if (linear.weights.unit != 1) {
    Value unit = k.f32(linear.weights.unit);
    factor = factor ? k.mul(factor, unit) : unit;
  }
}

Value LinearSteps::tile(Value index) {
  return k.element(arguments.weight, index, linear.tileBytes());
}

Value LinearSteps::sums(Value token, Value index) {
  int64_t count = linear.sumCount();
  Value i = k.add(k.mul(token, k.index(linear.planes * count)), index);
  return k.element(arguments.sums, i, 4);
}

Value LinearSteps::toFloat(const Sums &exact, Value sums, Value zeros) {
  Type i32 = k.getBuilder().getI32Type();
  const GroupedWeights &weights = linear.weights;
  SmallVector<Value> plain;
  for (int64_t plane = 0; plane < linear.planes; ++plane)
    plain.push_back(k.load(i32, k.offset(sums, plane * linear.sumCount() * 4)));
  if (exact.size() < plain.size())
    plain = {k.add(k.shl(plain[0], 8), plain[1])};

  Sums whole;
  for (auto [sum, activations] : llvm::zip_equal(exact, plain)) {
    Value product = sum;
    if (weights.multiplier != 1)
      product = k.mul(sum, k.splat(k.i32(weights.multiplier)));
    Value offset = weights.hasStoredZeros()
                       ? k.mul(zeros, k.splat(activations))
                       : k.splat(k.mul(activations, k.i32(weights.zero)));
    whole.push_back(k.sub(product, offset));
  }
  return toFloat(whole);
}

Value LinearSteps::toFloat(const Sums &exact) {
  Value first = k.toF32(exact[0]);
  if (exact.size() == 1)
    return first;
  return k.fma(first, k.splat(k.f32(256.0f)), k.toF32(exact[1]));
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
