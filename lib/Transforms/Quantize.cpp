//===- Quantize.cpp - Give weights of chosen roles a format ---------------===//

#include "WeightChains.h"
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

/// The matrix that a linear multiplies with, or the table of an embedding.
Value getMatrix(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return linear.getWeight();
  if (auto embedding = dyn_cast<EmbeddingOp>(op))
    return embedding.getTable();
  return {};
}

/// The split of columns in a chain, and whether rounding comes right behind it
/// (stacking rows between them does not matter).
SpreadOp findSplit(Value value, bool &isLast) {
  Operation *op = value.getDefiningOp();
  if (auto spread = dyn_cast_or_null<SpreadOp>(op))
    return spread;
  isLast = isLast && isa_and_nonnull<ConcatOp>(op);
  for (Value operand : op ? op->getOperands() : OperandRange(nullptr, 0))
    if (SpreadOp spread = findSplit(operand, isLast))
      return spread;
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
    choice.order = order;
    choice.scales = scales;
    choice.damp = damp;
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
      // One value for equal chains, so that a tied table is seen as such.
      tidyWeightOps(function);
      WeightRoles uses(function);
      SmallVector<Value> chosen;
      function.walk([&](Operation *op) {
        Value matrix = getMatrix(op);
        if (matrix && isMeant(*uses.lookup(op)) &&
            !getFormat(matrix.getType()) && !llvm::is_contained(chosen, matrix))
          chosen.push_back(matrix);
      });
      for (Value matrix : chosen)
        if (failed(quantize(matrix)))
          return signalPassFailure();
    }
  }

  bool isMeant(const WeightUse &use) const {
    if (!(use.roles & roleSet))
      return false;
    return use.layer == -1 || (use.layer >= firstLayer &&
                               (lastLayer == -1 || use.layer <= lastLayer));
  }

  LogicalResult quantize(Value matrix) {
    bool isTable = llvm::any_of(matrix.getUsers(), llvm::IsaPred<EmbeddingOp>);
    if (isTable && !formatAttr.getWeightFormat()->hasSingleRows())
      return emitError(matrix.getLoc())
             << "format " << formatAttr.getShortName()
             << " does not go with role embedding: its rows cannot be decoded "
                "one by one";
    if (failed(checkSplit(matrix)))
      return failure();
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfterValue(matrix);
    auto type = cast<RankedTensorType>(matrix.getType());
    auto quantized = RankedTensorType::get(
        type.getShape(), builder.getF32Type(), cast<Attribute>(formatAttr));
    DictionaryAttr options;
    if (solver == "gptq")
      options = builder.getDictionaryAttr(
          {builder.getNamedAttr("damp", builder.getF64FloatAttr(damp)),
           builder.getNamedAttr("order", builder.getStringAttr(order)),
           builder.getNamedAttr("scales", builder.getStringAttr(scales))});
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
    return success();
  }

  /// Copies of a column stand where one format and solver need them.
  LogicalResult checkSplit(Value matrix) {
    bool isLast = true;
    SpreadOp split = findSplit(matrix, isLast);
    if (!split)
      return success();
    if (!isLast)
      return emitError(matrix.getLoc())
             << "columns are split, and the weight is transformed after that: "
                "lowbit-split-outlier-channels goes last";
    if (solver == "nearest" && cast<Attribute>(formatAttr) == split.getFormat())
      return success();
    return emitError(matrix.getLoc())
           << "columns are split for format "
           << FormatInterface(split.getFormat()).getShortName()
           << " and solver nearest, which " << formatAttr.getShortName()
           << " by " << solver.getValue() << " is not";
  }

  uint32_t roleSet = 0;
  FormatInterface formatAttr;
  ActivationAttr activationAttr;
};

} // namespace
