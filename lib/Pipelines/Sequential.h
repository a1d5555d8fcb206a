//===- Sequential.h - Weights packed block by block -------------*- C++ -*-===//
//
// `--calibration=sequential` (Spec.md, section 9): the tokens of a text run
// through the layers that are packed already, with the kernels and the cache of
// the recipe, and beside them through the model at full precision. For each
// linear input in turn, what is read and what should be read is summed, the
// parameters that read it are packed, and the next input is measured with them.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_PIPELINES_SEQUENTIAL_H
#define LOWBIT_LIB_PIPELINES_SEQUENTIAL_H

#include "PartedModel.h"
#include "lowbit/Numerics/InputMoments.h"
#include "lowbit/Pipelines/PartExecutor.h"
#include "lowbit/Pipelines/Progress.h"
#include "lowbit/Transforms/Materialize.h"

#include <map>
#include <set>

namespace lowbit {

/// What the model is before and after quantization.
struct SequentialModules {
  /// Stage transformed: the full-precision stream.
  mlir::OwningOpRef<mlir::ModuleOp> transformed;
  /// Stage quantized: what is being made.
  mlir::OwningOpRef<mlir::ModuleOp> quantized;
};

/// The statistics of the input whose turn it is.
class CurrentInput : public InputStatistics {
public:
  bool hasMoments(const std::vector<std::string> &tensors) const override;
  Result<std::optional<std::vector<float>>>
  diagonal(const std::vector<std::string> &tensors,
           int64_t columns) const override;
  Result<std::optional<std::vector<float>>>
  moments(const std::vector<std::string> &tensors,
          int64_t columns) const override;
  bool isBehindTransforms() const override { return true; }
  DriftView drift(const std::vector<std::string> &tensors) const override;

  /// Inputs that will have a turn.
  void expect(const Observation &input);
  void begin(const Observation &input, const InputMoments &sums);
  void end();

private:
  bool isCurrent(const std::vector<std::string> &tensors) const;

  std::set<std::string> expected;
  std::set<std::string> current;
  int64_t columns = 0;
  std::vector<float> triangle, driftElements;
};

/// See the head of this file.
class SequentialCalibration {
public:
  /// `bytes` must outlive the result. Errors: those of readCalibrationText, and
  /// exit 4 for modules that cannot run in parts.
  static Result<std::unique_ptr<SequentialCalibration>>
  create(SequentialModules modules, ParameterBytes &bytes,
         const ManifestModel &model, const std::string &tokenizer,
         const CompileOptions &options);

  /// For Materializer::create.
  const InputStatistics &statistics() const { return current; }

  /// Exit 4 where a parameter is needed before the input that its solver needs
  /// can be measured; exit 6 where memory is missing.
  Status check(const Materializer &materializer);

  /// Makes all parameters of `materializer` but those that `done` marks, as
  /// Materializer::run. `sink` must give the same bytes each time.
  Status run(Materializer &materializer, WeightSink &sink,
             std::vector<bool> done, Progress &progress);

  /// Seconds that running the text will take, roughly, and what `materializer`
  /// does not count: targets.
  double estimateSeconds(const Materializer &materializer) const;
  /// Bytes of memory beside those of the materializer, but for what one part's
  /// plan needs (activations, cache, copies of packed weights).
  int64_t peakMemory() const;
  /// One line: the text and how it is cut.
  std::string describe() const;

private:
  /// A part in both streams, and where its weights are.
  struct PartPair;
  /// An executor and the copies of packed weights that it reads: kernels may
  /// read past an end, where a file may not go on.
  struct Stream {
    std::vector<Memory> weights;
    std::unique_ptr<PartExecutor> executor;
  };

  Status packReaders(PartPair &pair);
  Status pack(const std::vector<size_t> &parameters);
  std::vector<size_t> findReaders(const Observation &input) const;
  Result<PartPair> build(int64_t part);
  Result<Stream> makeFullStream(const Plan &plan, const PartPair &pair);
  Result<Stream> makeQuantizedStream(const Plan &plan, const PartPair &pair);
  Status runBatches(const Plan &fullPlan, const Plan &quantizedPlan,
                    const PartPair &pair, InputMoments *sums,
                    const std::string &sample);

  ParameterBytes *bytes = nullptr;
  const CompileOptions *options = nullptr;
  int64_t hiddenColumns = 0;
  RowLimits limits;
  CalibrationText text;
  std::optional<PartedModel> full, quantized;
  CurrentInput current;

  // State of a run.
  Materializer *materializer = nullptr;
  WeightSink *sink = nullptr;
  Progress *progress = nullptr;
  std::vector<bool> done;
  /// Parameters by the plan's name of their tensor.
  std::map<std::string, size_t> byTensor;
  std::unique_ptr<ThreadPool> pool;
  /// The streams' rows before the next part.
  Memory fullRows, quantizedRows;
};

} // namespace lowbit

#endif // LOWBIT_LIB_PIPELINES_SEQUENTIAL_H
