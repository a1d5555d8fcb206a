//===- VerifyNumerics.cpp - Passes keep the function ----------------------===//

#include "lowbit/Pipelines/VerifyNumerics.h"
#include "lowbit/Transforms/NumericsPromise.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/StringMap.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>

using namespace lowbit;

//===----------------------------------------------------------------------===//
// Traces
//===----------------------------------------------------------------------===//

/// Two sequences of random ids of the embedding's vocabulary; all logits.
static Batch sampleBatch(int64_t vocabulary, const NumericsOptions &options) {
  std::mt19937_64 random(options.seed);
  Batch batch;
  for (int32_t sequence = 0; sequence < 2; ++sequence)
    for (int32_t position = 0; position < options.tokens; ++position) {
      batch.select.push_back(static_cast<int32_t>(batch.ids.size()));
      batch.ids.push_back(
          static_cast<int32_t>(random() % static_cast<uint64_t>(vocabulary)));
      batch.sequences.push_back(sequence);
      batch.positions.push_back(position);
    }
  return batch;
}

Result<std::optional<NumericsTrace>>
lowbit::traceModule(mlir::ModuleOp module, ParameterBytes &bytes,
                    const NumericsOptions &options) {
  auto forward = module.lookupSymbol<mlir::func::FuncOp>("forward");
  if (!forward || forward.isExternal())
    return std::optional<NumericsTrace>();
  int64_t vocabulary = 0;
  for (auto embedding : forward.getOps<EmbeddingOp>())
    vocabulary =
        llvm::cast<mlir::RankedTensorType>(embedding.getTable().getType())
            .getDimSize(0);
  if (vocabulary == 0)
    return std::optional<NumericsTrace>();
  NumericsTrace trace;
  llvm::StringMap<int64_t> counts;
  InterpreterOptions how;
  how.mode = ReferenceMode::F64;
  how.trace = [&](mlir::Operation *op, const HostTensor &rows) {
    std::string kind = op->getName().getStringRef().str();
    std::string name = kind + " number " + std::to_string(++counts[kind]);
    if (auto attention = llvm::dyn_cast<AttentionOp>(op))
      name += " (layer " + std::to_string(attention.getLayer()) + ")";
    trace.steps.push_back({std::move(kind), std::move(name), rows});
  };
  Interpreter interpreter(module, bytes, how);
  Result<HostTensor> logits =
      interpreter.forward(sampleBatch(vocabulary, options));
  if (!logits)
    return logits.error();
  trace.logits = logits->as<double>();
  return std::optional<NumericsTrace>(std::move(trace));
}

/// Whether the rows are the same, as they are or turned: a rotation keeps the
/// length of each.
static bool areRowsAlike(const HostTensor &a, const HostTensor &b) {
  constexpr double tolerance = 1e-7;
  if (a.rows() != b.rows())
    return false;
  double largest = 0, difference = 0;
  bool turnedOnly = true;
  for (int64_t row = 0; row < a.rows(); ++row) {
    double lengthA = 0, lengthB = 0;
    for (int64_t k = 0; k < a.columns(); ++k) {
      double x = a.at(row * a.columns() + k);
      lengthA += x * x;
      largest = std::max(largest, std::fabs(x));
      if (a.columns() == b.columns())
        difference =
            std::max(difference, std::fabs(x - b.at(row * b.columns() + k)));
    }
    for (int64_t k = 0; k < b.columns(); ++k)
      lengthB += std::pow(b.at(row * b.columns() + k), 2);
    turnedOnly &= std::fabs(lengthA - lengthB) <= tolerance * lengthA;
  }
  return turnedOnly ||
         (a.columns() == b.columns() && difference <= tolerance * largest);
}

/// The first operation, in the order of the graph before, that has a
/// counterpart (the same number of its kind, of as many) and other rows. Passes
/// scale or rearrange some on purpose, so this is where to look first, not a
/// proof.
static std::string findFirstDifference(const NumericsTrace &before,
                                       const NumericsTrace &after) {
  llvm::StringMap<const NumericsTrace::Step *> counterparts;
  for (const NumericsTrace::Step &step : after.steps)
    counterparts[step.name] = &step;
  for (const NumericsTrace::Step &step : before.steps) {
    auto found = counterparts.find(step.name);
    if (found != counterparts.end() && step.kind != "lowbit.transform" &&
        !areRowsAlike(step.rows, found->second->rows))
      return step.name;
  }
  return "the logits";
}

