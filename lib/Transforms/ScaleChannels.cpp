//===- ScaleChannels.cpp - Channel scales that rounding likes -------------===//

#include "Decisions.h"
#include "RotationSites.h"
#include "RoundingOptions.h"
#include "TransformPass.h"
#include "WeightChains.h"
#include "lowbit/Analysis/ModelNumbers.h"
#include "lowbit/Transforms/Passes.h"

#include <cmath>

namespace lowbit {
#define GEN_PASS_DEF_LOWBITSCALECHANNELS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

constexpr llvm::StringLiteral passName = "lowbit-scale-channels";
constexpr llvm::StringLiteral siteNames[] = {"input", "value", "gated"};

/// A linear that reads the scaled rows.
struct Reader {
  std::string name;
  std::vector<double> weight;
  int64_t rows;
};

/// Rows that a scale is sought for.
struct Site {
  /// Where the pair goes, and after how many columns the scale repeats.
  Value rows;
  int64_t period = 0;
  std::string name;
  SmallVector<LinearOp> linears;
};

struct ScaleChannels : lowbit::impl::LowbitScaleChannelsBase<ScaleChannels> {
  using LowbitScaleChannelsBase::LowbitScaleChannelsBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (steps < 1 || steps > 1000)
      return emitError(UnknownLoc::get(context))
             << passName << ": steps " << steps.getValue()
             << " must be from 1 to 1000";
    if (failed(
            parseRounding(context, passName, {format, solver, 16, 0}, choice)))
      return failure();
    return parseWords(context, passName, "sites", sites, siteNames, chosen);
  }

  void runOnOperation() override {
    SmallVector<func::FuncOp> graphs = getGraphs(getOperation());
    if (graphs.empty())
      return;
    numbers = ModelNumbers::getWithProfile(getOperation(), passName);
    if (!numbers)
      return signalPassFailure();
    for (func::FuncOp function : graphs) {
      hoistWeightOps(function);
      // Sites do not see each other: a scale of rows of a weight scales its
      // groups. So all pairs are inserted before any of them moves.
      for (const Site &site : findSites(function))
        if (Status status = scale(function, site)) {
          getOperation().emitError(status->message);
          return signalPassFailure();
        }
      foldTransforms(function, TiedHead::Untie);
      tidyWeightOps(function);
    }
  }

private:
  bool isChosen(StringRef site) const {
    return llvm::is_contained(chosen, site);
  }

  /// Adds a site whose rows `read` all plain linears read.
  static void addSite(std::vector<Site> &found, Value rows, Value read,
                      int64_t period, std::string name) {
    Site site{rows, period, std::move(name), {}};
    for (OpOperand &use : read.getUses()) {
      auto linear = dyn_cast<LinearOp>(use.getOwner());
      if (!linear || use.getOperandNumber() != 0 ||
          !isPlainChain(linear.getWeight()))
        return;
      site.linears.push_back(linear);
    }
    if (!site.linears.empty())
      found.push_back(std::move(site));
  }

  std::vector<Site> findSites(func::FuncOp function) {
    std::vector<Site> found;
    int64_t norms = 0;
    for (Operation &op : function.getBody().front()) {
      Value rows = op.getNumResults() == 1 ? op.getResult(0) : Value();
      if (auto norm = dyn_cast<RmsNormOp>(op)) {
        std::string name = "norm " + std::to_string(norms++);
        if (isChosen("input"))
          addSite(found, rows, rows, columnsOf(rows), name);
      } else if (auto attention = dyn_cast<AttentionOp>(op)) {
        // With as many key heads as query heads each value has its own scale.
        bool isPlain = attention.getHeads() == attention.getKvHeads();
        std::string name =
            "layer " + std::to_string(attention.getLayer()) + " value";
        if (isChosen("value"))
          addSite(found, attention.getValue(), rows,
                  isPlain ? columnsOf(attention.getValue())
                          : attention.getHeadDim(),
                  name);
      } else if (isa<GateOp>(op) && isChosen("gated")) {
        addSite(found, rows, rows, columnsOf(rows),
                "gate " + std::to_string(found.size()));
      }
    }
    return found;
  }

