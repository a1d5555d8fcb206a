//===- JobStatistics.h - What a tensor's solver needs to know ---*- C++ -*-===//
//
// The statistics of the input of one parameter, in memory from when its turn
// comes until it is packed: K floats, or H and its factor (4 K² bytes; 4 K²
// more while the factor is computed).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_JOBSTATISTICS_H
#define LOWBIT_LIB_TRANSFORMS_JOBSTATISTICS_H

#include "lowbit/Analysis/WeightInput.h"
#include "lowbit/Numerics/WeightFormat.h"

#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// What is asked of the statistics.
struct StatisticsRequest {
  /// The rows that the parameter reads.
  WeightInput input;
  /// The format and how it is solved.
  FormatPtr format;
  EncoderOptions encoder;

  /// Whether that needs the second moments of the input.
  bool usesFeedback() const {
    return format && format->usesFeedback(encoder.solver);
  }
};

/// See the head of this file.
class JobStatistics {
public:
  /// Reads statistics and computes the factor where solver or drift need one.
  /// Exit 3 as WeightInput, and for moments that no input has.
  static Result<JobStatistics> load(const InputStatistics &statistics,
                                    const StatisticsRequest &request,
                                    const ParallelLoop &loop);

  /// Those of independent inputs, H = I: of the size that real ones have, to
  /// find out how long a solver with error feedback takes.
  static JobStatistics identity(const StatisticsRequest &request);

  /// h of each column, or null.
  const float *importance() const {
    return diagonal.empty() ? nullptr : diagonal.data();
  }
  /// What the solver of `options` is to be told.
  void tell(EncoderOptions &options) const;
  /// Whether output errors can be measured through all of H.
  bool hasMoments() const { return !moments.empty(); }
  /// tr(w H wᵀ) of rows.
  double outputEnergy(const TileInput &rows) const;

  /// Whether weights are to be replaced before they are solved.
  bool hasTarget() const { return drift.elements != nullptr; }
  /// Replaces rows of W by those of W + W D (Ĥ + λI)⁻¹
  /// (Numerics/CalibratedTarget.h).
  void replaceByTarget(const TileInput &rows, float *out) const;

  /// Bytes that `load` needs at most.
  static int64_t peakBytes(const InputStatistics &statistics,
                           const StatisticsRequest &request);
  /// Seconds that the factor takes on one thread, roughly, where the solver
  /// needs it; what drift adds is counted by who measures it.
  static double factorSeconds(const StatisticsRequest &request);

private:
  MomentsView view() const {
    return {moments.data(), static_cast<int64_t>(diagonal.size())};
  }

  std::vector<float> diagonal;
  std::vector<float> moments;
  std::optional<FeedbackFactor> factor;
  DriftView drift;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_JOBSTATISTICS_H
