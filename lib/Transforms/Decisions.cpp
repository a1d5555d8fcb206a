//===- Decisions.cpp - What passes decided by numbers ---------------------===//

#include "Decisions.h"
#include "lowbit/Transforms/Ledger.h"
#include "lowbit/Transforms/Materialize.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace lowbit;

static constexpr llvm::StringLiteral decisionsAttr = "lowbit.decisions";

void lowbit::noteDecision(ModuleOp module, StringRef pass, StringRef place,
                          StringRef choice, double errorWithout,
                          double errorWith) {
  Builder builder(module.getContext());
  SmallVector<Attribute> list;
  if (auto known = module->getAttrOfType<ArrayAttr>(decisionsAttr))
    list.append(known.begin(), known.end());
  list.push_back(builder.getDictionaryAttr({
      builder.getNamedAttr("choice", builder.getStringAttr(choice)),
      builder.getNamedAttr("pass", builder.getStringAttr(pass)),
      builder.getNamedAttr("place", builder.getStringAttr(place)),
      builder.getNamedAttr("with", builder.getF64FloatAttr(errorWith)),
      builder.getNamedAttr("without", builder.getF64FloatAttr(errorWithout)),
  }));
  module->setAttr(decisionsAttr, builder.getArrayAttr(list));
}

std::vector<LedgerDecision> lowbit::getDecisions(ModuleOp module) {
  std::vector<LedgerDecision> decisions;
  auto list = module->getAttrOfType<ArrayAttr>(decisionsAttr);
  for (Attribute entry : list ? list.getValue() : ArrayRef<Attribute>()) {
    auto fields = dyn_cast<DictionaryAttr>(entry);
    if (!fields)
      continue;
    auto text = [&](StringRef name) {
      auto value = fields.getAs<StringAttr>(name);
      return value ? value.str() : std::string();
    };
    auto number = [&](StringRef name) {
      auto value = fields.getAs<FloatAttr>(name);
      return value ? value.getValueAsDouble() : 0.0;
    };
    decisions.push_back({text("pass"), text("place"), text("choice"),
                         number("without"), number("with")});
  }
  return decisions;
}
