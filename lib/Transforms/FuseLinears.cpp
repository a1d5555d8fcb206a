//===- FuseLinears.cpp - Make one linear of those that share an input -----===//

#include "WeightChains.h"
#include "lowbit/Transforms/Passes.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITFUSELINEARS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

/// A linear's weight taken apart: the matrix before its quantization, if any.
struct FusableWeight {
  Value matrix;
  QuantizeOp quantize;
};

/// What `linear` multiplies with, where it can be stacked: a chain of weight
/// operations that nothing else uses.
std::optional<FusableWeight> getFusableWeight(LinearOp linear) {
  Value weight = linear.getWeight();
  if (!weight.hasOneUse())
    return std::nullopt;
  auto quantize = weight.getDefiningOp<QuantizeOp>();
  if (quantize) {
    // Each given tensor has facts of its own (a factor); a stacked one would
    // have one.
    if (quantize.getSolver() == "given" &&
        getFormat(weight.getType()).getWeightFormat()->hasTensorFacts())
      return std::nullopt;
    weight = quantize.getInput();
  }
  if (!weight.hasOneUse() || !isPlainChain(weight))
    return std::nullopt;
  return FusableWeight{weight, quantize};
}

/// What linears must have in common to become one, as a value to compare.
ArrayAttr getFusionKey(LinearOp linear, FusableWeight weight) {
  MLIRContext *context = linear.getContext();
  auto type = cast<RankedTensorType>(weight.matrix.getType());
  auto result = cast<RankedTensorType>(linear.getWeight().getType());
  Attribute none = UnitAttr::get(context);
  Value bias = linear.getBias();
  Type biasElement =
      bias ? cast<RankedTensorType>(bias.getType()).getElementType() : Type();
  return ArrayAttr::get(
      context, {TypeAttr::get(type.getElementType()),
                result.getEncoding() ? result.getEncoding() : none,
                linear.getActivation(),
                weight.quantize ? weight.quantize.getSolverAttr() : none,
                weight.quantize && weight.quantize.getOptionsAttr()
                    ? Attribute(weight.quantize.getOptionsAttr())
                    : none,
                biasElement ? Attribute(TypeAttr::get(biasElement)) : none});
}

/// The type of `values` stacked: the sum of their rows.
RankedTensorType getStackedType(ValueRange values) {
  auto first = cast<RankedTensorType>(values.front().getType());
  SmallVector<int64_t> shape(first.getShape());
  shape[0] = 0;
  for (Value value : values)
    shape[0] += cast<RankedTensorType>(value.getType()).getDimSize(0);
  return RankedTensorType::get(shape, first.getElementType());
}

/// Stacks weights or biases at the builder's position, to which those of their
/// operations that stand behind it are moved.
Value stack(OpBuilder &builder, Location loc, ValueRange values) {
  SmallVector<Operation *> chain;
  for (Value value : values)
    collectChain(value, chain);
  Operation *place = &*builder.getInsertionPoint();
  for (Operation *op : chain)
    if (place->isBeforeInBlock(op))
      op->moveBefore(place);
  return ConcatOp::create(builder, loc, getStackedType(values), values);
}

/// Replaces `group` (in block order, all with one key) by one linear.
void fuse(ArrayRef<LinearOp> group) {
  LinearOp first = group.front();
  OpBuilder builder(first);
  SmallVector<Location> locations;
  SmallVector<Value> matrices, biases;
  QuantizeOp quantize = getFusableWeight(first)->quantize;
  SmallVector<Operation *> dead;
  for (LinearOp linear : group) {
    locations.push_back(linear.getLoc());
    FusableWeight weight = *getFusableWeight(linear);
    matrices.push_back(weight.matrix);
    if (weight.quantize)
      dead.push_back(weight.quantize);
    if (linear.getBias())
      biases.push_back(linear.getBias());
  }
  Location loc = builder.getFusedLoc(locations);
  Value weight = stack(builder, loc, matrices);
  if (quantize) {
    auto encoding =
        cast<RankedTensorType>(quantize.getResult().getType()).getEncoding();
    auto stacked = cast<RankedTensorType>(weight.getType());
    weight = QuantizeOp::create(
        builder, loc,
        RankedTensorType::get(stacked.getShape(), builder.getF32Type(),
                              encoding),
        weight, quantize.getSolverAttr(), quantize.getOptionsAttr());
  }
  Value bias = biases.empty() ? Value() : stack(builder, loc, biases);
  auto rows = cast<RankedTensorType>(first.getResult().getType());
  int64_t columns = cast<RankedTensorType>(weight.getType()).getDimSize(0);
  auto fused = LinearOp::create(
      builder, loc,
      RankedTensorType::get({rows.getDimSize(0), columns},
                            rows.getElementType()),
      first.getInput(), weight, bias, first.getActivationAttr());
  int64_t offset = 0;
  for (LinearOp linear : group) {
    Type type = linear.getResult().getType();
    Value part =
        SliceOp::create(builder, linear.getLoc(), type, fused.getResult(),
                        builder.getI64IntegerAttr(offset));
    offset += cast<RankedTensorType>(type).getDimSize(1);
    linear.getResult().replaceAllUsesWith(part);
  }
  for (LinearOp linear : group)
    linear.erase();
  for (Operation *op : dead)
    op->erase();
}

struct FuseLinears : lowbit::impl::LowbitFuseLinearsBase<FuseLinears> {
  using LowbitFuseLinearsBase::LowbitFuseLinearsBase;

  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      using Key = std::pair<Value, Attribute>;
      llvm::MapVector<Key, SmallVector<LinearOp>> groups;
      for (auto linear : block.getOps<LinearOp>()) {
        std::optional<FusableWeight> weight = getFusableWeight(linear);
        bool biasIsFree =
            !linear.getBias() ||
            (isPlainChain(linear.getBias()) && linear.getBias().hasOneUse());
        if (weight && biasIsFree)
          groups[{linear.getInput(), getFusionKey(linear, *weight)}].push_back(
              linear);
      }
      for (auto &[key, group] : groups)
        if (group.size() > 1)
          fuse(group);
    }
  }
};

} // namespace
