//===- FlipSigns.cpp - Random signs into the linears of a block -----------===//

#include "RotationSites.h"
#include "TransformPass.h"
#include "WeightChains.h"
#include "lowbit/Transforms/Passes.h"
#include "llvm/ADT/StringExtras.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITFLIPSIGNS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

constexpr llvm::StringLiteral siteNames[] = {"residual", "input", "value",
                                             "gated"};

struct FlipSigns : lowbit::impl::LowbitFlipSignsBase<FlipSigns> {
  using LowbitFlipSignsBase::LowbitFlipSignsBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (failed(checkSeed(context, "lowbit-flip-signs", seed, false)))
      return failure();
    if (!llvm::all_of(bits, llvm::isHexDigit))
      return emitError(UnknownLoc::get(context))
             << "lowbit-flip-signs: bits '" << bits
             << "' must be hexadecimal digits";
    return parseWords(context, "lowbit-flip-signs", "sites", sites, siteNames,
                      chosen);
  }

  void runOnOperation() override {
    for (func::FuncOp function : getGraphs(getOperation())) {
      hoistWeightOps(function);
      place = 0;
      flip(function);
      foldSigns(function);
      tidyWeightOps(function);
    }
  }

private:
  bool isChosen(StringRef site) const {
    return llvm::is_contained(chosen, site);
  }

  /// The signs of the next place; empty where given ones do not have its size.
  Transform signsOf(int64_t columns) {
    std::optional<int64_t> number = seed + place++;
    StringAttr given;
    if (!bits.empty()) {
      // Four signs a digit.
      if (columns != 4 * static_cast<int64_t>(bits.size()))
        return {};
      given = StringAttr::get(&getContext(), bits);
      number.reset();
    }
    return {SignsAttr::get(&getContext(), columns, number, given), {}};
  }

  void flipAt(Value rows, int64_t period) {
    if (Transform signs = signsOf(period))
      insertPair(rows, signs, signs);
  }

  void flip(func::FuncOp function) {
    RotationSites places = findRotationSites(function);
    if (isChosen("residual") && !places.residual.empty())
      if (Transform signs = signsOf(places.hidden))
        for (Value rows : places.residual)
          insertPair(rows, signs, signs);
    SmallVector<RmsNormOp> norms(function.getOps<RmsNormOp>());
    for (RmsNormOp norm : norms)
      if (isChosen("input") && !norm.getResult().use_empty())
        flipAt(norm.getResult(), columnsOf(norm.getResult()));
    for (AttentionOp attention : places.attentions)
      if (isChosen("value"))
        flipAt(attention.getValue(), attention.getHeadDim());
    for (const RotationSites::Gated &gated : places.gated)
      if (isChosen("gated"))
        flipAt(gated.rows, columnsOf(gated.rows));
  }

  SmallVector<StringRef> chosen;
  int64_t place = 0;
};

} // namespace
