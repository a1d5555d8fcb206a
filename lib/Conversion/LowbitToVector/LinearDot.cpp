//===- LinearDot.cpp - What the instruction families share ------*- C++ -*-===//

#include "LinearDot.h"

using namespace mlir;
using namespace lowbit;

void IntegerDot::beginRow(Value token) { row = activation(token, k.index(0)); }

Value IntegerDot::activation(Value token, Value column) {
  Value rows = k.mul(token, k.index(linear.planes * linear.planeStride()));
  return k.offset(arguments.q, k.add(rows, column));
}

Value IntegerDot::broadcastBytes(Value pointer, int64_t lanes) {
  OpBuilder &builder = k.getBuilder();
  Value word = k.load(builder.getI32Type(), pointer);
  return k.bitcast(k.splat(word, lanes),
                   k.vectorType(builder.getI8Type(), lanes * 4));
}

Value IntegerDot::byteMask(int byte, int64_t bytes) {
  SmallVector<int8_t> mask(bytes, static_cast<int8_t>(byte));
  return k.constant(mask);
}

void IntegerDot::decode(Value codes, Value panel, int64_t columns) {
  OpBuilder &builder = k.getBuilder();
  VectorType words = k.vectorType(builder.getI16Type(), 32);
  const DigitShape &shape = linear.shape;
  for (int64_t block = 0; block < shape.blocks(columns); ++block) {
    SmallVector<Value> vectors;
    for (int64_t v = 0; v < shape.vectors(); ++v)
      vectors.push_back(
          k.load(words, k.offset(codes, (block * shape.vectors() + v) * 64)));
    // The digits of a step, each shifted to its weight, joined.
    SmallVector<Value> steps(shape.columns / stepColumns);
    for (const DigitStep &digit : shape.steps()) {
      Value code = vectors[digit.vector];
      int down = digit.position - digit.weightLog2;
      code = down > 0   ? k.shru(code, down)
             : down < 0 ? k.shl(code, -down)
                        : code;
      int mask = ((1 << digit.bits) - 1) << digit.weightLog2;
      if (mask != 0xff)
        code = k.andi(code, k.bitcast(byteMask(mask, 64), words));
      Value &step = steps[digit.column / stepColumns];
      step = step ? k.ori(step, code) : code;
    }
    for (auto [i, step] : llvm::enumerate(steps)) {
      int64_t index = block * steps.size() + i;
      k.store(step, k.offset(panel, index * stepBytes()));
    }
  }
}

std::unique_ptr<IntegerDot>
lowbit::createIntegerDot(const LinearKernel &linear, KernelBuilder &k,
                         const LinearArguments &arguments) {
  const TargetInfo &target = k.getTarget();
  if (!target.hasAvx2 || target.hasAvx512Vnni)
    return createByteDot(linear, k, arguments);
  bool isWide = llvm::any_of(linear.shape.planes, [](const DigitPlane &plane) {
    return plane.bits == 8;
  });
  if (isWide)
    return createAvx2WideDot(linear, k, arguments);
  return createAvx2Dot(linear, k, arguments);
}