std::optional<std::string> lowbit::compareTraces(const NumericsTrace &before,
                                                 const NumericsTrace &after,
                                                 double tolerance) {
  if (before.logits.size() != after.logits.size())
    return std::to_string(after.logits.size()) + " logits instead of " +
           std::to_string(before.logits.size());
  double largest = 0, difference = 0;
  bool finite = true, equal = true;
  for (size_t i = 0; i < before.logits.size(); ++i) {
    double a = before.logits[i], b = after.logits[i];
    equal &= std::memcmp(&a, &b, sizeof(a)) == 0;
    finite &= std::isfinite(a) && std::isfinite(b);
    largest = std::max(largest, std::fabs(a));
    difference = std::max(difference, std::fabs(a - b));
  }
  if (equal || (tolerance > 0 && finite && difference <= tolerance * largest))
    return std::nullopt;
  char text[160];
  std::snprintf(text, sizeof(text),
                "logits differ by %.3g of %.3g (%.2g relative, %s), first at ",
                difference, largest, difference / largest,
                tolerance > 0 ? "1e-9 is allowed" : "equal bits are promised");
  return text + findFirstDifference(before, after);
}

//===----------------------------------------------------------------------===//
// After each pass
//===----------------------------------------------------------------------===//

struct NumericsVerifier::State {
  ParameterBytes &bytes;
  NumericsOptions options;
  /// Of the module before the next pass; none before the first, or where it
  /// cannot be evaluated.
  std::optional<NumericsTrace> last;
  bool started = false;
  Status problem;
  int64_t compared = 0, skipped = 0;
};

namespace lowbit {
class NumericsInstrumentation : public mlir::PassInstrumentation {
public:
  explicit NumericsInstrumentation(NumericsVerifier::State &state)
      : state(state) {}

  void runBeforePass(mlir::Pass *pass, mlir::Operation *op) override {
    mlir::ModuleOp module = moduleOf(op);
    if (state.started || !module || pass->getArgument().empty())
      return;
    state.started = true;
    evaluate(module, state.last, state.problem);
  }

  void runAfterPass(mlir::Pass *pass, mlir::Operation *op) override {
    mlir::ModuleOp module = moduleOf(op);
    if (!module || pass->getArgument().empty() || state.problem)
      return;
    NumericsPromise promise = getNumericsPromise(pass->getArgument());
    std::optional<NumericsTrace> now;
    Status problem;
    evaluate(module, now, problem);
    if (problem && !state.last) {
      ++state.skipped;
      return;
    }
    std::string place = "after the pass " + pass->getArgument().str() + ": ";
    if (promise != NumericsPromise::Lossy && problem)
      state.problem = Error{problem->code, place + problem->message};
    else if (promise != NumericsPromise::Lossy && state.last && now) {
      ++state.compared;
      double tolerance = promise == NumericsPromise::Close ? closeTolerance : 0;
      if (auto difference = compareTraces(*state.last, *now, tolerance))
        state.problem = Error{ExitCode::Internal,
                              "--verify-numerics: " + place + *difference};
    }
    state.last = std::move(now);
  }

private:
  static mlir::ModuleOp moduleOf(mlir::Operation *op) {
    auto module = llvm::dyn_cast<mlir::ModuleOp>(op);
    return module ? module : op->getParentOfType<mlir::ModuleOp>();
  }

  void evaluate(mlir::ModuleOp module, std::optional<NumericsTrace> &trace,
                Status &problem) {
    auto traced = traceModule(module, state.bytes, state.options);
    if (traced)
      trace = std::move(*traced);
    else
      problem = traced.error();
  }

  NumericsVerifier::State &state;
};
} // namespace lowbit

NumericsVerifier::NumericsVerifier(ParameterBytes &bytes,
                                   const NumericsOptions &options)
    : state(
          new State{bytes, options, std::nullopt, false, std::nullopt, 0, 0}) {}
NumericsVerifier::~NumericsVerifier() = default;

std::unique_ptr<mlir::PassInstrumentation>
NumericsVerifier::makeInstrumentation() {
  return std::make_unique<NumericsInstrumentation>(*state);
}

Status NumericsVerifier::result() const { return state->problem; }
int64_t NumericsVerifier::compared() const { return state->compared; }
int64_t NumericsVerifier::skipped() const { return state->skipped; }
