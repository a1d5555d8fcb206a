//===- LinearKernel.cpp - One linear to generate ----------------*- C++ -*-===//

#include "LinearKernel.h"
#include "KernelParameters.h"

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

static void readWeight(KernelParameters &parameters, LinearKernel &linear) {
  Type given = parameters.type("type");
  if (!given)
    return;
  auto type = dyn_cast<RankedTensorType>(given);
  if (!type || type.getRank() != 2 || !type.hasStaticShape() ||
      type.getNumElements() < 1)
    return parameters.report("type", "expected the type of a static matrix");
  linear.outputs = type.getDimSize(0);
  linear.inputs = type.getDimSize(1);
  if (std::max(linear.outputs, linear.inputs) > maxKernelExtent)
    return parameters.report("type", "is too large");
  if (!type.getEncoding()) {
    Type element = type.getElementType();
    if (!element.isF32() && !element.isF16() && !element.isBF16())
      return parameters.report("type", "expected weights of f32, f16 or bf16");
    linear.weightType = element;
    return;
  }
  FormatInterface format = getFormat(type);
  FailureOr<GroupedWeights> weights = failure();
  FormatPtr stored = format ? format.getWeightFormat() : nullptr;
  const TrellisFormat *trellis = stored ? stored->trellis() : nullptr;
  if (trellis) {
    std::optional<TrellisGeometry> geometry =
        trellisGeometry(*trellis, linear.outputs, linear.inputs);
    if (!geometry)
      return parameters.report("type", "is too large");
    linear.trellis = TrellisStreams{*trellis, *geometry};
    weights = GroupedWeights::bytesOfRows(linear.outputs, linear.inputs);
  } else if (format)
    weights = GroupedWeights::get(format, linear.outputs, linear.inputs);
  if (failed(weights))
    return parameters.report("type", "no kernel decodes this format");
  linear.weights = *weights;
}

static void readActivation(KernelParameters &parameters, LinearKernel &linear) {
  Type type = parameters.type("activation");
  if (!type)
    return;
  if (type.isInteger(16))
    linear.planes = 2;
  else if (type.isInteger(8))
    linear.planes = 1;
  else if (!type.isF32())
    return parameters.report("activation", "expected f32, i16 or i8");
  if (linear.isInteger() == (linear.planes == 0))
    return parameters.report("activation",
                             "expected i16 or i8 for integer weights and f32 "
                             "for float weights");
  if (linear.isInteger())
    return;
  ColumnView x = parameters.view("x", linear.inputs);
  linear.xOffset = x.offset;
  linear.xStride = x.stride;
}

FailureOr<LinearKernel> LinearKernel::get(KernelOp kernel) {
  LinearKernel linear;
  KernelParameters parameters(kernel);
  readWeight(parameters, linear);
  if (parameters.failed())
    return failure();
  readActivation(parameters, linear);
  linear.bucket = parameters.integer("bucket", 1, 32);
  linear.hasBias = parameters.boolean("bias");
  linear.hasResidual = parameters.boolean("residual");
  linear.yStride = parameters.integer("y_stride", linear.outputs);
  if (linear.bucket != 1 && linear.bucket != 16 && linear.bucket != 32)
    parameters.report("bucket", "expected 1, 16 or 32");
  if (parameters.failed())
    return failure();
  return linear;
}

int64_t LinearKernel::tileBytes() const {
  if (isInteger())
    return weights.geometry.tileBytes;
  int64_t bytes = inputs * tileRows * (weightType.getIntOrFloatBitWidth() / 8);
  return (bytes + tileAlignment - 1) / tileAlignment * tileAlignment;
}

int64_t LinearKernel::sumCount() const {
  if (!isRowScaled())
    return weights.geometry.groups;
  return (inputs + slabColumns - 1) / slabColumns;
}

int64_t LinearKernel::sumColumns() const {
  return isRowScaled() ? slabColumns : weights.group;
}

bool LinearKernel::combinesPlanes() const {
  // Small digits may stay at their bit (StepCut::Small), up to 4 times as
  // large.
  int64_t largest = weights.shape->largest();
  return sumFits(largest <= 63 ? 4 * largest : largest);
}

bool LinearKernel::sumFits(int64_t largest) const {
  constexpr int64_t maxActivation = 32639;
  return planes == 2 && sumColumns() * largest * maxActivation <= INT32_MAX;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

LinearArguments LinearArguments::load(const LinearKernel &linear,
                                      KernelBuilder &k,
                                      const KernelArguments &arguments) {
  LinearArguments result;
  int64_t next = 0;
  auto argument = [&] { return k.loadArgument(arguments.args, next++); };
  if (linear.isInteger()) {
    result.q = argument();
    result.scales = argument();
    result.sums = argument();
  } else {
    result.x = k.offset(argument(), linear.xOffset * 4);
  }
  result.weight = argument();
  if (linear.hasBias)
    result.bias = argument();
  if (linear.hasResidual)
    result.residual = argument();
  result.y = argument();
  result.tokens = arguments.rows;
  result.begin = arguments.begin;
  result.end = arguments.end;
  result.scratch = arguments.scratch;
  return result;
}
