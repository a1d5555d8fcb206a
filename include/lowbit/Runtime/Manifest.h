//===- Manifest.h - What an artifact says about itself ----------*- C++ -*-===//
//
// The tensor `manifest` of an artifact (Spec.md, section 6): facts of the model
// that the runner needs, where everything came from, and the size of every
// tensor in complete bits. Written by the compiler with writeManifest, read by
// the runner with parseManifest.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_MANIFEST_H
#define LOWBIT_RUNTIME_MANIFEST_H

#include "lowbit/Checkpoint/Error.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// Facts of the architecture. JSON keys: hidden, layers, heads, kv_heads,
/// head_dim, vocabulary, context, bos (an id or null), eos (a list of ids),
/// cache, cache_bits.
struct ManifestModel {
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;
  /// Columns of the logits; at least the tokenizer's ids.
  int64_t vocabulary = 0;
  /// Positions that the model was made for.
  int64_t context = 0;
  /// The beginning-of-sequence token, where the model has one.
  std::optional<int32_t> bos;
  /// Tokens that end a text.
  std::vector<int32_t> eos;
  /// Element type of the KV cache by name: `f16`, `i8`, `i4-g64`; empty where
  /// there is none.
  std::string cache;
  /// Complete bits of a cached element, scales and padding included.
  double cacheBits = 0;
};

/// A file that the artifact was made from. JSON keys as here.
struct ManifestInput {
  std::string file;
  int64_t bytes = 0;
  /// Lower-case hexadecimal.
  std::string sha256;
};

/// A tensor as stored. `bytes` = `payload` + `padding`. JSON keys as here.
struct ManifestTensor {
  /// Without the `weights.` of the container.
  std::string name;
  /// Format and layout attributes as text; empty where there is none.
  std::string format;
  std::string layout;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t bytes = 0;
  int64_t payload = 0;
  int64_t padding = 0;
  /// `linear`, `embedding`, `head`, `norm`, …
  std::string role;
};

/// The manifest. JSON keys in this order: tool, model, recipe, pipeline,
/// inputs, parameters {all, linears}, tensors, bits {linears, model}, targets,
/// module.
struct Manifest {
  /// `lowbit VERSION`.
  std::string tool;
  ManifestModel model;
  /// Recipe file's text, and the pipeline that it stands for.
  std::string recipe;
  std::string pipeline;
  std::vector<ManifestInput> inputs;
  /// Original unique parameters: of the whole model, and of its linears.
  int64_t parameters = 0;
  int64_t linearParameters = 0;
  std::vector<ManifestTensor> tensors;
  /// Complete bits per weight.
  double linearBits = 0;
  double modelBits = 0;
  /// Targets with code and a plan: `x86_64`, …
  std::vector<std::string> targets;
  /// The graph with the artifact's tensors as parameters, as MLIR text: what
  /// the reference engine interprets. The runner never reads it.
  std::string module;

  /// The tensor of that name, or null.
  const ManifestTensor *find(const std::string &name) const;
};

/// Exit 2: there is no parameter of that name.
Error noParameter(const std::string &name);

/// Canonical JSON; equal manifests give equal bytes.
std::string writeManifest(const Manifest &manifest);

/// Reads a manifest. What is missing, unknown or out of range is exit 7 and
/// names `file` and field.
Result<Manifest> parseManifest(std::string_view text, const std::string &file);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_MANIFEST_H
