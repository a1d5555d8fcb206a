//===- OutlineParameters.cpp - Chains of weight ops become parameters -----===//

#include "WeightChains.h"
#include "lowbit/Analysis/WeightRoles.h"
#include "lowbit/Transforms/Passes.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITOUTLINEPARAMETERS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

constexpr llvm::StringLiteral sourceSuffix = ".source";
/// Longest joined name; a container allows 1,024 bytes.
constexpr size_t maxJoinedName = 400;

/// A text that is equal for two chains that compute the same.
std::string describeChain(ArrayRef<Operation *> chain) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::DenseMap<Operation *, size_t> number;
  for (auto [i, op] : llvm::enumerate(chain)) {
    number[op] = i;
    stream << op->getName() << op->getAttrDictionary();
    for (Value operand : op->getOperands())
      stream << ' ' << number[operand.getDefiningOp()];
    stream << op->getResult(0).getType() << '\n';
  }
  return text;
}

/// One name for several that differ in one stretch: `q+k+v_proj.weight`.
std::string joinNames(ArrayRef<StringRef> names) {
  if (names.empty())
    return "constant"; // Of a chain that reads no tensor.
  if (names.size() == 1)
    return names[0].str();
  StringRef prefix = names[0], suffix = names[0];
  size_t shortest = names[0].size();
  for (StringRef name : names) {
    while (!name.starts_with(prefix))
      prefix = prefix.drop_back();
    while (!name.ends_with(suffix))
      suffix = suffix.drop_front();
    shortest = std::min(shortest, name.size());
  }
  suffix = suffix.take_back(std::min(suffix.size(), shortest - prefix.size()));
  std::string joined = prefix.str();
  for (auto [i, name] : llvm::enumerate(names)) {
    joined += i == 0 ? "" : "+";
    joined += name.drop_front(prefix.size()).drop_back(suffix.size());
  }
  joined += suffix;
  return joined.size() <= maxJoinedName ? joined : names[0].str() + "+";
}

/// What a parameter is used for, over all its uses.
struct ParameterUse {
  uint32_t roles = 0;
  /// Role of what is no matrix: `norm`, `bias`.
  StringRef other;
  int64_t layer = -1;
};

