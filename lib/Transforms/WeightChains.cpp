//===- WeightChains.cpp - The weight operations of a function -------------===//

#include "WeightChains.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace lowbit;

bool lowbit::isWeightOp(Operation *op) {
  return isa_and_nonnull<WeightOp, QuantizeOp, ConcatOp, WidenOp,
                         TransformWeightOp, TransposeOp, InvertOp, FillOp,
                         ConstantOp, OrthonormalizeOp, ExpandDiagonalOp,
                         SpreadOp>(op);
}

void lowbit::collectChain(Value value, SmallVectorImpl<Operation *> &chain) {
  Operation *op = value.getDefiningOp();
  if (!op || llvm::is_contained(chain, op))
    return;
  for (Value operand : op->getOperands())
    collectChain(operand, chain);
  chain.push_back(op);
}

void lowbit::collectLeaves(Value value, SmallVectorImpl<WeightOp> &leaves) {
  Operation *op = value.getDefiningOp();
  if (auto weight = dyn_cast_or_null<WeightOp>(op))
    leaves.push_back(weight);
  else if (auto transform = dyn_cast_or_null<TransformWeightOp>(op))
    collectLeaves(transform.getInput(), leaves);
  else if (isWeightOp(op))
    for (Value operand : op->getOperands())
      collectLeaves(operand, leaves);
}

bool lowbit::isPlainChain(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return isWeightOp(value.getDefiningOp()) && type && !type.getEncoding();
}

std::optional<float> lowbit::getFill(Value value) {
  auto fill = value.getDefiningOp<FillOp>();
  return fill ? std::optional<float>(fill.getValue().convertToFloat())
              : std::nullopt;
}

void lowbit::hoistWeightOps(func::FuncOp function) {
  Block &block = function.getBody().front();
  SmallVector<Operation *> weights;
  Operation *firstOther = nullptr;
  for (Operation &op : block) {
    if (!isWeightOp(&op))
      firstOther = firstOther ? firstOther : &op;
    else if (firstOther)
      weights.push_back(&op);
  }
  for (Operation *op : weights)
    op->moveBefore(firstOther);
}

OpBuilder lowbit::weightBuilder(func::FuncOp function) {
  Block &block = function.getBody().front();
  auto place =
      llvm::find_if(block, [](Operation &op) { return !isWeightOp(&op); });
  return OpBuilder(&block, place);
}

void lowbit::tidyWeightOps(func::FuncOp function) {
  if (function.isExternal())
    return;
  Block &block = function.getBody().front();
  SmallVector<Operation *> weights;
  for (Operation &op : block)
    if (isWeightOp(&op))
      weights.push_back(&op);

  struct SameOperation : llvm::DenseMapInfo<Operation *> {
    static unsigned getHashValue(const Operation *op) {
      return OperationEquivalence::computeHash(
          const_cast<Operation *>(op), OperationEquivalence::directHashValue,
          OperationEquivalence::ignoreHashValue,
          OperationEquivalence::IgnoreLocations);
    }
    static bool isEqual(const Operation *a, const Operation *b) {
      if (a == b)
        return true;
      if (a == getEmptyKey() || a == getTombstoneKey() || b == getEmptyKey() ||
          b == getTombstoneKey())
        return false;
      return OperationEquivalence::isEquivalentTo(
          const_cast<Operation *>(a), const_cast<Operation *>(b),
          OperationEquivalence::IgnoreLocations);
    }
  };
  llvm::DenseSet<Operation *, SameOperation> known;
  for (Operation *&op : weights) {
    auto [first, isNew] = known.insert(op);
    if (isNew)
      continue;
    op->getResult(0).replaceAllUsesWith((*first)->getResult(0));
    op->erase();
    op = nullptr;
  }
  for (Operation *op : llvm::reverse(weights)) {
    if (!op)
      continue;
    if (op->use_empty()) {
      op->erase();
      continue;
    }
    Operation *first = nullptr;
    for (Operation *user : op->getUsers())
      if (!first || user->isBeforeInBlock(first))
        first = user;
    op->moveBefore(first);
  }
}
