//===- Materialize.cpp - The one writer of weight bytes -------------------===//

#include "lowbit/Transforms/Materialize.h"
#include "SharedLoop.h"
#include "WeightChains.h"
#include "WeightJob.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Numerics/FloatLayout.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <pthread.h>

using namespace lowbit;

//===----------------------------------------------------------------------===//
// What is stored
//===----------------------------------------------------------------------===//

namespace {

std::optional<StoredSize> sizeOf(ParameterOp parameter) {
  mlir::RankedTensorType type = parameter.getTensorType();
  if (FormatInterface format = getFormat(type))
    return format.getStoredSize(type.getDimSize(0), type.getDimSize(1));
  if (parameter.getLayoutAttr() && type.getRank() == 2)
    return storedSize(getStorageType(type.getElementType()), type.getDimSize(0),
                      type.getDimSize(1));
  std::optional<int64_t> payload =
      ParameterOp::getStoredBytes(type, parameter.getLayoutAttr());
  int64_t bytes;
  if (!payload || __builtin_add_overflow(*payload, tileAlignment - 1, &bytes))
    return std::nullopt;
  bytes -= bytes % tileAlignment;
  return StoredSize{bytes, *payload, bytes - *payload};
}

/// Names that graph and plans use; chains of parameters do not count.
llvm::DenseSet<mlir::StringAttr> findUsedNames(mlir::ModuleOp module) {
  llvm::DenseSet<mlir::StringAttr> used;
  module.walk([&](mlir::Operation *op) {
    if (auto weight = llvm::dyn_cast<WeightOp>(op)) {
      if (!weight->getParentOfType<ParameterOp>())
        used.insert(weight.getParameterAttr().getAttr());
    } else if (auto buffer = llvm::dyn_cast<BufferOp>(op)) {
      if (mlir::FlatSymbolRefAttr name = buffer.getParameterAttr())
        used.insert(name.getAttr());
    }
  });
  return used;
}

/// A matrix from a file of its own is no part of the model.
bool isLearned(ParameterOp parameter) {
  SourceAttr source = parameter.getSourceAttr();
  return source && source.getFile().contains('/');
}

/// Gives each tensor of the checkpoint to the first stored parameter that has
/// its rows. What only matrices of transforms read (the scale of a norm, once
/// it is folded) goes to the first norm.
void countOriginals(mlir::ModuleOp module,
                    std::vector<StoredParameter> &stored) {
  llvm::DenseSet<mlir::Operation *> counted;
  StoredParameter *firstNorm = nullptr;
  for (StoredParameter &parameter : stored) {
    auto role = parameter.op->getAttrOfType<mlir::StringAttr>("lowbit.role");
    if (!firstNorm && role && role.getValue() == "norm")
      firstNorm = &parameter;
    if (parameter.op.getInit().empty()) {
      parameter.originals = parameter.op.getTensorType().getNumElements();
      continue;
    }
    auto yield = llvm::cast<YieldOp>(parameter.op.getInit().front().back());
    llvm::SmallVector<WeightOp> leaves;
    collectLeaves(yield.getValue(), leaves);
    for (WeightOp leaf : leaves) {
      auto source = module.lookupSymbol<ParameterOp>(leaf.getParameter());
      if (source && !isLearned(source) && counted.insert(source).second)
        parameter.originals += source.getTensorType().getNumElements();
    }
  }
  for (StoredParameter &parameter : stored)
    parameter.op.walk([&](WeightOp leaf) {
      auto source = module.lookupSymbol<ParameterOp>(leaf.getParameter());
      if (source && firstNorm && !isLearned(source) &&
          counted.insert(source).second)
        firstNorm->originals += source.getTensorType().getNumElements();
    });
}

} // namespace

