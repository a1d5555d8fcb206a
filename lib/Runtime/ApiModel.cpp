//===- ApiModel.cpp - C API: errors, artifacts, models, text --------------===//
#include "Api.h"

#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Runtime/Device.h"
#include "lowbit/Runtime/ThreadPool.h"

using namespace lowbit;

const char *lowbit_version(void) { return LOWBIT_VERSION; }

int32_t lowbit_error_code(const lowbit_error *error) {
  return static_cast<int32_t>(error->error.code);
}
const char *lowbit_error_message(const lowbit_error *error) {
  return error->error.message.c_str();
}
void lowbit_error_free(lowbit_error *error) { delete error; }
void lowbit_free(void *memory) { free(memory); }

const char *lowbit_variant_name(uint32_t index) {
  return index < variantCount ? variantName(static_cast<Variant>(index))
                              : nullptr;
}

char *lowbit_variant_missing(uint32_t index) {
  if (index >= variantCount)
    return nullptr;
  std::string missing = missingFeatures(static_cast<Variant>(index));
  return copyForCaller(missing.data(), missing.size());
}

char *lowbit_list_devices(void) {
  std::string lines = listDevices();
  return copyForCaller(lines.data(), lines.size());
}

lowbit_error *lowbit_inspect(const char *path, char **json) {
  auto artifact = Artifact::open(path);
  if (!artifact)
    return toApi(artifact.error());
  JsonValue root = JsonValue::object();
  root.set("file", path);
  root.set("bytes", artifact->fileBytes());
  root.set("root", hex(artifact->root()));
  JsonValue &sections = root.set("sections", JsonValue::array());
  for (const ArtifactSection &section : artifact->sections()) {
    JsonValue &entry = sections.push(JsonValue::object());
    entry.set("name", section.name);
    entry.set("offset", section.offset);
    entry.set("bytes", section.bytes);
  }
  std::string text = writeJson(root);
  // The manifest is canonical JSON already; it becomes the last member.
  text.pop_back();
  text += ",\"manifest\":" + writeManifest(artifact->manifest()) + "}";
  char *copy = copyForCaller(text.data(), text.size());
  if (!copy)
    return outOfMemory();
  *json = copy;
  return nullptr;
}

lowbit_error *lowbit_verify(const char *path, int32_t threads) {
  auto artifact = Artifact::open(path);
  if (!artifact)
    return toApi(artifact.error());
  auto pool = ThreadPool::create(clampThreads(threads));
  if (!pool)
    return toApi(pool.error());
  if (auto error = artifact->verifyWeights(**pool))
    return toApi(std::move(*error));
  // What is not damaged can still be wrong: prove every plan.
  for (const std::string &target : artifact->manifest().targets) {
    auto text = artifact->section("plan." + target);
    if (!text)
      return toApi(text.error());
    auto plan = parsePlan(*text, artifact->path() + ": plan." + target);
    if (!plan)
      return toApi(plan.error());
    if (auto error = verifyPlan(*plan, planFacts(*artifact)))
      return toApi(std::move(*error));
  }
  return nullptr;
}

void lowbit_model_options_init(lowbit_model_options *options) {
  *options = {sizeof(*options), LOWBIT_WEIGHTS_AUTOMATIC, 0, -1, 0, nullptr, 0};
}

lowbit_error *lowbit_model_open(const char *path,
                                const lowbit_model_options *given,
                                lowbit_model **model) {
  lowbit_model_options options;
  if (auto error = readOptions(given, lowbit_model_options_init, options))
    return toApi(std::move(*error));
  if (options.weights < LOWBIT_WEIGHTS_AUTOMATIC ||
      options.weights > LOWBIT_WEIGHTS_MAP)
    return toApi(
        Error{ExitCode::Usage, "weights: " + std::to_string(options.weights) +
                                   " is not in 0…2"});
  if (options.variant >= static_cast<int32_t>(variantCount))
    return toApi(
        Error{ExitCode::Usage, "variant: " + std::to_string(options.variant) +
                                   " is not in -1…" +
                                   std::to_string(variantCount - 1)});
  ModelOptions how;
  how.weights = static_cast<WeightsMode>(options.weights);
  how.trust = options.trust != 0;
  how.threads = options.threads;
  if (options.device)
    how.device = options.device;
  how.schedule = options.schedule;
  if (options.variant >= 0)
    how.variant = static_cast<Variant>(options.variant);
  auto opened = Model::open(path, how);
  if (!opened)
    return toApi(opened.error());
  *model = new lowbit_model{std::move(*opened)};
  return nullptr;
}

