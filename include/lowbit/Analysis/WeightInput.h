//===- WeightInput.h - The rows that a transformed weight reads -*- C++ -*-===//
//
// Moments, diagonals and samples of the rows that a linear reads, for a weight
// that is a chain of operations. A profile is of the checkpoint's model: what
// transforms in the weight's columns say was done to the rows is done to its
// numbers by algebra (`H ↦ Tᵀ H T`; Spec.md, section 9). Statistics that were
// measured behind the transforms (sequential calibration) are taken as they
// are.
//
//   auto input = WeightInput::find(linear.getWeight(), bytes);
//   auto h = input->moments(profile);
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_ANALYSIS_WEIGHTINPUT_H
#define LOWBIT_ANALYSIS_WEIGHTINPUT_H

#include "lowbit/Analysis/Profile.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Numerics/RowTransform.h"
#include "lowbit/Reference/ParameterBytes.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// All that a profile says of a linear's rows, in f64.
struct InputNumbers {
  int64_t columns = 0;
  /// Σ x xᵀ, [K][K], symmetric; empty where only the diagonal is known.
  std::vector<double> moments;
  /// Its diagonal; empty where the profile has only a diagonal and rows are
  /// mixed.
  std::vector<double> diagonal;
  /// Sample rows [row][K]; empty where the profile has none.
  std::vector<double> samples;
  int64_t sampleRows = 0;
};

/// See the head of this file. Const calls may run in parallel.
class WeightInput {
public:
  WeightInput() = default;

  /// Follows the chain that ends in `weight`. Reads matrices of transforms from
  /// `bytes`, and gives their errors; exit 3 for one without an inverse.
  static Result<WeightInput> find(mlir::Value weight, ParameterBytes &bytes);

  /// The checkpoint's names of the tensors that read the rows.
  const std::vector<std::string> &tensors() const { return names; }
  /// Columns of the weight.
  int64_t columns() const { return resultColumns; }

  /// Whether `statistics` have, or will have, all of H.
  bool hasMoments(const InputStatistics &statistics) const {
    return statistics.hasMoments(names);
  }
  /// Exit 3 where what is known does not fit the weight: another number of
  /// columns, or only a diagonal where a transform mixes columns. Cheap.
  Status check(const InputStatistics &statistics) const;

  /// As InputStatistics::diagonal and InputStatistics::moments, for the rows
  /// that the weight reads; also the errors of `check`. No diagonal of a
  /// profile where a transform mixes columns: it is that of the moments.
  Result<std::optional<std::vector<float>>>
  diagonal(const InputStatistics &statistics) const;
  Result<std::optional<std::vector<float>>>
  moments(const InputStatistics &statistics) const;
  /// As InputStatistics::drift.
  DriftView drift(const InputStatistics &statistics) const {
    return statistics.drift(names);
  }
  /// Everything; nothing where the profile does not know the tensors. Errors
  /// of the profile.
  Result<std::optional<InputNumbers>> numbers(const Profile &profile) const;

  /// Bytes that `moments` needs at most, with its result.
  int64_t peakBytes(const InputStatistics &statistics) const;

private:
  /// What was done to the rows.
  struct Step {
    std::shared_ptr<const RowTransform> rows;
    /// How often it goes over a diagonal of moments to make that of the result:
    /// factors twice, a gather once; 0 where columns are mixed.
    int timesOnDiagonal = 0;
  };
  bool mixesColumns() const;
  /// Whether the steps have to be applied to what `statistics` have.
  bool isAhead(const InputStatistics &statistics) const {
    return !steps.empty() && !statistics.isBehindTransforms();
  }
  int64_t measuredColumns(const InputStatistics &statistics) const {
    return isAhead(statistics) ? sourceColumns : resultColumns;
  }
  /// H as a square behind all steps, from the measured lower triangle.
  std::vector<double>
  transformMoments(const std::vector<float> &measured) const;
  std::vector<double> transformDiagonal(std::vector<double> diagonal) const;

  std::vector<std::string> names;
  std::vector<Step> steps;
  int64_t sourceColumns = 0, resultColumns = 0;
};

} // namespace lowbit

#endif // LOWBIT_ANALYSIS_WEIGHTINPUT_H
