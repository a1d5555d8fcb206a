//===- PartRunner.cpp - All rows through one part of a model --------------===//

#include "PartRunner.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Numerics/Float.h"

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
  runner->prepareSums();
  return runner;
}

Status PartRunner::load() {
  Result<PartWeights> made = PartWeights::make(part);
  if (!made)
    return made.error();
  weights = std::move(*made);
  auto loaded = PartExecutor::create(
      part.plan(), part.code(),
      [&](const std::string &tensor) { return weights.find(tensor); },
      context.pool);
  if (!loaded)
    return loaded.error();
  executor = std::move(*loaded);
  return std::nullopt;
}

void PartRunner::prepareSums() {
  rowWork = static_cast<double>(part.linearWeights());
  for (const Observation &seen : part.observations()) {
    if (seen.moments == Moments::None)
      continue;
    sums.emplace_back(seen, executor->output("h." + seen.name));
    rowWork += static_cast<double>(storedMoments(seen));
  }
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
  for (const TextBatch &batch : context.text.batches) {
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

Status PartRunner::runBatch(TextBatch batch, Memory &hidden, Memory &given) {
  int64_t rows = batch.end - batch.begin;
  if (pending + rows > chunkRows) {
    Stopwatch watch;
    for (MomentSums &sum : sums)
      if (Status status = sum.drain(context.pool))
        return status;
    watch.stop(context.work);
    pending = 0;
  }
  int64_t selected =
      std::clamp<int64_t>(context.sampleRows - batch.begin, 0, rows);
  Stopwatch watch;
  executor->run(context.text, batch, selected, hidden, part.takenColumns());
  watch.stop(context.work);
  context.work.multiplyAdds += rowWork * static_cast<double>(rows);
  pending += rows;
  if (part.givenColumns() != 0)
    executor->copyGiven(batch, part.givenColumns(), given);
  return selected == 0 ? std::nullopt : keepSamples(batch);
}

/// Rounds the selected rows of a batch to f16, to their places in the profile.
Status PartRunner::keepSamples(TextBatch batch) {
  int64_t selected = std::min(batch.end, context.sampleRows) - batch.begin;
  for (const Observation &seen : part.observations()) {
    const float *from = executor->output("sample." + seen.name);
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
