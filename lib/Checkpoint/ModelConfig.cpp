//===- ModelConfig.cpp - What a config.json says about a model ------------===//
#include "lowbit/Checkpoint/ModelConfig.h"
#include "Architectures.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>

using namespace lowbit;

namespace {

constexpr uint64_t maxWidth = uint64_t(1) << 24;
constexpr uint64_t maxHeadDim = 4096;
constexpr uint64_t maxLayers = (uint64_t(1) << 31) - 1;
constexpr uint64_t maxVocabulary = uint64_t(1) << 28;
constexpr uint64_t maxPositionsLimit = uint64_t(1) << 48;
constexpr size_t maxEos = 256;

/// A size field and where it goes.
struct SizeField {
  const char *name;
  uint64_t ModelConfig::*member;
  uint64_t max;
};

constexpr SizeField sizeFields[] = {
    {"hidden_size", &ModelConfig::hidden, maxWidth},
    {"intermediate_size", &ModelConfig::ffn, maxWidth},
    {"num_hidden_layers", &ModelConfig::layers, maxLayers},
    {"num_attention_heads", &ModelConfig::heads, maxWidth},
    {"vocab_size", &ModelConfig::vocabulary, maxVocabulary},
};

/// Reads one config.json of a known architecture into `out`.
class ConfigReader {
public:
  ConfigReader(const JsonField &config, const Architecture &architecture)
      : config(config), architecture(architecture) {
    out.architecture = architecture.name;
  }

  Result<ModelConfig> read() {
    // The order decides which of several errors is told.
    for (auto step : {&ConfigReader::readModelType, &ConfigReader::checkRules,
                      &ConfigReader::readSizes, &ConfigReader::readHeads,
                      &ConfigReader::readLayerTypes, &ConfigReader::readFlags,
                      &ConfigReader::readNumbers, &ConfigReader::readTokens,
                      &ConfigReader::readTypes})
      if (Status status = (this->*step)())
        return std::move(*status);
    noteUnknown();
    return std::move(out);
  }

private:
  Status readModelType() {
    JsonField field = config.get("model_type");
    if (field.isAbsent())
      return {};
    Result<std::string_view> type = field.string();
    if (!type)
      return type.error();
    if (*type != architecture.modelType)
      return field.notSupported("is " + quoted(*type, 80) + ", but " +
                                std::string(architecture.name) + " has \"" +
                                std::string(architecture.modelType) + "\"");
    return {};
  }

  Status checkRules() {
    for (const FieldRule &rule : architecture.rules)
      if (Status status = checkRule(rule, config.get(rule.name)))
        return status;
    return {};
  }

  Status readSizes() {
    for (const SizeField &size : sizeFields) {
      Result<uint64_t> value = config.get(size.name).integer(1, size.max);
      if (!value)
        return value.error();
      out.*size.member = *value;
    }
    return {};
  }

  Status readHeads() {
    JsonField kvField = config.get("num_key_value_heads");
    Result<uint64_t> kvHeads = kvField.integerOr(out.heads, 1, out.heads);
    if (!kvHeads)
      return kvHeads.error();
    out.kvHeads = *kvHeads;
    if (out.heads % out.kvHeads != 0)
      return kvField.bad("is " + kvField.describe() +
                         ", must divide num_attention_heads, but " +
                         std::to_string(out.heads) + " % " +
                         std::to_string(out.kvHeads) + " = " +
                         std::to_string(out.heads % out.kvHeads));
    JsonField field = config.get("head_dim");
    std::string equation =
        std::to_string(out.hidden) + " / " + std::to_string(out.heads);
    if (field.isAbsent() && out.hidden % out.heads != 0)
      return field.bad("is missing, and hidden_size / num_attention_heads = " +
                       equation + " is not whole");
    Result<uint64_t> headDim =
        field.integerOr(out.hidden / out.heads, 1, maxHeadDim);
    if (!headDim)
      return headDim.error();
    out.headDim = *headDim;
    if (out.headDim % 2 != 0 || out.headDim > maxHeadDim)
      return field.bad(
          "is " + std::to_string(out.headDim) +
          (field.isAbsent()
               ? " (hidden_size / num_attention_heads = " + equation + ")"
               : "") +
          ", must be even and at most " + std::to_string(maxHeadDim) +
          " (rotary embedding turns pairs)");
    return {};
  }

