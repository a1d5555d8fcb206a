//===- FoldNormScale.cpp - Scales of norms into what reads them -----------===//

#include "FoldTransforms.h"
#include "TransformPass.h"
#include "WeightChains.h"
#include "lowbit/Transforms/Passes.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITFOLDNORMSCALE
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

struct FoldNormScale : lowbit::impl::LowbitFoldNormScaleBase<FoldNormScale> {
  using LowbitFoldNormScaleBase::LowbitFoldNormScaleBase;

  LogicalResult initialize(MLIRContext *context) override {
    return parseTiedHead(context, "lowbit-fold-norm-scale", tied, choice);
  }

  void runOnOperation() override {
    for (func::FuncOp function : getGraphs(getOperation())) {
      hoistWeightOps(function);
      foldNormScales(function, choice);
      tidyWeightOps(function);
    }
  }

  TiedHead choice = TiedHead::Keep;
};

} // namespace
