//===- Quantize.cpp - Give weights of chosen roles a format ---------------===//

#include "lowbit/Analysis/WeightRoles.h"
#include "lowbit/Transforms/FormatNames.h"
#include "lowbit/Transforms/Passes.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Builders.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITQUANTIZE
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

/// One value for all uses of a parameter, so that a tied table is seen as such.
void mergeWeights(func::FuncOp function) {
  llvm::DenseMap<Attribute, WeightOp> first;
  for (WeightOp weight :
       llvm::make_early_inc_range(function.getOps<WeightOp>())) {
    auto [entry, isNew] = first.try_emplace(weight.getParameterAttr(), weight);
    if (isNew)
      continue;
    weight.getResult().replaceAllUsesWith(entry->second.getResult());
    weight.erase();
  }
}

/// The matrix that a linear multiplies with, or the table of an embedding.
Value getMatrix(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return linear.getWeight();
  if (auto embedding = dyn_cast<EmbeddingOp>(op))
    return embedding.getTable();
  return {};
}

struct Quantize : lowbit::impl::LowbitQuantizeBase<Quantize> {
  using LowbitQuantizeBase::LowbitQuantizeBase;

  LogicalResult initialize(MLIRContext *context) override {
    QuantizeChoice choice;
    choice.roles.append(roles.begin(), roles.end());
    choice.firstLayer = firstLayer;
    choice.lastLayer = lastLayer;
    choice.format = format;
    choice.solver = solver;
    choice.file = file;
    choice.activation = activation;
    if (Status status = checkQuantizeChoice(choice))
      return emitError(UnknownLoc::get(context), status->message);
    roleSet = roles.empty() ? uint32_t(AllRoles) : 0;
    for (const std::string &role : roles)
      roleSet |= *parseRole(role);
    activationAttr = cast<ActivationAttr>(
        parseAttribute(*parseActivationName(activation), context));
    formatAttr = cast<FormatInterface>(
        parseAttribute((*parseFormatName(format))->attribute(), context));
    return success();
  }

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      mergeWeights(function);
      WeightRoles uses(function);
      SmallVector<Value> chosen;
      function.walk([&](Operation *op) {
        Value matrix = getMatrix(op);
        if (matrix && isMeant(*uses.lookup(op)) &&
            !getFormat(matrix.getType()) && !llvm::is_contained(chosen, matrix))
          chosen.push_back(matrix);
      });
      for (Value matrix : chosen)
        quantize(matrix);
    }
  }

  bool isMeant(const WeightUse &use) const {
    if (!(use.roles & roleSet))
      return false;
    return use.layer == -1 || (use.layer >= firstLayer &&
                               (lastLayer == -1 || use.layer <= lastLayer));
  }

  void quantize(Value matrix) {
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfterValue(matrix);
    auto type = cast<RankedTensorType>(matrix.getType());
    auto quantized = RankedTensorType::get(
        type.getShape(), builder.getF32Type(), cast<Attribute>(formatAttr));
    DictionaryAttr options;
    if (!file.empty())
      options = builder.getDictionaryAttr(
          builder.getNamedAttr("file", builder.getStringAttr(file)));
    auto op = QuantizeOp::create(builder, matrix.getLoc(), quantized, matrix,
                                 builder.getStringAttr(solver), options);
    matrix.replaceUsesWithIf(op.getResult(), [&](OpOperand &use) {
      return getMatrix(use.getOwner()) == matrix;
    });
    for (Operation *user : op.getResult().getUsers())
      if (auto linear = dyn_cast<LinearOp>(user))
        linear.setActivationAttr(activationAttr);
  }

  uint32_t roleSet = 0;
  FormatInterface formatAttr;
  ActivationAttr activationAttr;
};

} // namespace