  Status readLayerTypes() {
    JsonField field = config.get("layer_types");
    if (field.isAbsent())
      return {};
    Result<const JsonArray *> types = field.array();
    if (!types)
      return types.error();
    if ((*types)->size() != out.layers)
      return field.bad("has " + std::to_string((*types)->size()) +
                       " entries, but num_hidden_layers is " +
                       std::to_string(out.layers));
    for (size_t i = 0; i < (*types)->size(); ++i) {
      Result<std::string_view> type = field.at(i).string();
      if (!type)
        return type.error();
      if (*type != "full_attention")
        return field.at(i).notSupported("is " + quoted(*type, 80) +
                                        ", supported is \"full_attention\"");
    }
    return {};
  }

  Status readFlags() {
    struct Flag {
      const char *name;
      bool ModelConfig::*member;
    };
    for (Flag flag : {Flag{"tie_word_embeddings", &ModelConfig::tied},
                      Flag{"attention_bias", &ModelConfig::attentionBias},
                      Flag{"mlp_bias", &ModelConfig::mlpBias}}) {
      Result<bool> value = config.get(flag.name).booleanOr(false);
      if (!value)
        return value.error();
      out.*flag.member = *value;
    }
    JsonField field = config.get("hidden_act");
    if (field.isAbsent())
      return {};
    Result<std::string_view> activation = field.string();
    if (!activation)
      return activation.error();
    // "swish" is transformers' other name of the same function.
    if (*activation != "silu" && *activation != "swish")
      return field.notSupported("is " + quoted(*activation, 80) +
                                ", supported is \"silu\"");
    return {};
  }

  Status readNumbers() {
    JsonField eps = config.get("rms_norm_eps");
    // Below 1e-37 it would be no normal f32.
    Result<double> epsValue =
        eps.numberOr(architecture.defaultRmsEps, 1e-37, 1.0);
    if (!epsValue)
      return epsValue.error();
    out.rmsEps = *epsValue;
    if (eps.isAbsent())
      noteDefault(eps, writeJson(JsonValue(out.rmsEps)));
    JsonField positions = config.get("max_position_embeddings");
    Result<uint64_t> positionsValue = positions.integerOr(
        architecture.defaultMaxPositions, 1, maxPositionsLimit);
    if (!positionsValue)
      return positionsValue.error();
    out.maxPositions = *positionsValue;
    if (positions.isAbsent())
      noteDefault(positions, std::to_string(out.maxPositions));
    Result<RopeConfig> rope = readRope(config);
    if (!rope)
      return rope.error();
    out.rope = *rope;
    return {};
  }

  Status readTokens() {
    uint64_t last = out.vocabulary - 1;
    JsonField bos = config.get("bos_token_id");
    if (!bos.isAbsent()) {
      Result<uint64_t> id = bos.integer(0, last);
      if (!id)
        return id.error();
      out.bos = *id;
    } else if (!bos.value() && architecture.defaultBos <= last) {
      out.bos = architecture.defaultBos;
      noteDefault(bos, std::to_string(*out.bos));
    }
    JsonField pad = config.get("pad_token_id");
    if (Result<uint64_t> id = pad.integerOr(0, 0, last); !id)
      return id.error();

    JsonField eos = config.get("eos_token_id");
    if (!eos.value() && architecture.defaultEos <= last) {
      out.eos = {architecture.defaultEos};
      noteDefault(eos, std::to_string(architecture.defaultEos));
    }
    if (eos.isAbsent())
      return {};
    if (!eos.value()->isArray()) {
      Result<uint64_t> id = eos.integer(0, last);
      if (!id)
        return id.error();
      out.eos = {*id};
      return {};
    }
    size_t count = eos.value()->asArray().size();
    if (count == 0 || count > maxEos)
      return eos.bad("has " + std::to_string(count) + " ids, must have 1 to " +
                     std::to_string(maxEos));
    for (size_t i = 0; i < count; ++i) {
      Result<uint64_t> id = eos.at(i).integer(0, last);
      if (!id)
        return id.error();
      out.eos.push_back(*id);
    }
    return {};
  }

