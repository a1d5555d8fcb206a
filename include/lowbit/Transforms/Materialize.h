//===- Materialize.h - The one writer of weight bytes -----------*- C++ -*-===//
//
// Evaluates the `init` of every parameter of a laid-out module and writes the
// packed bytes where a sink says: 16 rows at a time, straight from the mapped
// checkpoint, on several threads over tensors and blocks of tiles. Memory is a
// tile's buffers for each thread, whatever the size of a tensor, and where
// there are second moments those of one input and their factor
// (JobStatistics.h), for a moment of two. The bytes depend on module and
// checkpoint alone: not on threads, CPU or order.
//
//   FolderBytes bytes({"models/books-7m"});
//   auto materializer = Materializer::create(module, bytes, {});
//   for (const StoredParameter &p : materializer->parameters()) … p.size.bytes
//   … Status status = materializer->run(sink);
//
// Formats with a factor of the whole tensor are read twice: once for the
// largest scale, once for packing.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_MATERIALIZE_H
#define LOWBIT_TRANSFORMS_MATERIALIZE_H

#include "lowbit/Analysis/InputStatistics.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Reference/ParameterBytes.h"
#include "lowbit/Transforms/Ledger.h"
#include "mlir/IR/BuiltinOps.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace lowbit {

struct WeightJob;

/// A parameter that the graph (or a plan) reads, hence is stored.
struct StoredParameter {
  ParameterOp op;
  std::string name;
  StoredSize size;
  /// Weights of the checkpoint that are stored here and in no parameter before:
  /// what bits per weight are counted by. Copies (an untied head, a split
  /// column), matrices of transforms and padding are none.
  int64_t originals = 0;
};

/// The parameters of `module` that are stored, in its order: all but those that
/// only chains of other parameters read. A size that overflows is exit 4.
Result<std::vector<StoredParameter>> getStoredParameters(mlir::ModuleOp module);

/// Files that the solver `given` reads, as named in the module, each once.
std::vector<std::string> getGivenFiles(mlir::ModuleOp module);

/// What passes decided by numbers, in order, for the ledger.
std::vector<LedgerDecision> getDecisions(mlir::ModuleOp module);

/// How parameters are made.
struct MaterializeOptions {
  /// Threads, ≥ 1.
  unsigned jobs = 1;
  /// Store NaN and infinite weights (as 0 in integer formats) and count them
  /// in the ledger, instead of refusing them.
  bool allowNonfinite = false;
  /// Weighs errors in the solver `search`, feeds them back in `gptq`, says what
  /// weights should become (sequential calibration) and measures output errors;
  /// may be null.
  const InputStatistics *statistics = nullptr;
  /// Ends the run early (exit 75) once it is true; may be null.
  const std::atomic<bool> *stop = nullptr;
};

/// Where packed bytes go.
class WeightSink {
public:
  virtual ~WeightSink();
  /// Where the bytes of parameter `index` are to be put, as many as its size
  /// says (padding included). Several threads fill disjoint parts at once.
  virtual uint8_t *bytes(size_t index) = 0;
  /// All bytes of parameter `index` are written. Never called by two threads at
  /// once. An error ends the run.
  virtual Status finished(size_t index, LedgerEntry entry) = 0;
  /// `weights` more weights are done; called by all threads, often.
  virtual void progressed(int64_t weights) = 0;
};

/// Makes the stored parameters of one module; see the head of this file.
class Materializer {
public:
  /// Looks at every chain and finds its bytes. Errors: what the module does not
  /// hold (exit 3, 7), profiles and given files that do not fit (exit 3), and
  /// operations that cannot be evaluated (exit 4). Module, bytes and profile
  /// must outlive the result.
  static Result<Materializer> create(mlir::ModuleOp module,
                                     ParameterBytes &bytes,
                                     const MaterializeOptions &options);
  Materializer(Materializer &&);
  Materializer &operator=(Materializer &&);
  ~Materializer();

  const std::vector<StoredParameter> &parameters() const { return stored; }
  /// All weights of all stored parameters.
  int64_t weights() const;
  /// What the ledger will say of parameter `index`, but for what packing finds.
  const LedgerEntry &description(size_t index) const;
  /// Whether the solver of parameter `index` feeds errors back.
  bool needsMoments(size_t index) const;

  /// Makes all parameters but those that `done` marks (empty: none). Errors:
  /// numbers that cannot be stored (exit 3: tensor, row, column, how many),
  /// what the sink returns, exit 75 where it was stopped. The error reported is
  /// that of the first parameter, on any number of threads.
  Status run(WeightSink &sink, const std::vector<bool> &done = {});

  /// Seconds that `run` will take, from packing a few tiles of each kind of
  /// tensor for about `budget` seconds in all.
  Result<double> estimateSeconds(double budget) const;

  /// Bytes of anonymous memory that `run` allocates at most.
  int64_t peakMemory() const;

private:
  Materializer();

  MaterializeOptions options;
  std::vector<StoredParameter> stored;
  std::vector<std::unique_ptr<WeightJob>> jobs;
};

/// Replaces the `init` of each stored parameter by a source in `file` (tensor
/// `prefix` + name, at `offsets[i]`), and removes the parameters that only
/// chains read.
void replaceByBytes(mlir::ModuleOp module, llvm::StringRef file,
                    llvm::StringRef prefix,
                    const std::vector<int64_t> &offsets);

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_MATERIALIZE_H
