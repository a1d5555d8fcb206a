//===- Sequential.cpp - Weights packed block by block ---------------------===//

#include "Sequential.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/Runtime/Model.h"

#include <algorithm>
#include <atomic>
#include <cstring>

using namespace lowbit;

namespace {

/// Multiply-adds a second on one thread that estimates count on.
constexpr double assumedRate = 1e10;

std::vector<std::string> namesOf(const Observation &input) {
  std::vector<std::string> names = {input.name};
  names.insert(names.end(), input.otherNames.begin(), input.otherNames.end());
  return names;
}

/// A loop on the threads of a pool.
ParallelLoop loopOn(ThreadPool &pool) {
  return [&pool](int64_t count, const std::function<void(int64_t)> &body) {
    std::atomic<int64_t> next{0};
    pool.run([&](int) {
      for (int64_t i; (i = next.fetch_add(1)) < count;)
        body(i);
    });
  };
}

Result<PartedModel> cutIntoParts(mlir::OwningOpRef<mlir::ModuleOp> module,
                                 llvm::StringRef passes, ParameterBytes &bytes,
                                 const RowLimits &limits,
                                 const CompileOptions &options) {
  if (Status status =
          runPipeline(*module, ("builtin.module(" + passes +
                                "lowbit-insert-observers{moments=diagonal "
                                "attention=false})")
                                   .str()))
    return *status;
  return PartedModel::create(std::move(module), bytes,
                             {hostTarget(), limits, options});
}

} // namespace

//===----------------------------------------------------------------------===//
// The input whose turn it is
//===----------------------------------------------------------------------===//

bool CurrentInput::isCurrent(const std::vector<std::string> &tensors) const {
  return std::any_of(
      tensors.begin(), tensors.end(),
      [&](const std::string &name) { return current.count(name) != 0; });
}

bool CurrentInput::hasMoments(const std::vector<std::string> &tensors) const {
  return std::any_of(
      tensors.begin(), tensors.end(),
      [&](const std::string &name) { return expected.count(name) != 0; });
}

Result<std::optional<std::vector<float>>>
CurrentInput::diagonal(const std::vector<std::string> &tensors,
                       int64_t wanted) const {
  if (!isCurrent(tensors) || wanted != columns)
    return std::optional<std::vector<float>>();
  MomentsView view = {triangle.data(), columns};
  std::vector<float> diagonal;
  for (int64_t k = 0; k < columns; ++k)
    diagonal.push_back(view.diagonal(k));
  return std::optional<std::vector<float>>(std::move(diagonal));
}

Result<std::optional<std::vector<float>>>
CurrentInput::moments(const std::vector<std::string> &tensors,
                      int64_t wanted) const {
  if (!isCurrent(tensors) || wanted != columns)
    return std::optional<std::vector<float>>();
  return std::optional<std::vector<float>>(triangle);
}

DriftView CurrentInput::drift(const std::vector<std::string> &tensors) const {
  return isCurrent(tensors) ? DriftView{driftElements.data(), columns}
                            : DriftView{};
}

void CurrentInput::expect(const Observation &input) {
  for (const std::string &name : namesOf(input))
    expected.insert(name);
}

void CurrentInput::begin(const Observation &input, const InputMoments &sums) {
  for (const std::string &name : namesOf(input))
    current.insert(name);
  columns = input.columns;
  triangle = sums.moments();
  driftElements = sums.drift();
}

void CurrentInput::end() {
  current.clear();
  triangle = {};
  driftElements = {};
}

//===----------------------------------------------------------------------===//
// Before a run
//===----------------------------------------------------------------------===//

struct SequentialCalibration::PartPair {
  ObservedPart full, quantized;
  PartWeights fullWeights;
};

