//===- InsertRotations.cpp - Pairs of rotations that change nothing -------===//

#include "FileMatrix.h"
#include "RotationSites.h"
#include "TransformPass.h"
#include "WeightChains.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Transforms/Passes.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITINSERTROTATIONS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

constexpr llvm::StringLiteral siteNames[] = {"r1", "r2", "r3", "r4"};

struct InsertRotations
    : lowbit::impl::LowbitInsertRotationsBase<InsertRotations> {
  using LowbitInsertRotationsBase::LowbitInsertRotationsBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (failed(checkSeed(context, "lowbit-insert-rotations", seed, true)))
      return failure();
    return parseWords(context, "lowbit-insert-rotations", "sites", sites,
                      siteNames, chosen);
  }

  void runOnOperation() override {
    for (func::FuncOp function : getGraphs(getOperation())) {
      hoistWeightOps(function);
      if (Status status = insert(function)) {
        getOperation().emitError(status->message);
        return signalPassFailure();
      }
      tidyWeightOps(function);
    }
  }

private:
  bool isChosen(StringRef site) const {
    return llvm::is_contained(chosen, site);
  }

  /// The learned matrix of that name, or the Hadamard matrix where there is no
  /// file.
  Result<Transform> makeR(func::FuncOp function,
                          const std::vector<std::string> &names, int64_t size,
                          int64_t number) {
    if (file.empty())
      return makeRotation(&getContext(), size, number);
    const ModelNumbers *numbers = ModelNumbers::get(&getContext());
    if (!numbers)
      return unsupported(file, "", "cannot be read by this tool");
    Result<Transform> made =
        MatrixFile(function, *numbers, file).rotation(names, size);
    if (made && !*made)
      return badInput(file, names.front(), "is missing");
    return made;
  }

  Status insert(func::FuncOp function) {
    MLIRContext *context = &getContext();
    RotationSites places = findRotationSites(function);
    OpBuilder weights = weightBuilder(function);
    auto undo = [&](const Transform &rotation) {
      return transpose(weights, function.getLoc(), rotation);
    };
    if (isChosen("r1") && !places.residual.empty()) {
      Result<Transform> r1 =
          makeR(function, {"R1"}, places.hidden, rotationSeed(seed, 0, 0));
      if (!r1)
        return r1.error();
      insertR1(places, *r1, undo(*r1));
    }
    for (AttentionOp attention : places.attentions) {
      int64_t layer = attention.getLayer(), size = attention.getHeadDim();
      if (isChosen("r2")) {
        std::string name = "layers." + std::to_string(layer);
        Result<Transform> r2 =
            makeR(function, {name + ".R2", "model." + name + ".self_attn.R2"},
                  size, rotationSeed(seed, layer, 1));
        if (!r2)
          return r2.error();
        insertR2(attention, *r2, undo(*r2));
      }
      if (isChosen("r3"))
        insertR3(attention,
                 makeRotation(context, size, rotationSeed(seed, layer, 2)));
    }
    for (const RotationSites::Gated &gated : places.gated) {
      if (!isChosen("r4"))
        break;
      Transform r4 = makeRotation(context, columnsOf(gated.rows),
                                  rotationSeed(seed, gated.layer, 3));
      insertR4(gated, r4, undo(r4));
    }
    return std::nullopt;
  }

  SmallVector<StringRef> chosen;
};

} // namespace
