//===- RotaryTable.cpp - Cosines and sines of a batch -----------*- C++ -*-===//
//
// Angle = double(position) · double(frequency); cos and sin in f64, rounded to
// f32 once. Both are computed here, without a library and without fma, so that
// every variant gives the same bits (SinCos.h).
//
//===----------------------------------------------------------------------===//

#include "RowLoops.h"
#include "SinCos.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace lowbit;
using namespace mlir;

/// f64 lanes that are computed together.
static constexpr int64_t angleLanes = 8;

/// The frequencies from `first` on as f64 lanes; 0 beyond the last.
static Value frequencyLanes(KernelBuilder &k, ArrayRef<float> frequencies,
                            int64_t first) {
  SmallVector<double> lanes(angleLanes);
  for (int64_t i = 0; i < angleLanes; ++i)
    if (first + i < int64_t(frequencies.size()))
      lanes[i] = frequencies[first + i];
  auto type = k.vectorType(k.getBuilder().getF64Type(), angleLanes);
  return arith::ConstantOp::create(
      k.getBuilder(), k.getLoc(),
      DenseElementsAttr::get(type, ArrayRef<double>(lanes)));
}

static void storeRounded(KernelBuilder &k, Value f64Lanes, Value pointer,
                         int64_t lanes) {
  OpBuilder &builder = k.getBuilder();
  Value rounded = arith::TruncFOp::create(
      builder, k.getLoc(), k.vectorType(builder.getF32Type(), angleLanes),
      f64Lanes);
  if (lanes == angleLanes)
    k.store(rounded, pointer);
  else
    k.storeTail(rounded, pointer, lanes);
}

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  ArrayRef<float> frequencies = parameters.reals("frequencies");
  int64_t half = frequencies.size();
  if (!parameters.failed() && half == 0)
    parameters.report("frequencies", "is empty");
  for (float frequency : frequencies)
    if (!(frequency >= 0 && frequency <= largestFrequency))
      parameters.report("frequencies", "holds " + std::to_string(frequency) +
                                           ", expected 0 to " +
                                           std::to_string(largestFrequency));
  if (parameters.failed())
    return failure();

  OpBuilder &builder = k.getBuilder();
  SmallVector<Value> pointers = loadArguments(k, arguments, 3);
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    Value pair = k.element(pointers[0], row, 8);
    Value position = k.load(builder.getI32Type(), k.offset(pair, 4), 4);
    Value wide =
        k.splat(arith::SIToFPOp::create(builder, k.getLoc(),
                                        builder.getF64Type(), position),
                angleLanes);
    Value cosRow = rowPointer(k, pointers[1], row, {0, half});
    Value sinRow = rowPointer(k, pointers[2], row, {0, half});
    for (int64_t i = 0; i < half; i += angleLanes) {
      Value angle = k.mul(wide, frequencyLanes(k, frequencies, i));
      auto [cos, sin] = SinCos(k).emit(angle);
      int64_t lanes = std::min(angleLanes, half - i);
      storeRounded(k, cos, k.offset(cosRow, 4 * i), lanes);
      storeRounded(k, sin, k.offset(sinRow, 4 * i), lanes);
    }
  });
  return success();
}

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::rotaryTableFamily = {"rotary_table", emit,
                                                scratchBytes};