Result<std::vector<StoredParameter>>
lowbit::getStoredParameters(mlir::ModuleOp module) {
  llvm::DenseSet<mlir::StringAttr> used = findUsedNames(module);
  std::vector<StoredParameter> stored;
  for (auto parameter : module.getOps<ParameterOp>()) {
    if (!used.contains(parameter.getSymNameAttr()))
      continue;
    std::optional<StoredSize> size = sizeOf(parameter);
    if (!size)
      return unsupported("module", parameter.getSymName().str(),
                         "is larger than 2^63 bytes");
    stored.push_back({parameter, parameter.getSymName().str(), *size, 0});
  }
  countOriginals(module, stored);
  return stored;
}

std::vector<std::string> lowbit::getGivenFiles(mlir::ModuleOp module) {
  llvm::SetVector<mlir::StringAttr> files;
  module.walk([&](QuantizeOp quantize) {
    mlir::DictionaryAttr choices = quantize.getOptionsAttr();
    if (quantize.getSolver() == "given" && choices)
      if (auto file = choices.getAs<mlir::StringAttr>("file"))
        files.insert(file);
  });
  std::vector<std::string> names;
  for (mlir::StringAttr file : files)
    names.push_back(file.str());
  return names;
}

void lowbit::replaceByBytes(mlir::ModuleOp module, llvm::StringRef file,
                            llvm::StringRef prefix,
                            const std::vector<int64_t> &offsets) {
  llvm::DenseSet<mlir::StringAttr> used = findUsedNames(module);
  size_t index = 0;
  for (auto parameter :
       llvm::make_early_inc_range(module.getOps<ParameterOp>())) {
    if (!used.contains(parameter.getSymNameAttr())) {
      parameter.erase();
      continue;
    }
    parameter.getInit().getBlocks().clear();
    int64_t bytes = *ParameterOp::getStoredBytes(parameter.getTensorType(),
                                                 parameter.getLayoutAttr());
    std::string tensor = (prefix + parameter.getSymName()).str();
    parameter.setSourceAttr(SourceAttr::get(module.getContext(), file, tensor,
                                            offsets[index++], bytes));
  }
}

//===----------------------------------------------------------------------===//
// A run
//===----------------------------------------------------------------------===//

namespace {

/// A job to prepare, or a block of it to scan or to pack.
struct Task {
  enum class Kind : uint8_t { Prepare, Scan, Pack };
  WeightJob *job;
  size_t parameter;
  int64_t block;
  Kind kind;
};

/// The tasks of one run and how far it is. Tasks are handed out in order, so
/// that a task may wait for the preparation of its tensor, or a pack task for
/// its scans: they run already. Who waits for a preparation helps with it.
class Run {
public:
  Run(const MaterializeOptions &options, WeightSink &sink)
      : options(options), sink(sink) {}

  void add(WeightJob &job, size_t parameter) {
    job.results.assign(job.blocks, {});
    job.scansLeft = job.needsScan() ? job.blocks : 0;
    job.packsLeft = job.blocks;
    job.prepared = !job.needsStatistics();
    if (job.needsStatistics())
      tasks.push_back({&job, parameter, 0, Task::Kind::Prepare});
    for (int64_t block = 0; job.needsScan() && block < job.blocks; ++block)
      tasks.push_back({&job, parameter, block, Task::Kind::Scan});
    for (int64_t block = 0; block < job.blocks; ++block)
      tasks.push_back({&job, parameter, block, Task::Kind::Pack});
  }

  /// Works until nothing is left; one call on each thread.
  void work() {
    TilePacker packer;
    while (!failed.load(std::memory_order_relaxed)) {
      size_t index = next.fetch_add(1);
      if (index >= tasks.size())
        return;
      if (options.stop && options.stop->load(std::memory_order_relaxed))
        return fail(index, Error{ExitCode::Stopped, "stopped"});
      Task &task = tasks[index];
      Status status = perform(task, packer);
      if (status)
        fail(index, *status);
    }
  }

  Status result() const { return error; }

private:
  Status perform(Task &task, TilePacker &packer) {
    WeightJob &job = *task.job;
    if (task.kind == Task::Kind::Prepare)
      return prepare(job);
    if (!job.prepared)
      preparing.help([&] { return job.prepared || failed; });
    if (!job.prepared)
      return std::nullopt; // Something else failed.
    return task.kind == Task::Kind::Scan ? scan(task, packer)
                                         : pack(task, packer);
  }

