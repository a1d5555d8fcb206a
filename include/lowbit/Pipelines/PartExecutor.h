//===- PartExecutor.h - Batches of a text through a part --------*- C++ -*-===//
//
// The code, weights and buffers of one part of a model (ObservedModel.h), and
// one batch of rows at a time through it.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_PARTEXECUTOR_H
#define LOWBIT_PIPELINES_PARTEXECUTOR_H

#include "lowbit/Pipelines/CalibrationText.h"
#include "lowbit/Pipelines/ObservedModel.h"
#include "lowbit/Runtime/CodeObject.h"
#include "lowbit/Runtime/Executor.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lowbit {

/// Bytes of a weight by the plan's name of its tensor; null where there is
/// none.
using WeightLookup = std::function<const uint8_t *(const std::string &tensor)>;

/// Weights that a part made itself.
class PartWeights {
public:
  /// Exit 6 where memory is missing, 3 as ObservedPart::fillWeights.
  static Result<PartWeights> make(ObservedPart &part);
  const uint8_t *find(const std::string &tensor) const;

private:
  std::vector<std::string> names;
  std::vector<Memory> bytes;
};

/// See the head of this file.
class PartExecutor {
public:
  /// Runs `plan`, which is the part's or the beginning of it. All arguments
  /// must outlive the result, weights too. Exit 6 where memory is missing; 5
  /// and 7 as CodeObject.
  static Result<std::unique_ptr<PartExecutor>>
  create(const Plan &plan, const std::string &code, const WeightLookup &weight,
         ThreadPool &pool);

  /// Runs the rows of a batch and copies the first `selected` of each
  /// observation to its sample. `taken` has the hidden rows of the whole text
  /// that the part before gave, f32 [row][columns], unless columns are 0.
  void run(const TextRows &text, TextBatch batch, int64_t selected,
           const Memory &taken, int64_t takenColumns);

  /// Copies the rows that the last run gives to their place among the hidden
  /// rows of the whole text.
  void copyGiven(TextBatch batch, int64_t givenColumns, Memory &hidden);

  /// An accumulator of the plan, for example `sample.<name>`; null where there
  /// is none.
  float *output(const std::string &name) const;

private:
  explicit PartExecutor(ThreadPool &pool) : pool(pool) {}

  ThreadPool &pool;
  CodeObject code;
  std::unique_ptr<Executor> executor;
};

/// The steps of `plan` that lead to what is observed as `name`, for runs that
/// want nothing else.
Plan cutPlan(const Plan &plan, const std::string &name);

} // namespace lowbit

#endif // LOWBIT_PIPELINES_PARTEXECUTOR_H
