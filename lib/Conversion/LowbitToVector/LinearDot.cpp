//===- LinearDot.cpp - What the instruction families share ------*- C++ -*-===//

#include "LinearDot.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lowbit;

void IntegerDot::beginRow(Value token) { row = activation(token, k.index(0)); }

Value lowbit::activationsOf(const LinearKernel &linear, KernelBuilder &k,
                            const LinearArguments &arguments, Value token) {
  return k.element(arguments.q, token, linear.planes * linear.planeStride());
}

Value IntegerDot::activation(Value token, Value column) {
  return k.offset(activationsOf(linear, k, arguments, token), column);
}

Value lowbit::broadcastBytes(KernelBuilder &k, Value pointer, int64_t lanes) {
  OpBuilder &builder = k.getBuilder();
  Value word = k.load(builder.getI32Type(), pointer);
  return k.bitcast(k.splat(word, lanes),
                   k.vectorType(builder.getI8Type(), lanes * 4));
}

void lowbit::widenActivations(const LinearKernel &linear, KernelBuilder &k,
                              Value activations, Value words, Value columns) {
  OpBuilder &builder = k.getBuilder();
  VectorType bytes = k.vectorType(builder.getI8Type());
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < 16; i += 4)
    order.append({i, i + 2, i + 1, i + 3});
  k.forLoop(k.index(0), columns, 16, [&](Value column) {
    Value from = k.offset(activations, column);
    Value x = k.extend(k.load(bytes, from), builder.getI16Type(), true);
    if (linear.planes == 2) {
      Value low = k.load(bytes, k.offset(from, linear.planeStride()));
      x = k.add(k.shl(x, 8), k.extend(low, builder.getI16Type(), true));
    }
    x = vector::ShuffleOp::create(builder, k.getLoc(), x, x, order);
    k.store(x, k.element(words, column, 2), 32);
  });
}

void IntegerDot::decode(Value codes, Value panel, int64_t columns,
                        Value zeros) {
  const DecodeShape &shape = *linear.weights.shape;
  SmallVector<CodeStep> steps = shape.steps(StepCut::Whole);
  for (int64_t block = 0; block < shape.blocks(columns); ++block) {
    BlockWords words(k, k.offset(codes, block * shape.blockBytes()), 64);
    for (const CodeStep &step : steps) {
      int64_t index = (block * shape.columns() + step.column) / stepColumns;
      storeStep(shape.emit(k, step, words),
                k.offset(panel, index * stepBytes()), zeros);
    }
  }
}

void IntegerDot::storeStep(Value bytes, Value step, Value) {
  k.store(bytes, step);
}

std::unique_ptr<IntegerDot>
lowbit::createIntegerDot(const LinearKernel &linear, KernelBuilder &k,
                         const LinearArguments &arguments, CodePlace place) {
  const TargetInfo &target = k.getTarget();
  if (!target.hasAvx2 || target.hasAvx512Vnni)
    return createByteDot(linear, k, arguments);
  if (usesWords(linear, place))
    return createAvx2WideDot(linear, k, arguments);
  return createAvx2Dot(linear, k, arguments);
}