  Status prepare(WeightJob &job) {
    // One at a time: the loop has one leader, and memory holds one.
    std::lock_guard<std::mutex> lock(leading);
    Status status = job.prepare(
        [&](int64_t count, const std::function<void(int64_t)> &body) {
          preparing.run(count, body);
        });
    if (status)
      return status;
    job.prepared = true;
    preparing.wake();
    return std::nullopt;
  }

  Status scan(Task &task, TilePacker &packer) {
    WeightJob &job = *task.job;
    if (Status status = packer.scan(job, task.block))
      return status;
    std::lock_guard<std::mutex> lock(mutex);
    if (--job.scansLeft != 0)
      return std::nullopt;
    TensorScan scan;
    for (const BlockResult &result : job.results)
      scan.merge(result.scan);
    job.facts = job.format->facts(scan);
    scanned.notify_all();
    return std::nullopt;
  }

  Status pack(Task &task, TilePacker &packer) {
    WeightJob &job = *task.job;
    if (job.needsScan()) {
      std::unique_lock<std::mutex> lock(mutex);
      scanned.wait(lock, [&] { return job.scansLeft == 0 || failed; });
      if (failed)
        return std::nullopt;
    }
    uint8_t *out = sink.bytes(task.parameter);
    if (Status status = packer.pack(job, task.block, out))
      return status;
    sink.progressed(job.blockWeights(task.block));
    if (--job.packsLeft != 0)
      return std::nullopt;
    if (job.kind == WeightJob::Kind::Encoded)
      job.format->writeTrailer(job.facts, out + job.places.trailer());
    if (job.rows)
      job.rows->release();
    std::lock_guard<std::mutex> lock(finishing);
    LedgerEntry entry = finish(job);
    job.statistics.reset();
    return sink.finished(task.parameter, std::move(entry));
  }

  /// The ledger's record: sums of the blocks from the top down.
  LedgerEntry finish(const WeightJob &job) {
    LedgerEntry entry = job.entry;
    ErrorSums sums;
    for (const BlockResult &result : job.results) {
      sums.add(result.sums);
      entry.nonfinite += result.nonfinite;
      entry.seconds += result.seconds;
    }
    auto ratio = [](double error, double energy) {
      return energy == 0 ? 0.0 : error / energy;
    };
    if (job.kind != WeightJob::Kind::Copied)
      entry.weightError = ratio(sums.error, sums.energy);
    if (job.importance())
      entry.outputError = ratio(sums.weightedError, sums.weightedEnergy);
    return entry;
  }

  /// Keeps the error of the first task in order. Tasks before it were handed
  /// out before it and still report theirs, so that it does not depend on
  /// threads.
  void fail(size_t index, Error problem) {
    std::lock_guard<std::mutex> lock(mutex);
    if (!error || index < errorTask) {
      error = std::move(problem);
      errorTask = index;
    }
    failed = true;
    scanned.notify_all();
    preparing.wake();
  }

  const MaterializeOptions &options;
  WeightSink &sink;
  std::vector<Task> tasks;
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex, finishing, leading;
  SharedLoop preparing;
  std::condition_variable scanned;
  Status error;
  size_t errorTask = 0;
};

void *workOnThread(void *run) {
  static_cast<Run *>(run)->work();
  return nullptr;
}

} // namespace

WeightSink::~WeightSink() = default;

Materializer::Materializer() = default;
Materializer::Materializer(Materializer &&) = default;
Materializer &Materializer::operator=(Materializer &&) = default;
Materializer::~Materializer() = default;

Result<Materializer> Materializer::create(mlir::ModuleOp module,
                                          ParameterBytes &bytes,
                                          const MaterializeOptions &options) {
  auto stored = getStoredParameters(module);
  if (!stored)
    return stored.error();
  Materializer materializer;
  materializer.options = options;
  materializer.stored = std::move(*stored);
  for (const StoredParameter &parameter : materializer.stored) {
    auto job = makeWeightJob(parameter, bytes, options);
    if (!job)
      return job.error();
    materializer.jobs.push_back(std::move(*job));
  }
  return materializer;
}