Result<std::unique_ptr<SequentialCalibration>>
SequentialCalibration::create(SequentialModules modules, ParameterBytes &bytes,
                              const ManifestModel &model,
                              const std::string &tokenizer,
                              const CompileOptions &options) {
  auto result = std::make_unique<SequentialCalibration>();
  result->bytes = &bytes;
  result->options = &options;
  result->hiddenColumns = model.hidden;
  Result<RowLimits> limits =
      chooseRowLimits(model.context, options.calibrationContext, options.input);
  if (!limits)
    return limits.error();
  result->limits = *limits;
  auto text =
      readCalibrationText(options.calibrationText, tokenizer, model, *limits,
                          options.calibrationTokens, "--calibration-tokens");
  if (!text)
    return text.error();
  result->text = std::move(*text);
  auto full =
      cutIntoParts(std::move(modules.transformed),
                   "lowbit-set-cache{type=f32},", bytes, *limits, options);
  if (!full)
    return full.error();
  result->full.emplace(std::move(*full));
  auto quantized =
      cutIntoParts(std::move(modules.quantized), "", bytes, *limits, options);
  if (!quantized)
    return quantized.error();
  result->quantized.emplace(std::move(*quantized));
  for (int64_t part = 0; part < result->quantized->parts(); ++part)
    for (const Observation &input : result->quantized->observations(part))
      result->current.expect(input);
  return result;
}

Status SequentialCalibration::check(const Materializer &materializer) {
  // A tied table is needed by the first part, its input is known in the last.
  for (size_t i = 0; i < materializer.parameters().size(); ++i) {
    ParameterOp op = materializer.parameters()[i].op;
    auto role = op->getAttrOfType<mlir::StringAttr>("lowbit.role");
    if (role && role.getValue().contains("embedding") &&
        role.getValue().contains("head") && materializer.needsMoments(i))
      return unsupported(
          options->input, materializer.parameters()[i].name,
          "is embedding and head at once: what the head reads is known only "
          "when all is packed, so that a sequential calibration cannot solve "
          "it by error feedback; give these roles another solver");
  }
  int64_t needed = peakMemory(), available = availableMemory();
  if (needed <= available)
    return std::nullopt;
  return Error{ExitCode::Memory,
               "sequential calibration needs " + std::to_string(needed) +
                   " bytes for moments, hidden rows and weights of a part, " +
                   std::to_string(available) +
                   " are available: take fewer --calibration-tokens"};
}

int64_t SequentialCalibration::peakMemory() const {
  int64_t widest = 0;
  for (int64_t part = 0; part < quantized->parts(); ++part)
    for (const Observation &input : quantized->observations(part))
      widest = std::max(widest, input.columns);
  auto rows = static_cast<int64_t>(text.rows.rows.size());
  // Sums in f64; H and drift in f32; two streams.
  return widest * widest * (16 + 6) + 2 * 4 * rows * hiddenColumns +
         full->largestWeights();
}

double
SequentialCalibration::estimateSeconds(const Materializer &materializer) const {
  double work = 0;
  for (int64_t part = 0; part < quantized->parts(); ++part)
    for (const Observation &input : quantized->observations(part)) {
      auto columns = static_cast<double>(input.columns);
      // The sums, and both streams about three times through their linears,
      // which have about four times as many rows as columns.
      work += columns * columns * (1.5 + 2 * 3 * 4);
    }
  work *= static_cast<double>(text.rows.rows.size());
  for (size_t i = 0; i < materializer.parameters().size(); ++i) {
    const LedgerEntry &entry = materializer.description(i);
    if (!current.hasMoments(entry.sources))
      continue;
    auto columns = static_cast<double>(entry.columns);
    // W D and two triangular systems; the factor, where the solver has none.
    work += 2 * columns * columns * static_cast<double>(entry.rows);
    if (!materializer.needsMoments(i))
      work += columns * columns * columns * 2 / 3;
  }
  return work / (assumedRate * options->jobs);
}

std::string SequentialCalibration::describe() const {
  return "sequential, " + std::to_string(text.tokens) +
         " tokens in windows of " + std::to_string(limits.context);
}

