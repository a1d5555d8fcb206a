//===- PartRunner.cpp - All rows through one part of a model --------------===//

#include "PartRunner.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Runtime/PageTable.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace lowbit;
using namespace lowbit::calibrate;

namespace {

Error notFinite(const RunContext &context, const std::string &name) {
  return badInput(context.model, name,
                  "activations are not finite: there is nothing to calibrate");
}

} // namespace

Result<std::unique_ptr<PartRunner>> PartRunner::create(ObservedPart part,
                                                       RunContext &context) {
  std::unique_ptr<PartRunner> runner(new PartRunner(std::move(part), context));
  if (Status status = runner->load())
    return *status;
  if (Status status = runner->prepareSums())
    return *status;
  return runner;
}

Status PartRunner::load() {
  Result<CodeObject> loaded =
      CodeObject::load(bytesOf(part.code()), "calibration code");
  if (!loaded)
    return loaded.error();
  code = std::move(*loaded);
  std::map<std::string, const uint8_t *> byTensor;
  for (const PartWeight &weight : part.weights()) {
    auto memory = Memory::allocate(weight.bytes, weight.tensor);
    if (!memory)
      return memory.error();
    byTensor[weight.tensor] = memory->data();
    weights.push_back(std::move(*memory));
  }
  if (Status status =
          part.fillWeights([&](size_t i) { return weights[i].data(); }))
    return status;

  const PlanLimits &limits = part.plan().limits;
  auto made = Executor::create({part.plan(), code.kernels(), bestVariant(),
                                [&](const std::string &tensor) {
                                  auto found = byTensor.find(tensor);
                                  return found == byTensor.end()
                                             ? nullptr
                                             : found->second;
                                },
                                limits.pages, "calibration plan"},
                               context.pool.size());
  if (!made)
    return made.error();
  executor = std::move(*made);
  // Every sequence has its own pages for good.
  int32_t *table = executor->input("page_table");
  for (int64_t i = 0; i < limits.sequences * limits.pagesPerSequence; ++i)
    table[i] = static_cast<int32_t>(i);
  return std::nullopt;
}

Status PartRunner::prepareSums() {
  rowWork = static_cast<double>(part.linearWeights());
  for (const Observation &seen : part.observations()) {
    if (seen.moments == Moments::None)
      continue;
    sums.emplace_back(seen, output("h." + seen.name));
    rowWork += static_cast<double>(storedMoments(seen));
  }
  return std::nullopt;
}

float *PartRunner::output(const std::string &name) const {
  int64_t bytes = 0;
  return reinterpret_cast<float *>(executor->accumulator(name, bytes));
}

Status PartRunner::run(Memory &hidden) {
  Memory given;
  if (part.givenColumns() != 0 && part.givenColumns() != part.takenColumns()) {
    auto rows = static_cast<int64_t>(context.text.rows.size());
    auto memory =
        Memory::allocate(4 * rows * part.givenColumns(), "hidden rows");
    if (!memory)
      return memory.error();
    given = std::move(*memory);
  }
  for (const Batch &batch : context.text.batches) {
    if (context.stop && context.stop->load())
      return Error{ExitCode::Stopped, "stopped: nothing was written"};
    if (context.measurePeak)
      measureFmaPeak(context.pool, context.peak);
    if (Status status = runBatch(batch, hidden, given.data() ? given : hidden))
      return status;
    context.progress.advance(batch.end - batch.begin);
  }
  if (given.data())
    hidden = std::move(given);
  return storeMoments();
}

Status PartRunner::runBatch(Batch batch, Memory &hidden, Memory &given) {
  int64_t rows = batch.end - batch.begin;
  if (pending + rows > chunkRows) {
    Stopwatch watch;
    for (MomentSums &sum : sums)
      if (Status status = sum.drain(context.pool))
        return status;
    watch.stop(context.work);
    pending = 0;
  }
  int32_t *ids = executor->input("ids"), *places = executor->input("rows");
  for (int64_t i = 0; i < rows; ++i) {
    const Row &row = context.text.rows[batch.begin + i];
    ids[i] = row.id;
    places[2 * i] = row.sequence;
    places[2 * i + 1] = row.position;
  }
  int64_t selected =
      std::clamp<int64_t>(context.sampleRows - batch.begin, 0, rows);
  for (int64_t i = 0; i < selected; ++i)
    executor->input("select")[i] = static_cast<int32_t>(i);

  float *in = output("hidden"), *out = output("hidden.out");
  int64_t taken = 4 * part.takenColumns(), kept = 4 * part.givenColumns();
  if (taken != 0)
    std::memcpy(in, hidden.data() + batch.begin * taken, rows * taken);
  Stopwatch watch;
  executor->run(context.pool, rows, selected, /*width=*/0);
  watch.stop(context.work);
  context.work.multiplyAdds += rowWork * static_cast<double>(rows);
  pending += rows;
  if (kept != 0)
    std::memcpy(given.data() + batch.begin * kept, out ? out : in, rows * kept);
  return selected == 0 ? std::nullopt : keepSamples(batch);
}

/// Rounds the selected rows of a batch to f16, to their places in the profile.
Status PartRunner::keepSamples(Batch batch) {
  int64_t selected = std::min(batch.end, context.sampleRows) - batch.begin;
  for (const Observation &seen : part.observations()) {
    const float *from = output("sample." + seen.name);
    uint8_t *to =
        context.profile.sample(seen.name) + 2 * batch.begin * seen.columns;
    for (int64_t i = 0; i < selected * seen.columns; ++i) {
      float value = from[i];
      if (!isFiniteFloat(value))
        return notFinite(context, seen.name);
      float stored = std::clamp(value, -maxF16, maxF16);
      context.clamped += stored != value;
      uint16_t bits = roundToF16(stored);
      std::memcpy(to + 2 * i, &bits, 2);
    }
  }
  return std::nullopt;
}

Status PartRunner::storeMoments() {
  size_t next = 0;
  for (const Observation &seen : part.observations())
    if (seen.moments != Moments::None &&
        !sums[next++].store(context.pool, context.profile.moments(seen.name)))
      return notFinite(context, seen.name);
  return std::nullopt;
}