struct OutlineParameters
    : lowbit::impl::LowbitOutlineParametersBase<OutlineParameters> {
  using LowbitOutlineParametersBase::LowbitOutlineParametersBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<ParameterOp> sources;
    for (auto parameter : module.getOps<ParameterOp>()) {
      if (parameter.getSource())
        sources.push_back(parameter);
      else
        computed.insert(parameter.getSymName());
    }
    for (auto function : module.getOps<func::FuncOp>())
      if (failed(outlineUses(function)))
        return signalPassFailure();
    renameSources(sources);
    describeUses();
  }

  /// Outlines the chains that the graph ops of `function` use, then drops what
  /// is left of them.
  LogicalResult outlineUses(func::FuncOp function) {
    SmallVector<OpOperand *> operands;
    SmallVector<Operation *> weightOps;
    function.walk([&](Operation *op) {
      if (isWeightOp(op)) {
        weightOps.push_back(op);
        return;
      }
      for (OpOperand &operand : op->getOpOperands())
        if (isWeightOp(operand.get().getDefiningOp()))
          operands.push_back(&operand);
    });
    WeightRoles roles(function);
    llvm::DenseMap<Value, Value> replaced;
    for (OpOperand *use : operands) {
      Value value = use->get();
      auto weight = value.getDefiningOp<WeightOp>();
      if (weight && computed.contains(weight.getParameter()))
        continue;
      Value &result = replaced[value];
      if (!result && failed(outline(value, result)))
        return failure();
      use->set(result);
      noteUse(result.getDefiningOp<WeightOp>().getParameterAttr().getAttr(),
              *use, roles);
    }
    for (Operation *op : llvm::reverse(weightOps))
      if (op->use_empty())
        op->erase();
    return success();
  }

  void noteUse(StringAttr name, OpOperand &operand, const WeightRoles &roles) {
    ParameterUse &noted = uses[name];
    const WeightUse *use = roles.lookup(operand.getOwner());
    if (!use ||
        cast<RankedTensorType>(operand.get().getType()).getRank() != 2) {
      noted.other = isa<RmsNormOp>(operand.getOwner())     ? "norm"
                    : isa<TransformOp>(operand.getOwner()) ? "transform"
                                                           : "bias";
      return;
    }
    noted.roles |= use->roles;
    noted.layer = std::max(noted.layer, use->layer);
  }

  /// Leaves on each new parameter what it is for: the graph is gone when the
  /// artifact's manifest says so.
  void describeUses() {
    Builder builder(&getContext());
    for (auto parameter : getOperation().getOps<ParameterOp>()) {
      auto found = uses.find(parameter.getSymNameAttr());
      if (found == uses.end())
        continue;
      const ParameterUse &use = found->second;
      parameter->setAttr("lowbit.role", builder.getStringAttr(
                                            use.roles ? describeRoles(use.roles)
                                                      : use.other.str()));
      if (use.layer >= 0)
        parameter->setAttr("lowbit.layer",
                           builder.getI64IntegerAttr(use.layer));
    }
  }

  /// Sets `result` to a use of the parameter that stands for `value`.
  LogicalResult outline(Value value, Value &result) {
    SmallVector<Operation *> chain;
    collectChain(value, chain);
    for (Operation *op : chain)
      if (!isWeightOp(op))
        return op->emitError() << "is no operation that makes a weight, but "
                                  "one is made from it";
    StringAttr &name = outlined[describeChain(chain)];
    if (!name)
      name = createParameter(value, chain);
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfterValue(value);
    result = WeightOp::create(builder, value.getLoc(), value.getType(),
                              FlatSymbolRefAttr::get(name));
    return success();
  }

  StringAttr createParameter(Value value, ArrayRef<Operation *> chain) {
    SmallVector<WeightOp> weights;
    collectLeaves(value, weights);
    SmallVector<StringRef> leaves;
    for (WeightOp weight : weights)
      leaves.push_back(weight.getParameter());
    std::string base = joinNames(leaves), name = base;
    for (int copy = 2; !taken.insert(name).second; ++copy)
      name = base + "." + std::to_string(copy);

    OpBuilder builder(&getContext());
    if (last)
      builder.setInsertionPointAfter(last);
    else
      builder.setInsertionPointToStart(getOperation().getBody());
    auto parameter = ParameterOp::create(
        builder, value.getLoc(), builder.getStringAttr(name),
        TypeAttr::get(value.getType()), SourceAttr(), LayoutAttr());
    last = parameter;
    builder.createBlock(&parameter.getInit());
    IRMapping mapping;
    for (Operation *op : chain)
      builder.clone(*op, mapping);
    YieldOp::create(builder, value.getLoc(), mapping.lookup(value));
    return parameter.getSymNameAttr();
  }

  /// Gives the checkpoint's parameters their new names, everywhere at once.
  void renameSources(ArrayRef<ParameterOp> sources) {
    llvm::StringMap<std::string> renamed;
    for (ParameterOp source : sources) {
      if (!taken.contains(source.getSymName()))
        continue;
      std::string name = (source.getSymName() + sourceSuffix).str();
      while (!taken.insert(name).second)
        name += sourceSuffix;
      renamed[source.getSymName()] = name;
      source.setSymName(name);
    }
    getOperation().walk([&](WeightOp weight) {
      // Uses in functions are of new parameters, uses in chains of old ones.
      auto found = renamed.find(weight.getParameter());
      if (found != renamed.end() && weight->getParentOfType<ParameterOp>())
        weight.setParameter(found->second);
    });
  }

  /// Parameters that had an `init` before; names given out here.
  llvm::StringSet<> computed, taken;
  /// Chain, described, to the parameter that holds it.
  llvm::StringMap<StringAttr> outlined;
  llvm::DenseMap<StringAttr, ParameterUse> uses;
  ParameterOp last;
};

} // namespace
