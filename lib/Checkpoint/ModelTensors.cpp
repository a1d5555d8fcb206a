//===- ModelTensors.cpp - Which tensor plays which part -------------------===//
#include "lowbit/Checkpoint/ModelTensors.h"
#include "Architectures.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cassert>
#include <cstring>

using namespace lowbit;

std::string_view lowbit::roleName(TensorRole role) {
  // In the order of the enum.
  static constexpr std::string_view names[] = {
      "embedding",  "final_norm",  "head",     "attention_norm", "query",
      "key",        "value",       "output",   "query_bias",     "key_bias",
      "value_bias", "output_bias", "ffn_norm", "gate",           "up",
      "down",       "gate_bias",   "up_bias",  "down_bias"};
  static_assert(std::size(names) == tensorRoleCount);
  return names[static_cast<size_t>(role)];
}

namespace {

bool isLayered(const TensorRule &rule) {
  return rule.name.find("{}") != std::string_view::npos;
}

std::string nameOf(const TensorRule &rule, uint64_t layer) {
  std::string name(rule.name);
  if (size_t place = name.find("{}"); place != std::string::npos)
    name.replace(place, 2, std::to_string(layer));
  return name;
}

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         text.substr(text.size() - end.size()) == end;
}

/// The name that transformers has for an element type.
std::string_view torchName(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return "float32";
  case DType::F16:
    return "float16";
  case DType::BF16:
    return "bfloat16";
  default:
    return dtypeName(dtype);
  }
}

/// Assigns tensors to roles, and keeps account of which are used.
class TensorCheck {
public:
  TensorCheck(const ModelConfig &config, const ModelFolder &folder,
              const Architecture &architecture)
      : config(config), folder(folder), architecture(architecture),
        used(folder.tensors().size()) {}

  ModelTensors out;

  Status assignAll() {
    for (const TensorRule &rule : architecture.tensors)
      if (!isLayered(rule))
        if (Status status = assign(rule, 0, out.model))
          return status;
    // One layer at a time: a count that the file cannot back ends here before
    // anything is allocated for it.
    for (uint64_t layer = 0; layer < config.layers; ++layer) {
      TensorsByRole roles{};
      for (const TensorRule &rule : architecture.tensors)
        if (isLayered(rule))
          if (Status status = assign(rule, layer, roles))
            return status;
      out.layers.push_back(roles);
    }
    return {};
  }

  Status checkTied();
  Status checkUnused(bool allowUnused);
  void noteTypes();

private:
  uint64_t sizeOf(SizeName size) const {
    switch (size) {
    case SizeName::Vocabulary:
      return config.vocabulary;
    case SizeName::Hidden:
      return config.hidden;
    case SizeName::Ffn:
      return config.ffn;
    case SizeName::Queries: // Both factors are bounded by 2^24 and 2^12.
      return config.heads * config.headDim;
    case SizeName::KeyValues:
      return config.kvHeads * config.headDim;
    case SizeName::None:
      break;
    }
    return 0;
  }

  /// How a size comes from config.json.
  std::string sizeText(SizeName size) const {
    switch (size) {
    case SizeName::Vocabulary:
      return "vocab_size";
    case SizeName::Hidden:
      return "hidden_size";
    case SizeName::Ffn:
      return "intermediate_size";
    case SizeName::Queries:
      return "num_attention_heads * head_dim = " +
             std::to_string(config.heads) + " * " +
             std::to_string(config.headDim);
    case SizeName::KeyValues:
      return "num_key_value_heads * head_dim = " +
             std::to_string(config.kvHeads) + " * " +
             std::to_string(config.headDim);
    case SizeName::None:
      break;
    }
    return "";
  }

  bool isWanted(const TensorRule &rule) const {
    switch (rule.presence) {
    case Presence::Always:
      return true;
    case Presence::Untied:
      return !config.tied;
    case Presence::AttentionBias:
      return config.attentionBias;
    case Presence::MlpBias:
      return config.mlpBias;
    }
    return true;
  }

