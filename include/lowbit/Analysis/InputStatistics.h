//===- InputStatistics.h - What is known of a linear's input ----*- C++ -*-===//
//
// Second moments of the inputs of linears, whoever measured them: a profile, or
// sequential calibration as it goes. Inputs are named by the checkpoint's names
// of the tensors that read them; of several names (fused linears share their
// input) the first that is known counts.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_ANALYSIS_INPUTSTATISTICS_H
#define LOWBIT_ANALYSIS_INPUTSTATISTICS_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Numerics/CalibratedTarget.h"

#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// See the head of this file. Reads are const and may run in parallel.
class InputStatistics {
public:
  virtual ~InputStatistics();

  /// Whether `moments` has, or will have when a tensor's turn comes, the whole
  /// of H.
  virtual bool hasMoments(const std::vector<std::string> &tensors) const = 0;

  /// The diagonal of H, or nothing where none of `tensors` is known. Exit 3
  /// where it does not have `columns` columns, or a value is negative or not
  /// finite.
  virtual Result<std::optional<std::vector<float>>>
  diagonal(const std::vector<std::string> &tensors, int64_t columns) const = 0;

  /// The lower triangle of H, as MomentsView has it; nothing where it is not
  /// known. Exit 3 as above.
  virtual Result<std::optional<std::vector<float>>>
  moments(const std::vector<std::string> &tensors, int64_t columns) const = 0;

  /// Whether rows were measured as the transformed module's linears read them;
  /// else they are those of the checkpoint's model (Analysis/WeightInput.h).
  virtual bool isBehindTransforms() const { return false; }

  /// How far what a linear reads is from what it would read at full precision;
  /// no elements where that is not known. Valid until the next input's turn.
  virtual DriftView drift(const std::vector<std::string> &tensors) const;
};

} // namespace lowbit

#endif // LOWBIT_ANALYSIS_INPUTSTATISTICS_H
