//===- Profile.h - What calibration measured --------------------*- C++ -*-===//
//
// A profile is a safetensors file (Spec.md, section 9). For each distinct
// linear input it holds the second moments H = Σ x xᵀ over the calibration
// tokens as `h.<tensor>`, f32: `[K]`, the diagonal; `[K(K+1)/2]`, the lower
// triangle with the diagonal, row by row, where the metadata has `moments` =
// `full`; or
// `[K, K]`, of which the lower triangle and the diagonal count. `<tensor>` is
// the checkpoint's name of the weight that reads the input. Linears that share
// an input share one tensor: the file's metadata maps `h.<other tensor>` to the
// name of the tensor that is stored.
//
//   auto profile = Profile::open("books.profile");
//   auto h = profile->diagonal({"model.layers.0.self_attn.q_proj.weight"},
//   256);
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_ANALYSIS_PROFILE_H
#define LOWBIT_ANALYSIS_PROFILE_H

#include "lowbit/Analysis/InputStatistics.h"
#include "lowbit/Checkpoint/Safetensors.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// An opened profile. Reads are const and may run in parallel.
class Profile : public InputStatistics {
public:
  /// Exit 3 for a file that is no profile: names the tensor and what is wrong.
  static Result<Profile> open(const std::string &path);

  bool hasMoments(const std::vector<std::string> &tensors) const override;
  Result<std::optional<std::vector<float>>>
  diagonal(const std::vector<std::string> &tensors,
           int64_t columns) const override;
  Result<std::optional<std::vector<float>>>
  moments(const std::vector<std::string> &tensors,
          int64_t columns) const override;

  /// Whether any input has more than its diagonal.
  bool hasFullMoments() const;

  /// Sample rows [row][K] of the same input; empty where there are none. Exit 3
  /// for a tensor that is not F16 [rows, columns] or not finite.
  Result<std::vector<float>> samples(const std::vector<std::string> &tensors,
                                     int64_t columns) const;

  /// The rows of `sample.<place>`, e.g. `attention.0.key`.
  Result<std::vector<float>> samplesAt(const std::string &place,
                                       int64_t columns) const;

  /// The model that it is of, as the metadata's `model` says: SHA-256 over the
  /// lines `file digest` of config, tokenizer and weights (Spec.md, section 9).
  std::optional<std::string> model() const;

  /// Path and file, for the manifest.
  const MappedFile &file() const { return container.file(); }

private:
  explicit Profile(Safetensors container) : container(std::move(container)) {}
  const TensorEntry *find(const std::vector<std::string> &tensors) const;
  bool isFull(const TensorEntry &entry) const {
    return isPacked || entry.shape.size() == 2;
  }
  Status checkColumns(const TensorEntry &entry, int64_t columns) const;

  Safetensors container;
  /// Vectors are lower triangles, not diagonals.
  bool isPacked = false;
};

} // namespace lowbit

#endif // LOWBIT_ANALYSIS_PROFILE_H