  void markUsed(const TensorRef *ref) {
    used[static_cast<size_t>(ref - folder.tensors().data())] = true;
  }

  std::string fileOf(const TensorRef &ref) const {
    return folder.pathOf(folder.shardName(ref.shard));
  }

  Status assign(const TensorRule &rule, uint64_t layer, TensorsByRole &roles);
  Error missing(const TensorRule &rule, const std::string &name) const;
  Status checkShape(const TensorRule &rule, const TensorRef &ref);
  std::string unusedReason(const std::string &name) const;
  std::string unusedLine(const std::vector<const TensorRef *> &refs,
                         std::string_view problem) const;

  const ModelConfig &config;
  const ModelFolder &folder;
  const Architecture &architecture;
  /// Beside `folder.tensors()`.
  std::vector<bool> used;
};

Status TensorCheck::assign(const TensorRule &rule, uint64_t layer,
                           TensorsByRole &roles) {
  if (!isWanted(rule))
    return {};
  std::string name = nameOf(rule, layer);
  const TensorRef *ref = folder.find(name);
  if (!ref)
    return missing(rule, name);
  if (Status status = checkShape(rule, *ref))
    return status;
  roles[static_cast<size_t>(rule.role)] = ref;
  markUsed(ref);
  return {};
}

Error TensorCheck::missing(const TensorRule &rule,
                           const std::string &name) const {
  std::string problem = "is missing";
  if (rule.presence == Presence::Untied)
    problem += ", and tie_word_embeddings is false; set it to true if the head "
               "is the embedding";
  else if (rule.presence == Presence::AttentionBias)
    problem += ", but attention_bias is true";
  else if (rule.presence == Presence::MlpBias)
    problem += ", but mlp_bias is true";
  else if (isLayered(rule))
    problem += ", but num_hidden_layers is " + std::to_string(config.layers);
  return badInput(folder.path(), name, problem);
}

Status TensorCheck::checkShape(const TensorRule &rule, const TensorRef &ref) {
  const TensorEntry &entry = *ref.entry;
  std::vector<uint64_t> wanted = {sizeOf(rule.rows)};
  std::string reason = sizeText(rule.rows);
  if (rule.columns != SizeName::None) {
    wanted.push_back(sizeOf(rule.columns));
    reason += ", " + sizeText(rule.columns);
  }
  reason = " (" + reason + ")";
  std::string file = fileOf(ref);
  if (entry.elements() == 0)
    return badInput(file, entry.name,
                    "is " + entry.describe() +
                        ": weight has no elements, must have shape " +
                        describeShape(wanted) + reason);
  // A table of tokens may be padded: rows beyond the vocabulary are cut.
  bool isTable = rule.rows == SizeName::Vocabulary;
  bool isPadded = isTable && entry.shape.size() == wanted.size() &&
                  entry.shape[1] == wanted[1] && entry.shape[0] > wanted[0];
  if (entry.shape != wanted && !isPadded)
    return badInput(file, entry.name,
                    "has shape " + describeShape(entry.shape) + ", must be " +
                        describeShape(wanted) + reason);
  if (isPadded)
    out.notes.push_back(escaped(file, 1024) + ": " + escaped(entry.name) +
                        ": has " + std::to_string(entry.shape[0]) +
                        " rows, vocab_size is " + std::to_string(wanted[0]) +
                        "; the rows beyond are cut");
  if (entry.dtype != DType::F32 && entry.dtype != DType::F16 &&
      entry.dtype != DType::BF16)
    return unsupported(file, entry.name,
                       "is " + entry.describe() +
                           ", supported are F32, F16 and BF16");
  return {};
}

