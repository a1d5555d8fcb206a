//===- ModelTensors.h - Which tensor plays which part -----------*- C++ -*-===//
//
// Checks a folder's tensors against its configuration: all there, of the right
// shape and a type that is a weight's, none left over. The result says for each
// part (role, layer) which tensor plays it; who imports a model uses that table
// and no names.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_MODELTENSORS_H
#define LOWBIT_CHECKPOINT_MODELTENSORS_H

#include "lowbit/Checkpoint/ModelConfig.h"
#include "lowbit/Checkpoint/ModelFolder.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// The part a tensor plays. Weights are [outputs, inputs], norms [hidden],
/// biases [outputs].
enum class TensorRole : uint8_t {
  // Once in a model.
  Embedding,
  FinalNorm,
  Head,
  // Once in each layer.
  AttentionNorm,
  Query,
  Key,
  Value,
  Output,
  QueryBias,
  KeyBias,
  ValueBias,
  OutputBias,
  FfnNorm,
  Gate,
  Up,
  Down,
  GateBias,
  UpBias,
  DownBias,
};
inline constexpr size_t tensorRoleCount =
    static_cast<size_t>(TensorRole::DownBias) + 1;

/// `query`, `head` …: for messages and the manifest.
std::string_view roleName(TensorRole role);

/// The tensors of one layer (or of the model, for roles outside layers) by
/// role; null where there is none.
using TensorsByRole = std::array<const TensorRef *, tensorRoleCount>;

/// Which tensor plays which part; points into the folder.
struct ModelTensors {
  /// Embedding, FinalNorm, Head; Head is null where it is the embedding.
  TensorsByRole model{};
  std::vector<TensorsByRole> layers;
  /// What a user should know, one line each.
  std::vector<std::string> notes;

  const TensorRef *get(TensorRole role) const {
    return model[static_cast<size_t>(role)];
  }
  const TensorRef *get(TensorRole role, size_t layer) const {
    return layers[layer][static_cast<size_t>(role)];
  }
};

/// What is let pass.
struct TensorCheckOptions {
  /// Tensors that nothing uses are a note instead of an error.
  bool allowUnused = false;
};

/// Checks and assigns. The embedding and head may have more rows than
/// `vocabulary` (padding): the rows beyond are not part of the model, which a
/// note says. A head beside `tied` must equal the embedding byte for byte and
/// is then dropped. Exit 3, or 4 where a weight's type is not F32, F16 or BF16.
Result<ModelTensors> checkTensors(const ModelConfig &config,
                                  const ModelFolder &folder,
                                  const TensorCheckOptions &options = {});

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_MODELTENSORS_H
