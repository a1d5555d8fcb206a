//===- SelectRotations.cpp - Rotate where rounding gains by it ------------===//
//
// RoSTE's choice (arXiv 2502.09003, section 3.3): the error of rounding weights
// and rows without and with each rotation. One decision for all tensors that a
// rotation touches; given R1 the others are independent of each other, so that
// the best of both ways of R1 is the best of all.
//
//===----------------------------------------------------------------------===//

#include "Decisions.h"
#include "RotationSites.h"
#include "RoundingOptions.h"
#include "TransformPass.h"
#include "WeightChains.h"
#include "lowbit/Analysis/ModelNumbers.h"
#include "lowbit/Analysis/WeightRoles.h"
#include "lowbit/Analysis/WeightRows.h"
#include "lowbit/Transforms/Passes.h"

#include <map>

namespace lowbit {
#define GEN_PASS_DEF_LOWBITSELECTROTATIONS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

constexpr llvm::StringLiteral passName = "lowbit-select-rotations";

/// R2, R3, R4 of one layer; index 3 · layer + 0, 1, 2.
using Choices = std::vector<bool>;

/// Errors that decisions are made of: those that only R1 touches, and those of
/// each decision.
struct Errors {
  double common = 0;
  std::vector<double> ofDecision;
};

struct SelectRotations
    : lowbit::impl::LowbitSelectRotationsBase<SelectRotations> {
  using LowbitSelectRotationsBase::LowbitSelectRotationsBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (metric != "frobenius" && metric != "output")
      return emitError(UnknownLoc::get(context))
             << passName << ": metric '" << metric
             << "' is not known, must be frobenius or output";
    if (cacheBits < 2 || cacheBits > 16)
      return emitError(UnknownLoc::get(context))
             << passName << ": cache-bits " << cacheBits.getValue()
             << " must be from 2 to 16";
    if (failed(checkSeed(context, passName, seed, true)))
      return failure();
    return parseRounding(context, passName,
                         {format, solver, activationBits, activationGroup},
                         choice);
  }

  void runOnOperation() override {
    SmallVector<func::FuncOp> graphs = getGraphs(getOperation());
    if (graphs.empty())
      return;
    numbers = ModelNumbers::getWithProfile(getOperation(), passName);
    if (!numbers)
      return signalPassFailure();
    for (func::FuncOp function : graphs)
      if (Status status = select(function)) {
        getOperation().emitError(status->message);
        return signalPassFailure();
      }
  }

private:
  //===--------------------------------------------------------------------===//
  // Choosing
  //===--------------------------------------------------------------------===//

  Status select(func::FuncOp function) {
    layers = 0;
    for (auto attention : function.getOps<AttentionOp>())
      layers = std::max<int64_t>(layers, attention.getLayer() + 1);
    Choices none(3 * layers, false), all(3 * layers, true);
    double total[2];
    Choices chosen[2];
    Errors without[2], with[2];
    for (int r1 = 0; r1 < 2; ++r1) {
      for (bool rotated : {false, true}) {
        Result<Errors> errors =
            errorsOf(function, r1 == 1, rotated ? all : none);
        if (!errors)
          return errors.error();
        (rotated ? with : without)[r1] = std::move(*errors);
      }
      total[r1] = without[r1].common;
      chosen[r1] = none;
      for (int64_t i = 0; i < 3 * layers; ++i) {
        double plain = without[r1].ofDecision[i];
        double rotated = with[r1].ofDecision[i];
        chosen[r1][i] = rotated < plain;
        total[r1] += std::min(plain, rotated);
      }
    }
    int r1 = total[1] < total[0] ? 1 : 0;
    noteDecision(getOperation(), passName, "r1", r1 ? "hadamard" : "identity",
                 total[0], total[1]);
    for (int64_t i = 0; i < 3 * layers; ++i)
      noteDecision(getOperation(), passName,
                   "layer " + std::to_string(i / 3) + " r" +
                       std::to_string(i % 3 + 2),
                   chosen[r1][i] ? "hadamard" : "identity",
                   without[r1].ofDecision[i], with[r1].ofDecision[i]);
    rotate(function, r1 == 1, chosen[r1]);
    return std::nullopt;
  }

