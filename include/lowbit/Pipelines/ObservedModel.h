//===- ObservedModel.h - A model in parts, for calibration ------*- C++ -*-===//
//
// The full-precision model with observation points, as something that can be
// run: plans, code and weights of one part after the other (a part is half a
// layer; see the pass lowbit-extract-part). Parts with the same kernels, which
// most are, share their code. How to run a plan is the caller's business.
//
//   auto model = ObservedModel::open(options, progress);
//   for (int64_t i = 0; i < (*model)->parts(); ++i) {
//     auto part = (*model)->build(i);
//     … part->plan(), part->code() …
//     part->fillWeights(place);
//   }
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_OBSERVEDMODEL_H
#define LOWBIT_PIPELINES_OBSERVEDMODEL_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Pipelines/CalibrationText.h"
#include "lowbit/Runtime/Manifest.h"
#include "lowbit/Runtime/Plan.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lowbit {

class Progress;

/// What is observed, and how it will be run.
struct ObservedOptions {
  std::string modelFolder;
  /// `x86_64` or `aarch64`: the machine that will run the plans.
  std::string target = "x86_64";
  /// Second moments of linear inputs: `diagonal` or `full`.
  std::string moments = "diagonal";
  /// Most positions of a sequence; 0: as many as a batch has rows, or the
  /// model has positions.
  int64_t context = 0;
  /// Threads, ≥ 1. Does not change anything else.
  unsigned jobs = 1;
  bool allowUnused = false;
  /// The running program, which generates code when started as a child.
  std::string program;
};

/// Second moments that are kept of an observed input.
enum class Moments : uint8_t { None, Diagonal, Full };

/// One observed batch of rows. Its plan adds moments to the accumulator
/// `h.<name>` (f32 [K], or [K][K] of which the lower triangle counts) and puts
/// the rows that a batch selects into `sample.<name>` (f32 [row][K]).
struct Observation {
  /// First of the tensors that read the rows, or a place in the graph.
  std::string name;
  /// The other tensors that read them.
  std::vector<std::string> otherNames;
  int64_t columns = 0;
  Moments moments = Moments::None;
};

/// A weight of a part: the plan's name of the tensor, and its bytes.
struct PartWeight {
  std::string tensor;
  int64_t bytes = 0;
};

/// One part, ready to run. Lives no longer than its model.
class ObservedPart {
public:
  /// Verified. Rows that come from the part before are taken from the output
  /// `hidden` and, unless this is the last part, left in `hidden.out`, or in
  /// `hidden` where there is no such output: f32 [row][hiddenColumns].
  const Plan &plan() const;
  /// A linked code object.
  const std::string &code() const;
  const std::vector<Observation> &observations() const;
  /// Columns of the rows that the part takes and gives; 0 where it does not.
  int64_t takenColumns() const;
  int64_t givenColumns() const;
  /// Weights of its matrices: multiplications for each row.
  int64_t linearWeights() const;

  const std::vector<PartWeight> &weights() const;
  /// Makes the weights and writes the bytes of each to where `place` says.
  /// Errors are those of materialization: exit 3 for numbers that are not
  /// finite.
  Status fillWeights(const std::function<uint8_t *(size_t weight)> &place);

  ObservedPart(ObservedPart &&);
  ~ObservedPart();

private:
  friend class PartedModel;
  struct Contents;
  explicit ObservedPart(std::unique_ptr<Contents> contents);

  std::unique_ptr<Contents> contents;
};

/// See the head of this file.
class ObservedModel {
public:
  /// Imports the model and inserts observers. Errors: those of import (exit 3,
  /// 4), and exit 2 for a context that the model does not have.
  static Result<std::unique_ptr<ObservedModel>>
  open(const ObservedOptions &options, Progress &progress);
  ~ObservedModel();

  const ManifestModel &facts() const;
  /// How the text is to be cut.
  const RowLimits &limits() const;
  /// Bytes of its tokenizer.json.
  std::string tokenizer() const;
  /// SHA-256 (hexadecimal) of the names and digests of the model's files.
  const std::string &fingerprint() const;
  /// Exit 5 where a file of the model changed since it was opened.
  Status checkUnchanged() const;

  int64_t parts() const;
  /// What a part will observe, without building it.
  const std::vector<Observation> &observations(int64_t part) const;
  /// Makes plan and code of a part; generates code where no earlier part had
  /// the same kernels. Exit 4 where the target cannot serve it.
  Result<ObservedPart> build(int64_t part);

private:
  struct Contents;
  explicit ObservedModel(std::unique_ptr<Contents> contents);

  std::unique_ptr<Contents> contents;
};

} // namespace lowbit

#endif // LOWBIT_PIPELINES_OBSERVEDMODEL_H
