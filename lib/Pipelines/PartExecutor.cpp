//===- PartExecutor.cpp - Batches of a text through a part ----------------===//

#include "lowbit/Pipelines/PartExecutor.h"

#include <cstring>

using namespace lowbit;

Result<PartWeights> PartWeights::make(ObservedPart &part) {
  PartWeights weights;
  for (const PartWeight &weight : part.weights()) {
    auto memory = Memory::allocate(weight.bytes, weight.tensor);
    if (!memory)
      return memory.error();
    weights.names.push_back(weight.tensor);
    weights.bytes.push_back(std::move(*memory));
  }
  if (Status status =
          part.fillWeights([&](size_t i) { return weights.bytes[i].data(); }))
    return *status;
  return weights;
}

const uint8_t *PartWeights::find(const std::string &tensor) const {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == tensor)
      return bytes[i].data();
  return nullptr;
}

Result<std::unique_ptr<PartExecutor>>
PartExecutor::create(const Plan &plan, const std::string &code,
                     const WeightLookup &weight, ThreadPool &pool) {
  std::unique_ptr<PartExecutor> result(new PartExecutor(pool));
  Result<CodeObject> loaded =
      CodeObject::load(bytesOf(code), "calibration code");
  if (!loaded)
    return loaded.error();
  result->code = std::move(*loaded);
  const PlanLimits &limits = plan.limits;
  auto made = Executor::create({plan, result->code.kernels(), bestVariant(),
                                weight, limits.pages, "calibration plan"},
                               pool.size());
  if (!made)
    return made.error();
  result->executor = std::move(*made);
  // Every sequence has its own pages for good. A plan without attention has no
  // cache.
  if (int32_t *table = result->executor->input("page_table"))
    for (int64_t i = 0; i < limits.sequences * limits.pagesPerSequence; ++i)
      table[i] = static_cast<int32_t>(i);
  return result;
}

void PartExecutor::run(const TextRows &text, TextBatch batch, int64_t selected,
                       const Memory &taken, int64_t takenColumns) {
  int64_t rows = batch.end - batch.begin;
  int32_t *ids = executor->input("ids"), *places = executor->input("rows");
  for (int64_t i = 0; i < rows; ++i) {
    const TextRow &row = text.rows[batch.begin + i];
    ids[i] = row.id;
    places[2 * i] = row.sequence;
    places[2 * i + 1] = row.position;
  }
  for (int64_t i = 0; i < selected; ++i)
    executor->input("select")[i] = static_cast<int32_t>(i);
  if (takenColumns != 0)
    std::memcpy(output("hidden"), taken.data() + 4 * batch.begin * takenColumns,
                4 * rows * takenColumns);
  // Only emulated kernels can fail.
  [[maybe_unused]] Status status =
      executor->run(pool, rows, selected, /*width=*/0);
  assert(!status && "kernels of the CPU do not fail");
}

void PartExecutor::copyGiven(TextBatch batch, int64_t givenColumns,
                             Memory &hidden) {
  const float *out = output("hidden.out");
  std::memcpy(hidden.data() + 4 * batch.begin * givenColumns,
              out ? out : output("hidden"),
              4 * (batch.end - batch.begin) * givenColumns);
}

float *PartExecutor::output(const std::string &name) const {
  int64_t bytes = 0;
  return reinterpret_cast<float *>(executor->accumulator(name, bytes));
}

Plan lowbit::cutPlan(const Plan &plan, const std::string &name) {
  Plan result = plan;
  auto isSample = [&](const PlanArgument &argument) {
    return argument.access != Access::Read &&
           plan.buffers[argument.buffer].name == "sample." + name;
  };
  for (PlanEntry &entry : result.entries) {
    size_t end = 0;
    for (size_t i = 0; i < entry.steps.size(); ++i)
      for (const PlanArgument &argument : entry.steps[i].args)
        if (isSample(argument))
          end = i + 1;
    entry.steps.resize(end);
  }
  return result;
}