//===----------------------------------------------------------------------===//
// A run
//===----------------------------------------------------------------------===//

Result<SequentialCalibration::PartPair>
SequentialCalibration::build(int64_t part) {
  auto fullPart = full->build(part);
  if (!fullPart)
    return fullPart.error();
  auto quantizedPart = quantized->build(part);
  if (!quantizedPart)
    return quantizedPart.error();
  for (const ObservedPart *one : {&*fullPart, &*quantizedPart})
    for (int64_t columns : {one->takenColumns(), one->givenColumns()})
      if (columns != 0 && columns != hiddenColumns)
        return unsupported(options->input, "",
                           "has " + std::to_string(columns) +
                               " columns between two parts, the model " +
                               std::to_string(hiddenColumns));
  auto weights = PartWeights::make(*fullPart);
  if (!weights)
    return weights.error();
  return PartPair{std::move(*fullPart), std::move(*quantizedPart),
                  std::move(*weights)};
}

std::vector<size_t>
SequentialCalibration::findReaders(const Observation &input) const {
  std::vector<std::string> names = namesOf(input);
  std::vector<size_t> readers;
  for (size_t i = 0; i < done.size(); ++i)
    for (const std::string &source : materializer->description(i).sources)
      if (std::find(names.begin(), names.end(), source) != names.end()) {
        readers.push_back(i);
        break;
      }
  return readers;
}

/// Packs those of `parameters` that are not done yet.
Status SequentialCalibration::pack(const std::vector<size_t> &parameters) {
  std::vector<bool> others(done.size(), true);
  bool any = false;
  for (size_t i : parameters) {
    any |= !done[i];
    others[i] = done[i];
  }
  if (!any)
    return std::nullopt;
  if (Status status = materializer->run(*sink, others))
    return status;
  for (size_t i : parameters)
    done[i] = true;
  return std::nullopt;
}

Result<SequentialCalibration::Stream>
SequentialCalibration::makeFullStream(const Plan &plan, const PartPair &pair) {
  auto executor = PartExecutor::create(
      plan, pair.full.code(),
      [&](const std::string &tensor) { return pair.fullWeights.find(tensor); },
      *pool);
  if (!executor)
    return executor.error();
  return Stream{{}, std::move(*executor)};
}

Result<SequentialCalibration::Stream>
SequentialCalibration::makeQuantizedStream(const Plan &plan,
                                           const PartPair &pair) {
  Stream stream;
  std::map<std::string, const uint8_t *> copies;
  for (const PartWeight &weight : pair.quantized.weights()) {
    auto memory = Memory::allocate(weight.bytes, weight.tensor);
    if (!memory)
      return memory.error();
    std::memcpy(memory->data(), sink->bytes(byTensor.at(weight.tensor)),
                weight.bytes);
    copies[weight.tensor] = memory->data();
    stream.weights.push_back(std::move(*memory));
  }
  auto executor = PartExecutor::create(
      plan, pair.quantized.code(),
      [&](const std::string &tensor) { return copies.at(tensor); }, *pool);
  if (!executor)
    return executor.error();
  stream.executor = std::move(*executor);
  return stream;
}