  /// Inserts and folds the chosen rotations.
  void rotate(func::FuncOp function, bool r1, const Choices &choices) {
    hoistWeightOps(function);
    RotationSites places = findRotationSites(function);
    OpBuilder weights = weightBuilder(function);
    auto undo = [&](const Transform &rotation) {
      return transpose(weights, function.getLoc(), rotation);
    };
    if (r1 && !places.residual.empty()) {
      Transform rotation =
          makeRotation(&getContext(), places.hidden, rotationSeed(seed, 0, 0));
      insertR1(places, rotation, undo(rotation));
    }
    for (AttentionOp attention : places.attentions) {
      int64_t layer = attention.getLayer(), size = attention.getHeadDim();
      Transform r2 =
          makeRotation(&getContext(), size, rotationSeed(seed, layer, 1));
      if (choices[3 * layer])
        insertR2(attention, r2, undo(r2));
      if (choices[3 * layer + 1])
        insertR3(attention, makeRotation(&getContext(), size,
                                         rotationSeed(seed, layer, 2)));
    }
    for (const RotationSites::Gated &gated : places.gated) {
      if (gated.layer < 0 || !choices[3 * gated.layer + 2])
        continue;
      auto type = cast<RankedTensorType>(gated.rows.getType());
      Transform r4 = makeRotation(&getContext(), type.getDimSize(1),
                                  rotationSeed(seed, gated.layer, 3));
      insertR4(gated, r4, undo(r4));
    }
    foldTransforms(function, TiedHead::Untie);
    tidyWeightOps(function);
  }

  //===--------------------------------------------------------------------===//
  // Measuring
  //===--------------------------------------------------------------------===//

  /// Errors of a copy of the function with these rotations.
  Result<Errors> errorsOf(func::FuncOp original, bool r1,
                          const Choices &choices) {
    OwningOpRef<ModuleOp> copy = getOperation().clone();
    auto function = copy->lookupSymbol<func::FuncOp>(original.getSymName());
    rotate(function, r1, choices);
    Errors errors;
    errors.ofDecision.resize(3 * layers);
    WeightRoles roles(function);
    // Linears that share rows round them once.
    llvm::DenseSet<Value> seen;
    for (auto linear : function.getOps<LinearOp>()) {
      const WeightUse *use = roles.lookup(linear);
      double *sum = &errors.common;
      int64_t layer = use ? use->layer : -1;
      if (use && layer >= 0 && (use->roles & (ValueRole | OutputRole)))
        sum = &errors.ofDecision[3 * layer];
      else if (use && layer >= 0 && (use->roles & DownRole))
        sum = &errors.ofDecision[3 * layer + 2];
      // The rows of q, k, v are R1's alone, whatever R2 does to v's weight.
      double *rowSum = use && (use->roles & ValueRole) ? &errors.common : sum;
      Result<std::pair<double, double>> error = errorOfLinear(linear);
      if (!error)
        return error.error();
      *sum += error->first;
      if (seen.insert(linear.getInput()).second)
        *rowSum += error->second;
    }
    for (auto embedding : function.getOps<EmbeddingOp>()) {
      Result<double> error = errorOfTable(embedding.getTable());
      if (!error)
        return error.error();
      errors.common += *error;
    }
    for (auto attention : function.getOps<AttentionOp>()) {
      int64_t layer = attention.getLayer();
      Result<double> value =
          errorOfCache(attention, "value", choices[3 * layer], 1);
      Result<double> key =
          errorOfCache(attention, "key", choices[3 * layer + 1], 2);
      if (!value || !key)
        return value ? key.error() : value.error();
      errors.ofDecision[3 * layer] += *value;
      errors.ofDecision[3 * layer + 1] += *key;
    }
    return errors;
  }

