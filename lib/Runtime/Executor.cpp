//===- Executor.cpp - Runs a verified plan --------------------------------===//
#include "lowbit/Runtime/Executor.h"

using namespace lowbit;

Result<std::unique_ptr<Executor>>
Executor::create(const ExecutorSources &sources, int threads) {
  std::unique_ptr<Executor> executor(new Executor(sources.plan, sources.pages));
  if (auto error = executor->allocate(sources, threads))
    return *error;
  if (auto error = executor->resolve(sources))
    return *error;
  return executor;
}

Status Executor::allocate(const ExecutorSources &sources, int threads) {
  auto memory = Memory::allocate(arenaBytes(plan), "the arena");
  if (!memory)
    return memory.error();
  arena = std::move(*memory);
  const PlanLimits &limits = plan.limits;
  for (const PlanBuffer &buffer : plan.buffers) {
    owned.emplace_back();
    if (buffer.kind == BufferKind::Arena) {
      starts.push_back(arena.data() + buffer.offset);
      continue;
    }
    if (buffer.kind == BufferKind::Weight) {
      const uint8_t *weight = sources.weight(buffer.tensor);
      if (!weight)
        return Error{ExitCode::Mismatch,
                     sources.file + ": no tensor " + buffer.tensor};
      // The verifier has proved that no step writes to it.
      starts.push_back(const_cast<uint8_t *>(weight));
      continue;
    }
    memory = Memory::allocate(
        buffer.bytes.evaluate(limits.rows, limits.logits, pages), buffer.name);
    if (!memory)
      return memory.error();
    owned.back() = std::move(*memory);
    starts.push_back(owned.back().data());
    if (buffer.kind == BufferKind::Output && buffer.name == "logits")
      logitsData = reinterpret_cast<const float *>(starts.back());
  }
  for (int i = 0; i < threads; ++i) {
    memory = Memory::allocate(plan.scratch, "scratch memory of a thread");
    if (!memory)
      return memory.error();
    scratch.push_back(std::move(*memory));
    if (sources.emulated)
      emulators.push_back(std::make_unique<Emulator>(
          *sources.emulated ? *sources.emulated + i : 0));
  }
  return {};
}

Status Executor::resolve(const ExecutorSources &sources) {
  // Steps point into the list, so it must have its size before the first.
  size_t count = 0;
  for (const PlanEntry &entry : plan.entries)
    for (const PlanStep &step : entry.steps)
      count += step.args.size();
  addresses.reserve(count);
  for (const PlanEntry &entry : plan.entries) {
    entries.push_back({entry.minRows, entry.maxRows, entry.width, {}});
    for (const PlanStep &step : entry.steps) {
      auto kernel = chooseKernel(sources.kernels, step.kernel, sources.variant,
                                 sources.file);
      if (!kernel)
        return kernel.error();
      uint8_t *const *args = addresses.data() + addresses.size();
      for (const PlanArgument &arg : step.args)
        addresses.push_back(starts[arg.buffer] + arg.offset);
      entries.back().steps.push_back(
          {*kernel, args, step.items, step.count, &step.kernel});
    }
  }
  return {};
}

int32_t *Executor::input(const std::string &name) {
  for (size_t i = 0; i < plan.buffers.size(); ++i)
    if (plan.buffers[i].kind == BufferKind::Input &&
        plan.buffers[i].name == name)
      return reinterpret_cast<int32_t *>(starts[i]);
  return nullptr;
}

uint8_t *Executor::accumulator(const std::string &name, int64_t &bytes) {
  for (size_t i = 0; i < plan.buffers.size(); ++i)
    if (plan.buffers[i].kind == BufferKind::Output && name != "logits" &&
        plan.buffers[i].name == name) {
      bytes = plan.buffers[i].bytes.constant;
      return starts[i];
    }
  return nullptr;
}

namespace {

/// The steps of an entry for one batch.
template <typename Step> class BatchSteps : public StepList {
public:
  BatchSteps(const std::vector<Step> &steps, std::vector<uint8_t *> scratch,
             std::vector<std::unique_ptr<Emulator>> &emulators, int64_t rows,
             int64_t logitRows, int64_t pages)
      : steps(steps), scratch(std::move(scratch)), emulators(emulators),
        failures(emulators.size()), rows(rows), logitRows(logitRows),
        pages(pages) {}

  size_t size() const override { return steps.size(); }
  int64_t items(size_t step) const override {
    return countOf(step) == 0
               ? 0
               : steps[step].items.evaluate(rows, logitRows, pages);
  }
  void run(size_t step, Share share, int thread) override {
    steps[step].kernel(steps[step].args, countOf(step), share.begin, share.end,
                       scratch[thread]);
    if (emulators.empty())
      return;
    Status wrong = emulators[thread]->takeFailure();
    if (wrong && !failures[thread])
      failures[thread] =
          Error{wrong->code,
                "emulated kernel " + *steps[step].name + ", " + wrong->message};
  }
  /// What the first thread that has a complaint says.
  Status failure() const {
    for (const Status &wrong : failures)
      if (wrong)
        return wrong;
    return {};
  }

private:
  int64_t countOf(size_t step) const {
    return steps[step].count == StepCount::Rows ? rows : logitRows;
  }

  const std::vector<Step> &steps;
  const std::vector<uint8_t *> scratch;
  std::vector<std::unique_ptr<Emulator>> &emulators;
  std::vector<Status> failures;
  const int64_t rows, logitRows, pages;
};

} // namespace

Status Executor::run(ThreadPool &pool, int64_t rows, int64_t logitRows,
                     int64_t width) {
  std::vector<uint8_t *> memory;
  for (size_t i = 0; i < scratch.size(); ++i)
    memory.push_back(emulators.empty() ? scratch[i].data()
                                       : emulators[i]->scratch());
  for (const ResolvedEntry &entry : entries)
    if (entry.width == width && entry.minRows <= rows &&
        rows <= entry.maxRows) {
      BatchSteps<ResolvedStep> steps(entry.steps, std::move(memory), emulators,
                                     rows, logitRows, pages);
      pool.runSteps(steps);
      return steps.failure();
    }
  assert(false && "entries cover all rows of every width");
  return {};
}
