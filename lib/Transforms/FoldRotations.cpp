//===- FoldRotations.cpp - Move inserted transforms into weights ----------===//

#include "FoldTransforms.h"
#include "TransformPass.h"
#include "WeightChains.h"
#include "lowbit/Transforms/Passes.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITFOLDROTATIONS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

struct FoldRotations : lowbit::impl::LowbitFoldRotationsBase<FoldRotations> {
  using LowbitFoldRotationsBase::LowbitFoldRotationsBase;

  LogicalResult initialize(MLIRContext *context) override {
    return parseTiedHead(context, "lowbit-fold-rotations", tied, choice);
  }

  void runOnOperation() override {
    for (func::FuncOp function : getGraphs(getOperation())) {
      hoistWeightOps(function);
      foldTransforms(function, choice);
      tidyWeightOps(function);
    }
  }

  TiedHead choice = TiedHead::Untie;
};

} // namespace