  /// Of the weight, and of the rows (mean over the sample).
  Result<std::pair<double, double>> errorOfLinear(LinearOp linear) {
    Value value = linear.getWeight();
    if (!isPlainChain(value))
      return std::pair<double, double>(0, 0);
    std::string key = metric + describeWeight(value) + describeChoice();
    auto compute = [&]() -> Result<std::vector<double>> {
      auto type = cast<RankedTensorType>(value.getType());
      int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
      Result<std::vector<double>> weight = numbers->weight(value);
      if (!weight)
        return weight.error();
      auto found = numbers->input(value);
      if (!found)
        return found.error();
      InputNumbers statistics = *found ? std::move(**found) : InputNumbers();
      auto rounded = roundWeight(*weight, rows, columns, choice,
                                 statistics.diagonal, "weight");
      if (!rounded)
        return rounded.error();
      std::vector<double> roundedRows = statistics.samples;
      if (choice.activationBits < 16)
        roundedRows = roundRows(statistics.samples, columns,
                                choice.activationBits, choice.activationGroup);
      double count = std::max<int64_t>(1, statistics.sampleRows);
      if (metric == "frobenius")
        return std::vector<double>{
            squaredDistance(*weight, *rounded),
            squaredDistance(statistics.samples, roundedRows) / count};
      return outputErrors(*weight, *rounded, columns, statistics, roundedRows);
    };
    auto errors = numbers->remember(key, compute);
    if (!errors)
      return errors.error();
    return std::pair<double, double>((*errors)[0], (*errors)[1]);
  }

  /// Both through what the linear makes of them: Σ ‖Δ x‖² / n over the sample.
  static std::vector<double>
  outputErrors(const std::vector<double> &weight,
               const std::vector<double> &rounded, int64_t columns,
               const InputNumbers &statistics,
               const std::vector<double> &roundedRows) {
    double ofWeight = 0, ofRows = 0;
    for (int64_t row = 0; row < statistics.sampleRows; ++row) {
      const double *x = &statistics.samples[row * columns];
      const double *y = &roundedRows[row * columns];
      for (size_t n = 0; n < weight.size(); n += columns) {
        double a = 0, b = 0;
        for (int64_t k = 0; k < columns; ++k) {
          a += (weight[n + k] - rounded[n + k]) * x[k];
          b += weight[n + k] * (x[k] - y[k]);
        }
        ofWeight += a * a;
        ofRows += b * b;
      }
    }
    double count = std::max<int64_t>(1, statistics.sampleRows);
    return {ofWeight / count, ofRows / count};
  }

  Result<double> errorOfTable(Value table) {
    if (!isPlainChain(table))
      return 0.0;
    auto type = cast<RankedTensorType>(table.getType());
    auto compute = [&]() -> Result<std::vector<double>> {
      Result<std::vector<double>> weight = numbers->weight(table);
      if (!weight)
        return weight.error();
      auto rounded = roundWeight(*weight, type.getDimSize(0),
                                 type.getDimSize(1), choice, {}, "table");
      if (!rounded)
        return rounded.error();
      return std::vector<double>{squaredDistance(*weight, *rounded)};
    };
    auto error = numbers->remember(
        "table" + describeWeight(table) + describeChoice(), compute);
    if (!error)
      return error.error();
    return error->front();
  }

  /// Of the cached rows that the profile has, per head. What earlier passes did
  /// to them is not known here: samples are the checkpoint's own.
  Result<double> errorOfCache(AttentionOp attention, StringRef which,
                              bool rotated, int64_t site) {
    int64_t layer = attention.getLayer(), size = attention.getHeadDim();
    int64_t columns = size * attention.getKvHeads();
    if (cacheBits >= 16)
      return 0.0;
    auto samples = numbers->profile()->samplesAt(
        "attention." + std::to_string(layer) + "." + which.str(), columns);
    if (!samples)
      return samples.error();
    std::vector<double> rows(samples->begin(), samples->end());
    if (rows.empty())
      return 0.0;
    double count = static_cast<double>(rows.size()) / columns;
    if (rotated) {
      Transform rotation =
          makeRotation(&getContext(), size, rotationSeed(seed, layer, site));
      auto transform =
          makeRowTransform(rotation.kind, {}, columns, numbers->bytes());
      if (!transform)
        return transform.error();
      std::vector<double> turned(rows.size());
      (*transform)->apply(rows.data(), rows.size() / columns, turned.data());
      rows = std::move(turned);
    }
    return squaredDistance(rows, roundRows(rows, columns, cacheBits, size)) /
           count;
  }

  std::string describeChoice() const {
    return "|" + format + "|" + solver + "|" + std::to_string(activationBits) +
           "|" + std::to_string(activationGroup);
  }

  RoundingChoice choice;
  const ModelNumbers *numbers = nullptr;
  int64_t layers = 0;
};

} // namespace
