//===- Manifest.cpp - What an artifact says about itself ------------------===//
#include "lowbit/Runtime/Manifest.h"

#include "JsonReader.h"
#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Checkpoint/Message.h"

using namespace lowbit;

const ManifestTensor *Manifest::find(const std::string &name) const {
  for (const ManifestTensor &tensor : tensors)
    if (tensor.name == name)
      return &tensor;
  return nullptr;
}

Error lowbit::noParameter(const std::string &name) {
  return {ExitCode::Usage,
          "parameter " + quoted(name) + ": there is none of that name"};
}

/// Bounds of the numbers in a manifest.
static constexpr int64_t maxCount = int64_t(1) << 46;
static constexpr int64_t maxDimension = int64_t(1) << 31;
static constexpr JsonLimits manifestLimits{uint64_t(1) << 26};

static JsonValue modelJson(const ManifestModel &model) {
  JsonValue json = JsonValue::object();
  json.set("hidden", model.hidden);
  json.set("layers", model.layers);
  json.set("heads", model.heads);
  json.set("kv_heads", model.kvHeads);
  json.set("head_dim", model.headDim);
  json.set("vocabulary", model.vocabulary);
  json.set("context", model.context);
  json.set("bos", model.bos ? JsonValue(*model.bos) : JsonValue());
  JsonValue &eos = json.set("eos", JsonValue::array());
  for (int32_t id : model.eos)
    eos.push(id);
  json.set("cache", model.cache);
  json.set("cache_bits", model.cacheBits);
  return json;
}

static JsonValue tensorJson(const ManifestTensor &tensor) {
  JsonValue json = JsonValue::object();
  json.set("name", tensor.name);
  json.set("format", tensor.format);
  json.set("layout", tensor.layout);
  json.set("rows", tensor.rows);
  json.set("columns", tensor.columns);
  json.set("bytes", tensor.bytes);
  json.set("payload", tensor.payload);
  json.set("padding", tensor.padding);
  json.set("role", tensor.role);
  return json;
}

std::string lowbit::writeManifest(const Manifest &manifest) {
  JsonValue json = JsonValue::object();
  json.set("tool", manifest.tool);
  json.set("model", modelJson(manifest.model));
  json.set("recipe", manifest.recipe);
  json.set("pipeline", manifest.pipeline);
  JsonValue &inputs = json.set("inputs", JsonValue::array());
  for (const ManifestInput &input : manifest.inputs) {
    JsonValue &entry = inputs.push(JsonValue::object());
    entry.set("file", input.file);
    entry.set("bytes", input.bytes);
    entry.set("sha256", input.sha256);
  }
  JsonValue &parameters = json.set("parameters", JsonValue::object());
  parameters.set("all", manifest.parameters);
  parameters.set("linears", manifest.linearParameters);
  JsonValue &tensors = json.set("tensors", JsonValue::array());
  for (const ManifestTensor &tensor : manifest.tensors)
    tensors.push(tensorJson(tensor));
  JsonValue &bits = json.set("bits", JsonValue::object());
  bits.set("linears", manifest.linearBits);
  bits.set("model", manifest.modelBits);
  JsonValue &targets = json.set("targets", JsonValue::array());
  for (const std::string &target : manifest.targets)
    targets.push(target);
  json.set("module", manifest.module);
  return writeJson(json);
}

static void readModel(JsonReader &in, const JsonField &field,
                      ManifestModel &model) {
  in.members(field,
             {"hidden", "layers", "heads", "kv_heads", "head_dim", "vocabulary",
              "context", "bos", "eos", "cache", "cache_bits"});
  model.hidden = in.integer(field.get("hidden"), 1, maxDimension);
  model.layers = in.integer(field.get("layers"), 1, 1 << 20);
  model.heads = in.integer(field.get("heads"), 1, 1 << 20);
  model.kvHeads = in.integer(field.get("kv_heads"), 1, 1 << 20);
  model.headDim = in.integer(field.get("head_dim"), 1, 1 << 20);
  model.vocabulary = in.integer(field.get("vocabulary"), 1, 1 << 24);
  model.context = in.integer(field.get("context"), 1, INT32_MAX);
  JsonField bos = field.get("bos");
  if (!bos.value() || !bos.value()->isNull())
    model.bos = static_cast<int32_t>(in.integer(bos, 0, model.vocabulary - 1));
  JsonField eos = field.get("eos");
  for (size_t i = 0, n = in.elements(eos, 1 << 20); i < n; ++i)
    model.eos.push_back(
        static_cast<int32_t>(in.integer(eos.at(i), 0, model.vocabulary - 1)));
  model.cache = in.string(field.get("cache"));
  model.cacheBits = in.number(field.get("cache_bits"), 0, 64);
}

static ManifestTensor readTensor(JsonReader &in, const JsonField &field) {
  in.members(field, {"name", "format", "layout", "rows", "columns", "bytes",
                     "payload", "padding", "role"});
  ManifestTensor tensor;
  tensor.name = in.string(field.get("name"));
  tensor.format = in.string(field.get("format"));
  tensor.layout = in.string(field.get("layout"));
  tensor.rows = in.integer(field.get("rows"), 0, maxDimension);
  tensor.columns = in.integer(field.get("columns"), 0, maxDimension);
  tensor.bytes = in.integer(field.get("bytes"), 0, maxCount);
  tensor.payload = in.integer(field.get("payload"), 0, maxCount);
  tensor.padding = in.integer(field.get("padding"), 0, maxCount);
  tensor.role = in.string(field.get("role"));
  return tensor;
}

Result<Manifest> lowbit::parseManifest(std::string_view text,
                                       const std::string &file) {
  JsonReader in;
  Manifest manifest;
  auto json = in.parse(text, file, manifestLimits);
  if (!json)
    return json.error();
  JsonField root(*json, file);
  in.members(root, {"tool", "model", "recipe", "pipeline", "inputs",
                    "parameters", "tensors", "bits", "targets", "module"});
  manifest.tool = in.string(root.get("tool"));
  readModel(in, root.get("model"), manifest.model);
  manifest.recipe = in.string(root.get("recipe"));
  manifest.pipeline = in.string(root.get("pipeline"));
  JsonField inputs = root.get("inputs");
  for (size_t i = 0, n = in.elements(inputs, 1 << 20); i < n; ++i) {
    JsonField input = inputs.at(i);
    in.members(input, {"file", "bytes", "sha256"});
    manifest.inputs.push_back({in.string(input.get("file")),
                               in.integer(input.get("bytes"), 0, INT64_MAX),
                               in.string(input.get("sha256"))});
  }
  JsonField parameters = root.get("parameters");
  in.members(parameters, {"all", "linears"});
  manifest.parameters = in.integer(parameters.get("all"), 1, maxCount);
  manifest.linearParameters =
      in.integer(parameters.get("linears"), 0, maxCount);
  JsonField tensors = root.get("tensors");
  for (size_t i = 0, n = in.elements(tensors, 1 << 20); i < n; ++i)
    manifest.tensors.push_back(readTensor(in, tensors.at(i)));
  JsonField bits = root.get("bits");
  in.members(bits, {"linears", "model"});
  manifest.linearBits = in.number(bits.get("linears"), 0, 1e6);
  manifest.modelBits = in.number(bits.get("model"), 0, 1e6);
  JsonField targets = root.get("targets");
  for (size_t i = 0, n = in.elements(targets, 64); i < n; ++i)
    manifest.targets.push_back(in.string(targets.at(i)));
  manifest.module = in.string(root.get("module"));
  if (in.failed())
    return in.error();
  return manifest;
}