void lowbit_model_close(lowbit_model *model) { delete model; }

void lowbit_model_get_facts(const lowbit_model *handle,
                            lowbit_model_facts *to) {
  const Model &model = *handle->model;
  const Manifest &manifest = model.manifest();
  const PlanLimits &limits = model.plan().limits;
  lowbit_model_facts facts{};
  facts.vocabulary = manifest.model.vocabulary;
  facts.context =
      std::min(manifest.model.context, limits.pagesPerSequence * pagePositions);
  facts.rows = limits.rows;
  facts.logits = limits.logits;
  facts.sequences = limits.sequences;
  facts.bos = manifest.model.bos.value_or(-1);
  facts.eos_count = static_cast<int32_t>(manifest.model.eos.size());
  facts.variant = static_cast<int32_t>(model.variant());
  facts.mapped = model.weightsAreMapped();
  facts.file_bytes = static_cast<int64_t>(model.artifact().fileBytes());
  facts.weight_bytes = static_cast<int64_t>(model.artifact().weightsBytes());
  facts.parameters = manifest.parameters;
  facts.linear_bits = manifest.linearBits;
  facts.model_bits = manifest.modelBits;
  writeFacts(facts, to);
}

int32_t lowbit_model_eos(const lowbit_model *model, int32_t index) {
  const std::vector<int32_t> &eos = model->model->manifest().model.eos;
  if (index < 0 || static_cast<size_t>(index) >= eos.size())
    return -1;
  return eos[index];
}

lowbit_error *lowbit_parameter_shape(const lowbit_model *model,
                                     const char *name, int64_t *rows,
                                     int64_t *columns, int64_t *bytes) {
  const ManifestTensor *tensor = model->model->manifest().find(name);
  if (!tensor)
    return toApi(noParameter(name));
  *rows = tensor->rows;
  *columns = tensor->columns;
  *bytes = tensor->bytes;
  return nullptr;
}

lowbit_error *lowbit_model_replace_parameter(lowbit_model *model,
                                             const char *name,
                                             const uint8_t *bytes,
                                             size_t size) {
  return toApi(model->model->replaceParameter(name, {bytes, size}));
}

static lowbit_error *giveIds(const Result<std::vector<int32_t>> &encoded,
                             int32_t **ids, size_t *count) {
  if (!encoded)
    return toApi(encoded.error());
  char *copy =
      copyForCaller(encoded->data(), encoded->size() * sizeof(int32_t));
  if (!copy)
    return outOfMemory();
  *ids = reinterpret_cast<int32_t *>(copy);
  *count = encoded->size();
  return nullptr;
}

lowbit_error *lowbit_tokenize(const lowbit_model *model, const char *text,
                              size_t bytes, int32_t addSpecial,
                              int32_t parseSpecial, int32_t **ids,
                              size_t *count) {
  return giveIds(model->model->tokenizer().encode(
                     {text, bytes}, addSpecial != 0, parseSpecial != 0),
                 ids, count);
}

lowbit_error *lowbit_tokenizer_open(const char *path,
                                    lowbit_tokenizer **tokenizer) {
  auto artifact = Artifact::open(path);
  if (!artifact)
    return toApi(artifact.error());
  auto json = artifact->section("tokenizer");
  if (!json)
    return toApi(json.error());
  auto parsed = Tokenizer::parse(*json, artifact->path() + ": tokenizer");
  if (!parsed)
    return toApi(parsed.error());
  *tokenizer = new lowbit_tokenizer{std::move(*parsed)};
  return nullptr;
}

void lowbit_tokenizer_close(lowbit_tokenizer *tokenizer) { delete tokenizer; }

lowbit_error *lowbit_tokenizer_encode(const lowbit_tokenizer *handle,
                                      const char *text, size_t bytes,
                                      int32_t addSpecial, int32_t parseSpecial,
                                      int32_t **ids, size_t *count) {
  return giveIds(handle->tokenizer.encode({text, bytes}, addSpecial != 0,
                                          parseSpecial != 0),
                 ids, count);
}

lowbit_error *lowbit_detokenize(const lowbit_model *model, const int32_t *ids,
                                size_t count, int32_t skipSpecial, char **text,
                                size_t *bytes) {
  auto decoded =
      model->model->tokenizer().decode({ids, ids + count}, skipSpecial != 0);
  if (!decoded)
    return toApi(decoded.error());
  char *copy = copyForCaller(decoded->data(), decoded->size());
  if (!copy)
    return outOfMemory();
  *text = copy;
  if (bytes)
    *bytes = decoded->size();
  return nullptr;
}
