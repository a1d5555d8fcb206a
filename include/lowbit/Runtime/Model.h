//===- Model.h - An artifact, ready to run ----------------------*- C++ -*-===//
//
// Everything that contexts share and nobody changes: the checked artifact and
// plan, loaded kernels, weights, tokenizer. Opening does no work that depends
// on the weights but reading them.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_MODEL_H
#define LOWBIT_RUNTIME_MODEL_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Artifact.h"
#include "lowbit/Runtime/CodeObject.h"
#include "lowbit/Runtime/Plan.h"
#include "lowbit/Runtime/Weights.h"
#include "lowbit/Tokenizer/Tokenizer.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace lowbit {

/// How a model is opened.
struct ModelOptions {
  WeightsMode weights = WeightsMode::Automatic;
  /// Run its code without a trust record.
  bool trust = false;
  /// Largest variant of kernels to use; the CPU's best where not given.
  std::optional<Variant> variant;
  /// Threads that copy weights, as clampThreads takes them.
  int64_t threads = 0;
  /// What runs the plan (Device.h).
  std::string device = "cpu";
  /// Seed of the emulator's schedules; 0: threads in order.
  uint64_t schedule = 0;
};

/// The target whose plan and code this machine runs: `x86_64` or `aarch64`.
const char *hostTarget();

/// The facts that the plan of `artifact` has to agree with.
PlanFacts planFacts(const Artifact &artifact);

/// An opened model. Any number of threads may use one at once.
class Model {
public:
  /// Exit 7 for a damaged or untrusted artifact or a plan that is not safe, 4
  /// for one without code for this machine, 5 and 6 as they come.
  static Result<std::shared_ptr<Model>> open(const std::string &path,
                                             const ModelOptions &options);

  const Artifact &artifact() const { return file; }
  const Manifest &manifest() const { return file.manifest(); }
  const Plan &plan() const { return schedule; }
  const KernelTable &kernels() const { return code.kernels(); }
  Variant variant() const { return chosen; }
  const Tokenizer &tokenizer() const { return *text; }
  /// The seed of the emulator's schedules; none on the CPU.
  std::optional<uint64_t> emulated() const { return schedules; }
  bool weightsAreMapped() const { return weights.areMapped(); }

  /// The bytes of a tensor of the container, or null.
  const uint8_t *weight(const std::string &tensor) const;

  /// Replaces the stored bytes of a parameter, named as in the manifest, by
  /// bytes of the same format and layout, in this process's copy; no context
  /// may be running. Exit 2 for an unknown name or another size, 3 for values
  /// that the format does not have, 4 where weights are mapped.
  Status replaceParameter(const std::string &name, Bytes bytes);

private:
  explicit Model(Artifact artifact) : file(std::move(artifact)) {}
  const ArtifactSection *weightSection(const std::string &tensor) const;

  Artifact file;
  Plan schedule;
  CodeObject code;
  Variant chosen = Variant::Portable;
  std::optional<uint64_t> schedules;
  Weights weights;
  std::optional<Tokenizer> text;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_MODEL_H
