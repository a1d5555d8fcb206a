//===- VerifyStage.cpp - Fail where a module is not what a stage promises -===//

#include "WeightChains.h"
#include "lowbit/Transforms/Passes.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITVERIFYSTAGE
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

/// What a stage promises.
struct Promise {
  llvm::StringLiteral stage;
  /// No weight has been given a format.
  bool unquantized = false;
  /// Every parameter has its bytes.
  bool sourced = false;
  /// Functions use whole, laid-out parameters.
  bool laidOut = false;
  /// A plan instead of a graph; no kernels left to generate.
  bool planned = false, lowered = false;
};

const Promise promises[] = {
    {"imported", true, true, false, false, false},
    {"transformed", true, true, false, false, false},
    {"quantized", false, true, false, false, false},
    {"laid-out", false, false, true, false, false},
    {"materialized", false, true, true, false, false},
    {"planned", false, false, true, true, false},
    {"lowered", false, false, true, true, true},
};

struct VerifyStage : lowbit::impl::LowbitVerifyStageBase<VerifyStage> {
  using LowbitVerifyStageBase::LowbitVerifyStageBase;

  LogicalResult initialize(MLIRContext *context) override {
    promise = llvm::find_if(promises,
                            [&](const Promise &p) { return p.stage == stage; });
    if (promise == std::end(promises))
      return emitError(UnknownLoc::get(context),
                       "lowbit-verify-stage: stage '" + stage +
                           "' is not known, must be imported, transformed, "
                           "quantized, laid-out, materialized, planned or "
                           "lowered");
    return success();
  }

  void runOnOperation() override {
    bool ok = true, hasPlan = false;
    getOperation().walk([&](Operation *op) {
      const char *problem = findProblem(op);
      hasPlan |= isa<PlanOp>(op);
      if (!problem)
        return;
      op->emitOpError() << problem << " at stage '" << stage << "'";
      ok = false;
    });
    if (promise->planned && !hasPlan) {
      getOperation().emitError()
          << "has no lowbit.plan at stage '" << stage << "'";
      ok = false;
    }
    if (!ok)
      signalPassFailure();
    markAllAnalysesPreserved();
  }

  /// What is wrong with `op`, or null.
  const char *findProblem(Operation *op) const {
    if (auto parameter = dyn_cast<ParameterOp>(op))
      return findProblem(parameter);
    bool inChain = op->getParentOfType<ParameterOp>() != nullptr;
    if (isa<QuantizeOp>(op) && promise->unquantized)
      return "should not be there yet";
    if (promise->laidOut && !inChain && isWeightOp(op) && !isa<WeightOp>(op))
      return "should be inside a parameter";
    if (isa<PlanOp, KernelOp>(op) && !promise->planned)
      return "should not be there yet";
    if (isa<KernelOp>(op) && promise->lowered)
      return "should be gone";
    bool isGraph =
        isa<EmbeddingOp, RmsNormOp, LinearOp, SliceOp, RotaryOp, AttentionOp,
            GateOp, AddOp, SelectRowsOp, TransformOp, ObserveOp>(op);
    if (isGraph && promise->planned)
      return "should be gone";
    return nullptr;
  }

  const char *findProblem(ParameterOp parameter) const {
    bool isComputed = !parameter.getInit().empty();
    if (isComputed && promise->sourced)
      return promise->unquantized || !promise->laidOut
                 ? "should not be computed yet: it must have a source"
                 : "should have been computed: it must have a source";
    if (!promise->laidOut || (!isComputed && !promise->sourced))
      return nullptr; // A source that chains read has the checkpoint's type.
    RankedTensorType type = parameter.getTensorType();
    if (type.getRank() == 2 && !parameter.getLayoutAttr())
      return "should have a layout";
    if (type.getRank() == 1 && !type.getElementType().isF32())
      return "should be f32";
    return nullptr;
  }

  const Promise *promise = nullptr;
};

} // namespace