const LedgerEntry &Materializer::description(size_t index) const {
  return jobs[index]->entry;
}

bool Materializer::needsMoments(size_t index) const {
  return jobs[index]->request.usesFeedback();
}

int64_t Materializer::weights() const {
  int64_t sum = 0;
  for (const std::unique_ptr<WeightJob> &job : jobs)
    sum += job->weights();
  return sum;
}

Status Materializer::run(WeightSink &sink, const std::vector<bool> &done) {
  Run run(options, sink);
  for (size_t i = 0; i < jobs.size(); ++i)
    if (done.empty() || !done[i])
      run.add(*jobs[i], i);
  // Fewer threads than asked for, where the system has no more, do the same.
  std::vector<pthread_t> threads;
  for (unsigned i = 1; i < options.jobs; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, workOnThread, &run) != 0)
      break;
    threads.push_back(thread);
  }
  run.work();
  for (pthread_t thread : threads)
    pthread_join(thread, nullptr);
  return run.result();
}

Result<double> Materializer::estimateSeconds(double budget) const {
  // One sample, the largest, of each kind of work.
  std::map<std::string, WeightJob *> samples;
  std::map<std::string, int64_t> weightsOf;
  for (const std::unique_ptr<WeightJob> &job : jobs) {
    if (job->places.tiles == 0)
      continue;
    std::string kind = job->entry.format + " " + job->entry.solver;
    weightsOf[kind] += job->weights() * (job->needsScan() ? 2 : 1);
    WeightJob *&sample = samples[kind];
    if (!sample || sample->weights() < job->weights())
      sample = job.get();
  }
  double total = 0;
  for (const std::unique_ptr<WeightJob> &job : jobs)
    if (job->needsStatistics())
      total += JobStatistics::factorSeconds(job->request);
  for (auto &[kind, job] : samples) {
    // How long a solver takes does not depend on what the moments are.
    if (job->request.usesFeedback())
      job->statistics.emplace(JobStatistics::identity(job->request));
    TilePacker packer;
    std::vector<uint8_t> out(job->places.tileBytes);
    BlockResult ignored;
    auto start = std::chrono::steady_clock::now();
    double seconds = 0;
    int64_t tile = 0;
    while (tile < job->places.tiles && seconds < budget / samples.size()) {
      if (Status status =
              packer.packTiles(*job, tile++, 1, out.data(), ignored))
        return *status;
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                              start)
                    .count();
    }
    if (job->rows)
      job->rows->release();
    double weightsDone = static_cast<double>(tile * job->places.tileRows) *
                         static_cast<double>(job->entry.columns);
    total += seconds * static_cast<double>(weightsOf[kind]) / weightsDone;
    job->statistics.reset();
  }
  return total / options.jobs;
}

int64_t Materializer::peakMemory() const {
  int64_t widest = 0, statistics = 0;
  std::vector<int64_t> held;
  for (const std::unique_ptr<WeightJob> &job : jobs) {
    int64_t columns = job->places.tiles == 0 ? 0 : job->entry.columns;
    // Floats and elements of a tile, and what the encoder takes (as much again
    // for `given`).
    int64_t tile = job->places.tileRows * columns * (4 + 4);
    if (job->format)
      tile += 2 * job->format->encoderBytes(columns);
    widest = std::max(widest, tile);
    // While one input is prepared, the one before may still be in use.
    if (job->needsStatistics())
      statistics = std::max(
          statistics,
          JobStatistics::peakBytes(*job->source, job->request) * 3 / 2);
    held.push_back(job->rows ? job->rows->heldBytes() : 0);
  }
  // Tasks are handed out in order: no more tensors than threads are in work.
  std::sort(held.rbegin(), held.rend());
  held.resize(std::min<size_t>(held.size(), options.jobs));
  return std::accumulate(held.begin(), held.end(),
                         widest * options.jobs + statistics);
}
