//===- Architectures.h - The table of known architectures -------*- C++ -*-===//
//
// An architecture is data: which fields of config.json it reads, which others
// may be there, what would change its result and is allowed only with a value
// that changes nothing, and the names and shapes of its tensors. A new family
// of Llama's shape is a new row here.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CHECKPOINT_ARCHITECTURES_H
#define LOWBIT_LIB_CHECKPOINT_ARCHITECTURES_H

#include "lowbit/Checkpoint/JsonField.h"
#include "lowbit/Checkpoint/ModelConfig.h"
#include "lowbit/Checkpoint/ModelTensors.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// A read-only array of static storage.
template <typename T> struct Table {
  const T *rows = nullptr;
  size_t count = 0;

  constexpr Table() = default;
  template <size_t N>
  constexpr Table(const T (&array)[N]) : rows(array), count(N) {}
  const T *begin() const { return rows; }
  const T *end() const { return rows + count; }
};

/// A field that this architecture lets pass only where it changes nothing.
struct FieldRule {
  std::string_view name;
  /// The values that change nothing, as canonical JSON, with `|` between them;
  /// null (absent) always does.
  std::string_view neutral;
  /// Any other value must be an integer > 0 to be unsupported rather than
  /// wrong.
  bool isCount = false;
};

/// A size that a tensor's dimension has.
enum class SizeName : uint8_t {
  None,
  Vocabulary,
  Hidden,
  Ffn,
  Queries,
  KeyValues
};

/// When a tensor must be there.
enum class Presence : uint8_t { Always, Untied, AttentionBias, MlpBias };

/// A tensor of the architecture.
struct TensorRule {
  TensorRole role;
  /// `{}` stands for the layer's number; without it the tensor is the model's.
  std::string_view name;
  SizeName rows;
  /// None for vectors.
  SizeName columns;
  Presence presence;
};

/// One row of the table.
struct Architecture {
  std::string_view name;
  std::string_view modelType;
  /// Fields that must be there.
  Table<std::string_view> required;
  /// Fields that are read where they are there.
  Table<std::string_view> read;
  /// Fields that have to do with training, generation or bookkeeping.
  Table<std::string_view> harmless;
  Table<FieldRule> rules;
  Table<TensorRule> tensors;
  /// What transformers takes where a field is missing.
  double defaultRmsEps;
  uint64_t defaultMaxPositions;
  uint64_t defaultBos;
  uint64_t defaultEos;
};

/// All known architectures.
Table<Architecture> architectures();
/// The row with that name, or null.
const Architecture *findArchitecture(std::string_view name);
/// `LlamaForCausalLM, …`
std::string knownArchitectures();

/// What is not allowed about a field by its rule, or nothing: exit 4, or 3
/// where the value makes no sense at all.
Status checkRule(const FieldRule &rule, const JsonField &field);

/// The fields by which `config` differs from an architecture, each with its
/// value and what it must be; empty where none does.
std::vector<std::string> differences(const JsonField &config,
                                     const Architecture &architecture);

/// Fields that an architecture does not know, in the order of the file.
std::vector<std::string> unknownFields(const JsonField &config,
                                       const Architecture &architecture);

/// Rotary embedding out of rope_theta, rope_scaling and rope_parameters.
Result<RopeConfig> readRope(const JsonField &config);

} // namespace lowbit

#endif // LOWBIT_LIB_CHECKPOINT_ARCHITECTURES_H