  Status readTypes() {
    for (const char *name : {"torch_dtype", "dtype"}) {
      JsonField field = config.get(name);
      if (field.isAbsent())
        continue;
      Result<std::string_view> type = field.string();
      if (!type)
        return type.error();
      if (!out.declaredType.empty() && out.declaredType != *type)
        out.notes.push_back(
            place(field) + "is " + field.describe() + ", but torch_dtype is " +
            quoted(out.declaredType, 80) + "; the tensors' own types count");
      out.declaredType = *type;
    }
    return {};
  }

  void noteUnknown() {
    std::vector<std::string> names = unknownFields(config, architecture);
    if (names.empty())
      return;
    std::string text;
    for (size_t i = 0; i < names.size() && i < 20; ++i)
      text += (i ? ", " : "") + escaped(names[i], 60);
    if (names.size() > 20)
      text += " and " + std::to_string(names.size() - 20) + " more";
    out.notes.push_back(
        escaped(config.fileName(), 1024) + ": " +
        std::string(architecture.name) +
        " does not read these fields, so they are ignored: " + text);
  }

  void noteDefault(const JsonField &field, const std::string &value) {
    out.notes.push_back(place(field) + "is missing; " +
                        std::string(architecture.name) + " has " + value);
  }

  static std::string place(const JsonField &field) {
    return escaped(field.fileName(), 1024) + ": " + field.path() + ": ";
  }

  JsonField config;
  const Architecture &architecture;
  ModelConfig out;
};

/// The error for an architecture that the table does not have.
Error unknownArchitecture(const JsonField &config, const JsonField &field,
                          std::string_view name) {
  const Architecture *nearest = nullptr;
  std::vector<std::string> nearestDiffers;
  for (const Architecture &row : architectures()) {
    std::vector<std::string> differs = differences(config, row);
    if (nearest && differs.size() >= nearestDiffers.size())
      continue;
    nearest = &row;
    nearestDiffers = std::move(differs);
  }
  std::string problem = "is " + quoted(name, 80) + ", supported are " +
                        knownArchitectures() + "; nearest is " +
                        std::string(nearest->name);
  if (nearestDiffers.empty())
    return field.notSupported(problem + ", whose fields are the same, but the "
                                        "computation may not be");
  problem += ", which differs in ";
  constexpr size_t shown = 16;
  for (size_t i = 0; i < nearestDiffers.size() && i < shown; ++i)
    problem += (i ? ", " : "") + nearestDiffers[i];
  if (nearestDiffers.size() > shown)
    problem +=
        " and " + std::to_string(nearestDiffers.size() - shown) + " more";
  return field.notSupported(problem);
}

} // namespace

Result<ModelConfig> lowbit::readModelConfig(const JsonValue &config,
                                            std::string_view fileName) {
  JsonField root(config, fileName);
  if (Result<const JsonObject *> object = root.object(); !object)
    return object.error();
  JsonField field = root.get("architectures");
  if (field.isAbsent())
    return field.notSupported("is missing, supported are " +
                              knownArchitectures());
  Result<const JsonArray *> list = field.array();
  if (!list)
    return list.error();
  if ((*list)->size() != 1)
    return field.notSupported("has " + std::to_string((*list)->size()) +
                              " entries, must have one of " +
                              knownArchitectures());
  Result<std::string_view> name = field.at(0).string();
  if (!name)
    return name.error();
  const Architecture *architecture = findArchitecture(*name);
  if (!architecture)
    return unknownArchitecture(root, field, *name);
  return ConfigReader(root, *architecture).read();
}
