//===- VerifyNumerics.h - Passes keep the function --------------*- C++ -*-===//
//
// Evaluates the module in f64 on sample tokens after each pass and compares the
// logits with those before, as far as the pass promises (to the bit, or 1e-9).
// The interpreter is slow: for small models, and for tests.
//
//   NumericsVerifier verifier(bytes, {});
//   manager.addInstrumentation(verifier.makeInstrumentation());
//   … manager.run(module); if (Status status = verifier.result()) …
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_VERIFYNUMERICS_H
#define LOWBIT_PIPELINES_VERIFYNUMERICS_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Reference/Interpreter.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassInstrumentation.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

struct NumericsOptions {
  /// Tokens of each of two sequences that are evaluated together.
  int64_t tokens = 12;
  /// Of the ids, which are drawn from the vocabulary.
  uint64_t seed = 1;
};

/// The logits of a module, and what led to them.
struct NumericsTrace {
  std::vector<double> logits;
  /// Rows of one operation of the graph: kind, place in the text, values.
  struct Step {
    std::string kind;
    std::string name;
    HostTensor rows;
  };
  std::vector<Step> steps;
};

/// Evaluates `@forward` in f64 on the sample; nothing where the module has no
/// such function. Errors are the interpreter's.
Result<std::optional<NumericsTrace>>
traceModule(mlir::ModuleOp module, ParameterBytes &bytes,
            const NumericsOptions &options);

/// Compares two traces: a line that says how far the logits are from each other
/// and which operation is the first whose rows differ, or nothing where they
/// agree to `tolerance` (relative to the largest logit; 0: equal bits).
std::optional<std::string> compareTraces(const NumericsTrace &before,
                                         const NumericsTrace &after,
                                         double tolerance);

/// Checks all passes of one run. `bytes` must outlive it.
class NumericsVerifier {
public:
  NumericsVerifier(ParameterBytes &bytes, const NumericsOptions &options);
  ~NumericsVerifier();

  /// For one pass manager; refers to this object.
  std::unique_ptr<mlir::PassInstrumentation> makeInstrumentation();

  /// Exit 70 with the pass and the first operation that differs, where one did
  /// not keep its promise; else what the interpreter could not do before any
  /// pass had run.
  Status result() const;
  /// Passes whose result was compared, and those that could not be (behind a
  /// lossy pass that the interpreter does not evaluate).
  int64_t compared() const;
  int64_t skipped() const;

private:
  friend class NumericsInstrumentation;
  struct State;
  std::unique_ptr<State> state;
};

} // namespace lowbit

#endif // LOWBIT_PIPELINES_VERIFYNUMERICS_H
