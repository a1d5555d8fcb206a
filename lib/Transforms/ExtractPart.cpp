//===- ExtractPart.cpp - One of the parts of an observed model ------------===//

#include "lowbit/Transforms/ExtractPart.h"
#include "lowbit/Transforms/Passes.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITEXTRACTPART
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

/// Weights are no rows: every part makes those that it uses.
bool isWeightOp(Operation *op) {
  return isa<WeightOp, QuantizeOp, ConcatOp, WidenOp>(op);
}

/// A part: its last operation and the rows that it hands on (the last part:
/// none).
struct Part {
  Operation *last;
  Value handedOn;
};

/// Cuts `block` behind each observation at the first place where one batch of
/// rows is all that observations further on need.
std::vector<Part> cutIntoParts(Block &block) {
  Operation *lastObservation = nullptr;
  for (Operation &op : block)
    if (isa<ObserveOp>(op))
      lastObservation = &op;
  std::vector<Part> parts;
  if (!lastObservation)
    return parts;
  auto isNeededAfter = [&](Value value, Operation *place) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      return place->isBeforeInBlock(user) &&
             !lastObservation->isBeforeInBlock(user);
    });
  };
  llvm::SetVector<Value> alive;
  bool observed = false;
  for (Operation &op : block) {
    if (&op == lastObservation)
      break;
    observed |= isa<ObserveOp>(op);
    if (!isWeightOp(&op))
      alive.insert(op.result_begin(), op.result_end());
    alive.remove_if([&](Value value) { return !isNeededAfter(value, &op); });
    if (!observed || alive.size() != 1)
      continue;
    parts.push_back({&op, alive.front()});
    observed = false;
  }
  parts.push_back({lastObservation, Value()});
  return parts;
}

/// Erases what nothing uses and that does nothing, last operations first.
void eraseUnused(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (op.use_empty() && isMemoryEffectFree(&op) &&
        !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
}

struct ExtractPart : lowbit::impl::LowbitExtractPartBase<ExtractPart> {
  using LowbitExtractPartBase::LowbitExtractPartBase;

  void runOnOperation() override {
    auto forward = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!forward || !forward.getBody().hasOneBlock()) {
      getOperation().emitError() << "has no function @forward of one block";
      return signalPassFailure();
    }
    std::vector<Part> parts = cutIntoParts(forward.getBody().front());
    if (index < 0 || index >= static_cast<int64_t>(parts.size())) {
      forward.emitError() << "has " << parts.size()
                          << " parts, there is no part " << int64_t(index);
      return signalPassFailure();
    }
    keep(forward, index > 0 ? &parts[index - 1] : nullptr, parts[index]);
    eraseUnusedParameters();
  }

private:
  void keep(func::FuncOp forward, const Part *before, const Part &part) {
    Block &block = forward.getBody().front();
    Operation *terminator = block.getTerminator();
    SmallVector<Value> results;
    if (part.handedOn)
      results.push_back(part.handedOn);
    terminator->setOperands(results);
    auto eraseFrom = [&](Operation *last, Operation *stop) {
      while (last != stop) {
        Operation *previous = last->getPrevNode();
        if (!isWeightOp(last))
          last->erase();
        last = previous;
      }
    };
    eraseFrom(terminator->getPrevNode(), part.last);
    if (before) {
      Value taken = before->handedOn;
      taken.replaceAllUsesWith(
          block.addArgument(taken.getType(), taken.getLoc()));
      eraseFrom(before->last, nullptr);
    }
    eraseUnused(block);
    forward.setFunctionType(FunctionType::get(&getContext(),
                                              block.getArgumentTypes(),
                                              TypeRange(ValueRange(results))));
  }

  void eraseUnusedParameters() {
    DenseSet<StringAttr> used;
    getOperation().walk([&](WeightOp weight) {
      used.insert(weight.getParameterAttr().getAttr());
    });
    for (auto parameter :
         llvm::make_early_inc_range(getOperation().getOps<ParameterOp>()))
      if (!used.contains(parameter.getSymNameAttr()))
        parameter.erase();
  }
};

} // namespace

int64_t lowbit::countParts(func::FuncOp function) {
  return cutIntoParts(function.getBody().front()).size();
}