/// A head beside a tied embedding must be the same bytes.
Status TensorCheck::checkTied() {
  if (!config.tied)
    return {};
  for (const TensorRule &rule : architecture.tensors) {
    if (rule.presence != Presence::Untied)
      continue;
    const TensorRef *head = folder.find(nameOf(rule, 0));
    if (!head)
      continue;
    const TensorRef *table = out.get(TensorRole::Embedding);
    Bytes a = folder.bytes(*head), b = folder.bytes(*table);
    bool same = head->entry->dtype == table->entry->dtype &&
                head->entry->shape == table->entry->shape &&
                memcmp(a.data, b.data, static_cast<size_t>(a.size)) == 0;
    if (!same)
      return badInput(fileOf(*head), head->name(),
                      "differs from " + table->name() +
                          ", but tie_word_embeddings is true");
    markUsed(head);
    out.notes.push_back(escaped(fileOf(*head), 1024) + ": " + head->name() +
                        ": is the same as " + table->name() + ", stored once");
  }
  return {};
}

/// Why a name that the architecture knows is of no use here.
std::string TensorCheck::unusedReason(const std::string &name) const {
  constexpr std::string_view prefix = "model.layers.";
  if (endsWith(name, ".bias") && name.find("self_attn") != std::string::npos &&
      !config.attentionBias)
    return " (attention_bias is false)";
  if (endsWith(name, ".bias") && name.find(".mlp.") != std::string::npos &&
      !config.mlpBias)
    return " (mlp_bias is false)";
  if (name.compare(0, prefix.size(), prefix) != 0)
    return "";
  return " (num_hidden_layers is " + std::to_string(config.layers) + ")";
}

/// `FIRST: PROBLEM, and N more: a, b, …` for tensors that nothing uses.
std::string TensorCheck::unusedLine(const std::vector<const TensorRef *> &refs,
                                    std::string_view problem) const {
  std::string line =
      escaped(fileOf(*refs[0]), 1024) + ": " + escaped(refs[0]->name()) + ": ";
  line += problem;
  for (size_t i = 1; i < refs.size() && i < 5; ++i)
    line += (i == 1 ? "; so are " : ", ") + escaped(refs[i]->name());
  if (refs.size() > 5)
    line += " and " + std::to_string(refs.size() - 5) + " more";
  return line;
}

Status TensorCheck::checkUnused(bool allowUnused) {
  std::vector<const TensorRef *> frequencies, empty, other;
  for (size_t i = 0; i < used.size(); ++i) {
    const TensorRef &ref = folder.tensors()[i];
    if (used[i])
      continue;
    if (endsWith(ref.name(), "rotary_emb.inv_freq"))
      frequencies.push_back(&ref);
    else if (ref.entry->elements() == 0)
      empty.push_back(&ref);
    else
      other.push_back(&ref);
  }
  if (!frequencies.empty())
    out.notes.push_back(
        unusedLine(frequencies, "is unused, frequencies are computed"));
  if (!empty.empty())
    out.notes.push_back(unusedLine(empty, "is unused and empty"));
  if (other.empty())
    return {};
  std::string line =
      unusedLine(other, "is unused" + unusedReason(other[0]->name()));
  if (!allowUnused)
    return Error{ExitCode::BadInput, line + "; --allow-unused leaves them out"};
  out.notes.push_back(line);
  return {};
}

void TensorCheck::noteTypes() {
  const TensorRef *table = out.get(TensorRole::Embedding);
  std::string_view own = torchName(table->entry->dtype);
  if (config.declaredType.empty() || config.declaredType == own)
    return;
  out.notes.push_back(
      escaped(fileOf(*table), 1024) + ": " + escaped(table->name()) + ": is " +
      std::string(own) + ", but config.json says " +
      quoted(config.declaredType, 80) + "; the tensors' own types count");
}

} // namespace

Result<ModelTensors> lowbit::checkTensors(const ModelConfig &config,
                                          const ModelFolder &folder,
                                          const TensorCheckOptions &options) {
  const Architecture *architecture = findArchitecture(config.architecture);
  assert(architecture && "a ModelConfig comes from readModelConfig");
  TensorCheck check(config, folder, *architecture);
  if (Status status = check.assignAll())
    return std::move(*status);
  if (Status status = check.checkTied())
    return std::move(*status);
  if (Status status = check.checkUnused(options.allowUnused))
    return std::move(*status);
  check.noteTypes();
  return std::move(check.out);
}