  Status scale(func::FuncOp function, const Site &site) {
    LinearOp first = site.linears.front();
    auto statistics = numbers->input(first.getWeight());
    if (!statistics)
      return statistics.error();
    // Linears that the profile does not know keep their columns.
    if (!*statistics || (*statistics)->diagonal.empty())
      return std::nullopt;
    const std::vector<double> &diagonal = (*statistics)->diagonal;
    std::vector<Reader> readers;
    for (LinearOp linear : site.linears) {
      Result<std::vector<double>> weight = numbers->weight(linear.getWeight());
      if (!weight)
        return weight.error();
      auto type = cast<RankedTensorType>(linear.getWeight().getType());
      readers.push_back({site.name, std::move(*weight), type.getDimSize(0)});
    }
    std::vector<double> magnitude = magnitudes(diagonal, site.period);
    double without = 0, best = 0;
    std::vector<float> bestScales;
    int64_t bestStep = 0;
    for (int64_t step = 0; step <= steps; ++step) {
      std::vector<float> scales =
          scalesOf(magnitude, double(step) / double(steps));
      Result<double> error = errorOf(readers, diagonal, scales);
      if (!error)
        return error.error();
      without = step == 0 ? *error : without;
      if (step == 0 || *error < best) {
        best = *error;
        bestScales = std::move(scales);
        bestStep = step;
      }
    }
    noteDecision(getOperation(), passName, site.name,
                 "alpha " + std::to_string(bestStep) + "/" +
                     std::to_string(steps),
                 without, best);
    if (bestStep == 0)
      return std::nullopt;
    // Rows are divided, weights multiplied.
    OpBuilder weights = weightBuilder(function);
    Location loc = site.rows.getLoc();
    Transform undo = makeDiagonal(ConstantOp::create(weights, loc, bestScales));
    insertPair(site.rows, invert(weights, loc, undo), undo);
    return std::nullopt;
  }

  /// Root mean square of each column of a period (the mean over its copies).
  static std::vector<double> magnitudes(const std::vector<double> &diagonal,
                                        int64_t period) {
    std::vector<double> result(period);
    for (size_t i = 0; i < diagonal.size(); ++i)
      result[i % period] += diagonal[i];
    for (double &value : result)
      value = std::sqrt(value);
    return result;
  }

  /// a^alpha, with √(max · min) = 1; a column of zeros keeps the scale 1.
  static std::vector<float> scalesOf(const std::vector<double> &magnitude,
                                     double alpha) {
    double largest = 0, smallest = HUGE_VAL;
    std::vector<double> powers;
    for (double a : magnitude) {
      powers.push_back(a > 0 ? std::pow(a, alpha) : 0);
      if (a > 0) {
        largest = std::max(largest, powers.back());
        smallest = std::min(smallest, powers.back());
      }
    }
    double unit = largest > 0 ? std::sqrt(largest * smallest) : 1;
    std::vector<float> scales;
    for (double power : powers) {
      auto value = static_cast<float>(power / unit);
      scales.push_back(power > 0 && std::isnormal(value) ? value : 1.0f);
    }
    return scales;
  }

  /// Σ h_k (w − ŵ)² of all readers, each weight scaled, rounded, scaled back.
  Result<double> errorOf(const std::vector<Reader> &readers,
                         const std::vector<double> &diagonal,
                         const std::vector<float> &scales) {
    size_t columns = diagonal.size(), period = scales.size();
    std::vector<double> importance(columns);
    for (size_t k = 0; k < columns; ++k)
      importance[k] = diagonal[k] / scales[k % period] / scales[k % period];
    double sum = 0;
    for (const Reader &reader : readers) {
      std::vector<double> scaled = reader.weight;
      for (size_t i = 0; i < scaled.size(); ++i)
        scaled[i] *= scales[i % columns % period];
      auto rounded = roundWeight(scaled, reader.rows, columns, choice,
                                 importance, reader.name);
      if (!rounded)
        return rounded.error();
      sum += diagonalError(scaled, *rounded, importance);
    }
    return sum;
  }

  SmallVector<StringRef> chosen;
  RoundingChoice choice;
  const ModelNumbers *numbers = nullptr;
};

} // namespace
