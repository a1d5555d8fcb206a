//===- PartRunner.h - All rows through one part of a model ------*- C++ -*-===//
//
// Runs every batch of a text through a part: hidden rows in and out, moments
// summed, samples taken.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_CALIBRATE_PARTRUNNER_H
#define LOWBIT_TOOLS_CALIBRATE_PARTRUNNER_H

#include "FmaPeak.h"
#include "Moments.h"
#include "ProfileFile.h"
#include "lowbit/Pipelines/PartExecutor.h"
#include "lowbit/Pipelines/Progress.h"

#include <atomic>

namespace lowbit::calibrate {

/// What all parts share.
struct RunContext {
  const TextRows &text;
  ThreadPool &pool;
  ProfileFile &profile;
  Progress &progress;
  /// Rows that a sample keeps: the first ones of the text.
  int64_t sampleRows;
  /// For messages: the model folder.
  std::string model;
  /// Ends the run early once true; may be null.
  const std::atomic<bool> *stop;
  /// Linears and moments; and, where it is wanted, the limit.
  Measure work;
  Measure peak;
  bool measurePeak = false;
  /// Sample elements that f16 cannot hold, stored as its largest number.
  int64_t clamped = 0;
};

/// One part and its buffers.
class PartRunner {
public:
  /// Exit 6 where memory is missing; 5 and 7 as CodeObject, 3 as
  /// ObservedPart::fillWeights.
  static Result<std::unique_ptr<PartRunner>> create(ObservedPart part,
                                                    RunContext &context);

  /// Runs all rows. `hidden` holds what the part before gave, f32
  /// [row][takenColumns], and is replaced by what this one gives. Moments and
  /// samples are then in the profile. Exit 3 where numbers are not finite, 75
  /// where it was stopped.
  Status run(Memory &hidden);

private:
  PartRunner(ObservedPart part, RunContext &context)
      : part(std::move(part)), context(context) {}
  Status load();
  void prepareSums();
  Status runBatch(TextBatch batch, Memory &hidden, Memory &given);
  Status keepSamples(TextBatch batch);
  Status storeMoments();

  ObservedPart part;
  RunContext &context;
  PartWeights weights;
  std::unique_ptr<PartExecutor> executor;
  std::vector<MomentSums> sums;
  /// Rows in the accumulators.
  int64_t pending = 0;
  /// Multiply-adds of a row: linears and moments.
  double rowWork = 0;
};

} // namespace lowbit::calibrate

#endif // LOWBIT_TOOLS_CALIBRATE_PARTRUNNER_H
