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

void IntegerDot::decode(Value codes, Value panel, int64_t columns) {
  const DecodeShape &shape = *linear.weights.shape;
  SmallVector<CodeStep> steps = shape.steps(StepCut::Whole);
  for (int64_t block = 0; block < shape.blocks(columns); ++block) {
    BlockWords words(k, k.offset(codes, block * shape.blockBytes()), 64);
    for (const CodeStep &step : steps) {
      int64_t index = (block * shape.columns() + step.column) / stepColumns;
      storeStep(shape.emit(k, step, words),
                k.offset(panel, index * stepBytes()));
    }
  }
}

void IntegerDot::storeStep(Value bytes, Value step) { k.store(bytes, step); }

std::unique_ptr<IntegerDot>
lowbit::createIntegerDot(const LinearKernel &linear, KernelBuilder &k,
                         const LinearArguments &arguments) {
  const TargetInfo &target = k.getTarget();
  if (!target.hasAvx2 || target.hasAvx512Vnni)
    return createByteDot(linear, k, arguments);
  if (needsWords(linear))
    return createAvx2WideDot(linear, k, arguments);
  return createAvx2Dot(linear, k, arguments);
}
