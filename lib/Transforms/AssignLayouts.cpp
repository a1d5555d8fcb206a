//===- AssignLayouts.cpp - Fix how every parameter is stored --------------===//

#include "lowbit/Transforms/Passes.h"
#include "mlir/IR/Builders.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITASSIGNLAYOUTS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

struct AssignLayouts : lowbit::impl::LowbitAssignLayoutsBase<AssignLayouts> {
  using LowbitAssignLayoutsBase::LowbitAssignLayoutsBase;

  void runOnOperation() override {
    // Matrices of transforms stay row by row, f32.
    getOperation().walk([&](TransformOp transform) {
      for (Value matrix : transform.getMatrices())
        if (auto weight = matrix.getDefiningOp<WeightOp>())
          matrices.insert(weight.getParameterAttr().getAttr());
    });
    for (auto parameter : getOperation().getOps<ParameterOp>()) {
      if (parameter.getInit().empty())
        continue;
      RankedTensorType type = parameter.getTensorType();
      bool isMatrix = matrices.contains(parameter.getSymNameAttr());
      if (type.getRank() == 2 && !isMatrix)
        parameter.setLayoutAttr(getDefaultLayout(type));
      else if (!type.getElementType().isF32())
        widen(parameter);
    }
    getOperation().walk([&](WeightOp weight) {
      auto type = widened.find(weight.getParameterAttr().getAttr());
      if (type != widened.end())
        weight.getResult().setType(type->second);
    });
  }

  /// Makes a vector or a matrix of a transform f32 at the end of its `init`.
  void widen(ParameterOp parameter) {
    auto type = RankedTensorType::get(parameter.getTensorType().getShape(),
                                      Float32Type::get(&getContext()));
    auto yield = cast<YieldOp>(parameter.getInit().front().back());
    OpBuilder builder(yield);
    yield.getValueMutable().assign(
        WidenOp::create(builder, yield.getLoc(), type, yield.getValue()));
    parameter.setTypeAttr(TypeAttr::get(type));
    widened[parameter.getSymNameAttr()] = type;
  }

  llvm::DenseSet<StringAttr> matrices;
  llvm::DenseMap<StringAttr, RankedTensorType> widened;
};

} // namespace
