//===- InsertObservers.cpp - Observe what linears and attention read ------===//

#include "WeightChains.h"
#include "lowbit/Transforms/Passes.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITINSERTOBSERVERS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

struct InsertObservers
    : lowbit::impl::LowbitInsertObserversBase<InsertObservers> {
  using LowbitInsertObserversBase::LowbitInsertObserversBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (moments == "diagonal" || moments == "full")
      return success();
    return emitError(UnknownLoc::get(context))
           << "lowbit-insert-observers: moments '" << moments
           << "' are not known, must be diagonal or full";
  }

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      // Collected first: observing clones operations.
      llvm::MapVector<Value, SmallVector<LinearOp>> readers;
      SmallVector<AttentionOp> attentions;
      function.walk([&](Operation *op) {
        if (auto linear = dyn_cast<LinearOp>(op))
          readers[linear.getInput()].push_back(linear);
        else if (auto reader = dyn_cast<AttentionOp>(op); reader && attention)
          attentions.push_back(reader);
      });
      for (auto &[input, linears] : readers)
        if (failed(observeInput(input, linears)))
          return signalPassFailure();
      for (AttentionOp reader : attentions)
        if (failed(observeAttention(reader)))
          return signalPassFailure();
    }
  }

private:
  LogicalResult observeInput(Value input, ArrayRef<LinearOp> linears) {
    SmallVector<std::string> names;
    for (LinearOp linear : linears)
      if (failed(addNames(linear.getWeight(), names)))
        return linear.emitOpError()
               << "has a weight that is no parameter of the checkpoint";
    // In front of the first reader, so that it is not lost with what follows.
    OpBuilder builder(linears.front());
    return observe(builder, linears.front(), unselected(builder, input),
                   moments, names);
  }

  LogicalResult observeAttention(AttentionOp attention) {
    OpBuilder builder(attention);
    std::string place =
        "attention." + std::to_string(attention.getLayer()) + ".";
    const std::pair<const char *, Value> inputs[] = {
        {"query", attention.getQuery()},
        {"key", attention.getKey()},
        {"value", attention.getValue()}};
    for (auto [name, value] : inputs)
      if (failed(observe(builder, attention, value, "none", {place + name})))
        return failure();
    return success();
  }

  LogicalResult observe(OpBuilder &builder, Operation *reader, Value value,
                        StringRef kind, ArrayRef<std::string> names) {
    for (const std::string &name : names)
      if (!taken.insert(name).second)
        return reader->emitOpError()
               << "would be the second observation named '" << name << "'";
    SmallVector<StringRef> refs(names.begin(), names.end());
    ObserveOp::create(builder, reader->getLoc(), value,
                      builder.getStringAttr(kind),
                      builder.getStrArrayAttr(refs));
    return success();
  }

  /// Adds the checkpoint's names of the tensors that `weight` is made of.
  LogicalResult addNames(Value weight, SmallVectorImpl<std::string> &names) {
    SmallVector<WeightOp> leaves;
    collectLeaves(weight, leaves);
    for (WeightOp use : leaves) {
      auto parameter =
          getOperation().lookupSymbol<ParameterOp>(use.getParameterAttr());
      if (!parameter || !parameter.getSourceAttr())
        return failure();
      std::string name = parameter.getSourceAttr().getTensor().str();
      if (!llvm::is_contained(names, name))
        names.push_back(name);
    }
    return success(!leaves.empty());
  }

  /// `value` for all rows: what lies between a selection of rows and `value`
  /// is repeated in front of it. What selects nothing is returned as it is.
  Value unselected(OpBuilder &builder, Value value) {
    Operation *op = value.getDefiningOp();
    if (auto select = dyn_cast_or_null<SelectRowsOp>(op))
      return select.getInput();
    // Operations that treat every row alike and add no weights of their own.
    if (!isa_and_nonnull<RmsNormOp, SliceOp, GateOp, AddOp, TransformOp>(op))
      return value;
    IRMapping mapping;
    bool changed = false;
    for (Value operand : op->getOperands()) {
      Value whole = unselected(builder, operand);
      mapping.map(operand, whole);
      changed |= whole != operand;
    }
    return changed ? builder.clone(*op, mapping)->getResult(0) : value;
  }

  llvm::StringSet<> taken;
};

} // namespace
