//===- Executor.h - Runs a verified plan ------------------------*- C++ -*-===//
//
// Owns the buffers of one plan, resolves every argument to an address once, and
// then runs the steps of an entry in order on all threads of a pool. What is in
// the input buffers is the caller's business (Session).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_EXECUTOR_H
#define LOWBIT_RUNTIME_EXECUTOR_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Emulator.h"
#include "lowbit/Runtime/KernelTable.h"
#include "lowbit/Runtime/Memory.h"
#include "lowbit/Runtime/Plan.h"
#include "lowbit/Runtime/ThreadPool.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// What an executor is made from. References must outlive it.
struct ExecutorSources {
  /// A plan that verifyPlan accepted.
  const Plan &plan;
  const KernelTable &kernels;
  /// Largest variant of kernels to use.
  Variant variant;
  /// Bytes of a container's tensor, or null.
  std::function<const uint8_t *(const std::string &)> weight;
  /// Physical pages of the cache, 1 … plan.limits.pages.
  int64_t pages;
  /// For messages.
  std::string file;
  /// The seed of the emulator's schedules, for a plan of the target `emulated`;
  /// no value for kernels of the CPU.
  std::optional<uint64_t> emulated = std::nullopt;
};

/// Runs one plan with one set of buffers; one run at a time.
class Executor {
public:
  /// Allocates all buffers and resolves all steps. Exit 6 where they do not
  /// fit, 4 and 7 as chooseKernel.
  static Result<std::unique_ptr<Executor>>
  create(const ExecutorSources &sources, int threads);

  /// Inputs by name (null where the plan has none), as large as the plan's
  /// limits.
  int32_t *input(const std::string &name);

  /// Runs the entry for `rows` rows at `width`. rows is 1 … limits.rows,
  /// logitRows 0 … limits.logits; both are checked by the caller. Fails (exit
  /// 70) only where the emulator finds a kernel at fault, whose name it gives.
  Status run(ThreadPool &pool, int64_t rows, int64_t logitRows, int64_t width);

  /// The rows of logits of the last run: [logit row][vocabulary].
  const float *logits() const { return logitsData; }

  /// An accumulator (an output that is not `logits`) by name, with its size;
  /// null where there is none.
  uint8_t *accumulator(const std::string &name, int64_t &bytes);

private:
  /// A step with addresses instead of buffers.
  struct ResolvedStep {
    KernelFunction kernel;
    uint8_t *const *args;
    Affine items;
    StepCount count;
    const std::string *name;
  };
  struct ResolvedEntry {
    int64_t minRows, maxRows, width;
    std::vector<ResolvedStep> steps;
  };

  Executor(const Plan &plan, int64_t pages) : plan(plan), pages(pages) {}
  Status allocate(const ExecutorSources &sources, int threads);
  Status resolve(const ExecutorSources &sources);

  const Plan &plan;
  const int64_t pages;
  Memory arena;
  /// Of each buffer that is neither arena nor weight; empty for the others.
  std::vector<Memory> owned;
  /// Start of each buffer.
  std::vector<uint8_t *> starts;
  std::vector<Memory> scratch;
  /// Of each thread, where kernels are emulated.
  std::vector<std::unique_ptr<Emulator>> emulators;
  /// The argument lists of all steps, one after another.
  std::vector<uint8_t *> addresses;
  std::vector<ResolvedEntry> entries;
  const float *logitsData = nullptr;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_EXECUTOR_H
