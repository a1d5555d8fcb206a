//===- ModelConfig.h - What a config.json says about a model ----*- C++ -*-===//
//
// The facts of a decoder of Llama's shape. Architectures are rows of a table
// (lib/Checkpoint/Architectures.cpp), not classes: which fields config.json may
// have, what each must be, and which would change the result and are refused.
// What transformers takes as absent is absent here (null, a missing
// rope_theta). An architecture that is not in the table is exit 4, with the
// nearest one that is and the fields that differ.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_MODELCONFIG_H
#define LOWBIT_CHECKPOINT_MODELCONFIG_H

#include "lowbit/Checkpoint/Json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// How rotary frequencies are scaled.
enum class RopeKind : uint8_t {
  /// inv_freq_i = theta^(-2i / head_dim)
  Default,
  /// inv_freq_i / factor
  Linear,
  /// By wavelength: long ones / factor, short ones kept, between them blended
  /// (transformers' `_compute_llama3_parameters`).
  Llama3,
};

/// Rotary embedding. Fields beside theta count only for the kinds that use
/// them.
struct RopeConfig {
  RopeKind kind = RopeKind::Default;
  double theta = 10000.0;
  /// Linear and Llama3.
  double factor = 1.0;
  /// Llama3 only.
  double lowFrequencyFactor = 1.0;
  double highFrequencyFactor = 1.0;
  uint64_t originalMaxPositions = 0;
};

enum class Activation : uint8_t { Silu };

/// A decoder's facts. Sizes are > 0; queries = heads · headDim,
/// keys and values = kvHeads · headDim.
struct ModelConfig {
  /// The architecture's name, `LlamaForCausalLM`.
  std::string architecture;
  uint64_t hidden = 0;
  uint64_t ffn = 0;
  uint64_t layers = 0;
  uint64_t heads = 0;
  uint64_t kvHeads = 0;
  uint64_t headDim = 0;
  uint64_t vocabulary = 0;
  uint64_t maxPositions = 0;
  double rmsEps = 0;
  RopeConfig rope;
  Activation activation = Activation::Silu;
  /// The head is the embedding table.
  bool tied = false;
  /// q, k, v and o have biases; gate, up and down have.
  bool attentionBias = false;
  bool mlpBias = false;
  std::optional<uint64_t> bos;
  std::vector<uint64_t> eos;
  /// `torch_dtype`/`dtype` as written; the tensors' own types count.
  std::string declaredType;
  /// What a user should know, one line each.
  std::vector<std::string> notes;
};

/// Reads config.json, parsed. Exit 3 for values that are wrong, exit 4 for what
/// lowbit cannot do; `fileName` is named in both.
Result<ModelConfig> readModelConfig(const JsonValue &config,
                                    std::string_view fileName);

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_MODELCONFIG_H