/// All batches through both streams; with `sums`, what `sample` reads is added,
/// else the hidden rows move on.
Status SequentialCalibration::runBatches(const Plan &fullPlan,
                                         const Plan &quantizedPlan,
                                         const PartPair &pair,
                                         InputMoments *sums,
                                         const std::string &sample) {
  auto fullStream = makeFullStream(fullPlan, pair);
  if (!fullStream)
    return fullStream.error();
  auto quantizedStream = makeQuantizedStream(quantizedPlan, pair);
  if (!quantizedStream)
    return quantizedStream.error();
  PartExecutor &fullRun = *fullStream->executor;
  PartExecutor &quantizedRun = *quantizedStream->executor;
  ParallelLoop loop = loopOn(*pool);
  for (const TextBatch &batch : text.rows.batches) {
    if (options->stop && options->stop->load())
      return Error{ExitCode::Stopped, "stopped"};
    int64_t rows = batch.end - batch.begin;
    int64_t selected = sums ? rows : 0;
    fullRun.run(text.rows, batch, selected, fullRows, pair.full.takenColumns());
    quantizedRun.run(text.rows, batch, selected, quantizedRows,
                     pair.quantized.takenColumns());
    if (sums) {
      sums->add(quantizedRun.output("sample." + sample),
                fullRun.output("sample." + sample), rows, loop);
    } else {
      fullRun.copyGiven(batch, pair.full.givenColumns(), fullRows);
      quantizedRun.copyGiven(batch, pair.quantized.givenColumns(),
                             quantizedRows);
    }
    progress->advance(rows);
  }
  return std::nullopt;
}

/// The inputs of a part one after the other, each with the parameters packed
/// that read the ones before.
Status SequentialCalibration::packReaders(PartPair &pair) {
  auto rows = static_cast<int64_t>(text.rows.rows.size());
  for (const Observation &input : pair.quantized.observations()) {
    std::vector<size_t> readers = findReaders(input);
    if (std::all_of(readers.begin(), readers.end(),
                    [&](size_t i) { return done[i]; })) {
      progress->advance(rows);
      continue;
    }
    {
      InputMoments sums(input.columns);
      if (Status status = runBatches(cutPlan(pair.full.plan(), input.name),
                                     cutPlan(pair.quantized.plan(), input.name),
                                     pair, &sums, input.name))
        return status;
      current.begin(input, sums);
    }
    Status status = pack(readers);
    current.end();
    if (status)
      return status;
  }
  return std::nullopt;
}

Status SequentialCalibration::run(Materializer &target, WeightSink &where,
                                  std::vector<bool> already, Progress &log) {
  materializer = &target;
  sink = &where;
  progress = &log;
  done = std::move(already);
  done.resize(target.parameters().size());
  for (size_t i = 0; i < done.size(); ++i)
    byTensor[getWeightTensorName(target.parameters()[i].name)] = i;
  auto threads = ThreadPool::create(static_cast<int>(options->jobs));
  if (!threads)
    return threads.error();
  pool = std::move(*threads);
  auto rows = static_cast<int64_t>(text.rows.rows.size());
  for (Memory *stream : {&fullRows, &quantizedRows}) {
    auto memory = Memory::allocate(4 * rows * hiddenColumns, "hidden rows");
    if (!memory)
      return memory.error();
    *stream = std::move(*memory);
  }
  int64_t steps = quantized->parts() - 1;
  for (int64_t part = 0; part < quantized->parts(); ++part)
    steps += static_cast<int64_t>(quantized->observations(part).size());
  progress->begin("calibrating and packing", rows * steps);

  for (int64_t part = 0; part < quantized->parts(); ++part) {
    auto pair = build(part);
    if (!pair)
      return pair.error();
    // What nothing is measured for: embedding, norms, biases.
    std::vector<size_t> others;
    for (const PartWeight &weight : pair->quantized.weights()) {
      auto found = byTensor.find(weight.tensor);
      if (found == byTensor.end())
        return Error{ExitCode::Internal,
                     weight.tensor + " of a part is no parameter of the model"};
      others.push_back(found->second);
    }
    for (const Observation &input : pair->quantized.observations())
      for (size_t reader : findReaders(input))
        others.erase(std::remove(others.begin(), others.end(), reader),
                     others.end());
    if (Status status = pack(others))
      return status;
    if (Status status = packReaders(*pair))
      return status;
    if (part + 1 < quantized->parts())
      if (Status status = runBatches(pair->full.plan(), pair->quantized.plan(),
                                     *pair, nullptr, ""))
        return status;
  }
  std::vector<size_t> rest;
  for (size_t i = 0; i < done.size(); ++i)
    rest.push_back(i);
  return pack(rest);
}
