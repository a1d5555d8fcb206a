//===- FoldLearnedTransforms.cpp - Transforms that were learned -----------===//

#include "Decisions.h"
#include "FileMatrix.h"
#include "RotationSites.h"
#include "TransformPass.h"
#include "WeightChains.h"
#include "lowbit/Transforms/Passes.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITFOLDTRANSFORMS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

constexpr llvm::StringLiteral passName = "lowbit-fold-transforms";

struct FoldLearnedTransforms
    : lowbit::impl::LowbitFoldTransformsBase<FoldLearnedTransforms> {
  using LowbitFoldTransformsBase::LowbitFoldTransformsBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (file.empty())
      return emitError(UnknownLoc::get(context))
             << passName << ": needs the option file";
    if (!(maxCondition >= 1))
      return emitError(UnknownLoc::get(context))
             << passName << ": max-condition " << maxCondition.getValue()
             << " must be at least 1";
    return parseTiedHead(context, passName, tied, choice);
  }

  void runOnOperation() override {
    SmallVector<func::FuncOp> graphs = getGraphs(getOperation());
    if (graphs.empty())
      return;
    const ModelNumbers *numbers = ModelNumbers::get(&getContext());
    if (!numbers) {
      getOperation().emitError()
          << passName << ": this tool does not read files for passes";
      return signalPassFailure();
    }
    for (func::FuncOp function : graphs) {
      hoistWeightOps(function);
      used = 0;
      if (Status status = insert(function, *numbers)) {
        getOperation().emitError(status->message);
        return signalPassFailure();
      }
      if (used == 0) {
        getOperation().emitError()
            << passName << ": '" << file << "' has no transform of this model";
        return signalPassFailure();
      }
      foldTransforms(function, choice);
      tidyWeightOps(function);
    }
  }

private:
  Status insert(func::FuncOp function, const ModelNumbers &numbers) {
    MatrixFile matrices(function, numbers, file);
    RotationSites places = findRotationSites(function);
    if (!places.residual.empty()) {
      Result<Transform> r1 = matrices.rotation({"R1"}, places.hidden);
      if (!r1)
        return r1.error();
      if (*r1) {
        ++used;
        Transform inverse = undo(function, *r1);
        insertR1(places, *r1, inverse);
      }
    }
    // Norms in order: two of a layer, each in front of its linears.
    int64_t layer = -1;
    SmallVector<std::pair<std::string, Value>> inputs;
    for (Operation &op : function.getBody().front()) {
      if (auto norm = dyn_cast<RmsNormOp>(op)) {
        layer += readByAttention(norm) ? 1 : 0;
        if (layer >= 0 && onlyLinears(norm))
          inputs.push_back(
              {"layers." + std::to_string(layer) +
                   (readByAttention(norm) ? ".attention_input" : ".ffn_input"),
               norm.getResult()});
      }
    }
    for (auto &[name, rows] : inputs)
      if (Status status = insertAt(function, matrices, name, rows))
        return status;
    for (AttentionOp attention : places.attentions) {
      std::string prefix =
          "layers." + std::to_string(attention.getLayer()) + ".";
      if (Status status = insertHeads(function, matrices, prefix, attention))
        return status;
      if (Status status = insertAt(function, matrices, prefix + "output",
                                   attention.getResult()))
        return status;
    }
    for (const RotationSites::Gated &gated : places.gated)
      if (Status status = insertAt(
              function, matrices,
              "layers." + std::to_string(gated.layer) + ".down", gated.rows))
        return status;
    return std::nullopt;
  }

  /// Whether some linear behind the norm leads to an attention.
  static bool readByAttention(RmsNormOp norm) {
    for (Operation *user : norm.getResult().getUsers())
      if (auto linear = dyn_cast<LinearOp>(user))
        for (Operation *reader : linear.getResult().getUsers())
          if (isa<AttentionOp, RotaryOp>(reader))
            return true;
    return false;
  }

  /// A norm in front of linears that lead to a layer's attention or gate.
  static bool onlyLinears(RmsNormOp norm) {
    for (Operation *user : norm.getResult().getUsers()) {
      auto linear = dyn_cast<LinearOp>(user);
      if (!linear)
        return false;
      for (Operation *reader : linear.getResult().getUsers())
        if (isa<func::ReturnOp>(reader))
          return false;
    }
    return !norm.getResult().use_empty();
  }

  static Transform undo(func::FuncOp function, const Transform &transform) {
    OpBuilder weights = weightBuilder(function);
    return invert(weights, function.getLoc(), transform);
  }

  void note(const std::string &name, double condition) {
    ++used;
    getOperation().emitRemark() << passName << ": " << name
                                << " has the condition number " << condition;
  }

  Status insertAt(func::FuncOp function, MatrixFile &matrices,
                  const std::string &name, Value rows) {
    double condition;
    Result<Transform> made =
        matrices.transform(name, columnsOf(rows), maxCondition, condition);
    if (!made)
      return made.error();
    if (!*made)
      return std::nullopt;
    note(name, condition);
    insertPair(rows, *made, undo(function, *made));
    return std::nullopt;
  }

  /// `value`: a pair at the values; `key`: k · T and q · T⁻ᵀ, online.
  Status insertHeads(func::FuncOp function, MatrixFile &matrices,
                     const std::string &prefix, AttentionOp attention) {
    double condition;
    int64_t size = attention.getHeadDim();
    Result<Transform> value =
        matrices.transform(prefix + "value", size, maxCondition, condition);
    if (!value)
      return value.error();
    if (*value) {
      note(prefix + "value", condition);
      insertPair(attention.getValue(), *value, undo(function, *value));
    }
    Result<Transform> key =
        matrices.transform(prefix + "key", size, maxCondition, condition);
    if (!key)
      return key.error();
    if (*key) {
      note(prefix + "key", condition);
      OpBuilder weights = weightBuilder(function);
      Transform inverse = undo(function, *key);
      insertAtUse(attention.getKeyMutable(), *key);
      insertAtUse(attention.getQueryMutable(),
                  transpose(weights, function.getLoc(), inverse));
    }
    return std::nullopt;
  }

  TiedHead choice = TiedHead::Untie;
  int64_t used = 0;
};

} // namespace
