//===- Model.cpp - An artifact, ready to run ------------------------------===//
#include "lowbit/Runtime/Model.h"

#include "StoredValues.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Runtime/Device.h"
#include "lowbit/Runtime/ThreadPool.h"
#include "lowbit/Runtime/Trust.h"

#include <cstring>
#include <pthread.h>

using namespace lowbit;

const char *lowbit::hostTarget() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#endif
}

PlanFacts lowbit::planFacts(const Artifact &artifact) {
  PlanFacts facts;
  facts.file = artifact.path();
  facts.vocabulary = artifact.manifest().model.vocabulary;
  for (const ArtifactSection &section : artifact.sections())
    if (section.isWeight())
      facts.weights[section.name] = static_cast<int64_t>(section.bytes);
  return facts;
}

namespace {

/// Parses the tokenizer on a thread of its own while weights are copied: a
/// large vocabulary takes as long as they do.
class TokenizerTask {
public:
  explicit TokenizerTask(const Artifact &artifact)
      : artifact(artifact),
        running(pthread_create(&thread, nullptr, start, this) == 0) {
    if (!running)
      parse();
  }
  ~TokenizerTask() { wait(); }

  Result<Tokenizer> take() {
    wait();
    return std::move(*result);
  }

private:
  static void *start(void *task) {
    static_cast<TokenizerTask *>(task)->parse();
    return nullptr;
  }
  void parse() {
    std::string name = artifact.path() + ": tokenizer";
    auto text = artifact.section("tokenizer");
    result.emplace(text ? Tokenizer::parse(*text, name)
                        : Result<Tokenizer>(text.error()));
  }
  void wait() {
    if (running)
      pthread_join(thread, nullptr);
    running = false;
  }

  const Artifact &artifact;
  std::optional<Result<Tokenizer>> result;
  pthread_t thread;
  bool running;
};

/// The section of a target, or exit 4 that lists the targets there are.
Result<std::string_view> targetSection(const Artifact &artifact,
                                       const char *kind,
                                       const std::string &target) {
  auto content = artifact.section(std::string(kind) + "." + target);
  if (content)
    return content;
  std::string targets;
  for (const std::string &target : artifact.manifest().targets)
    targets += " " + escaped(target);
  return Error{ExitCode::Unsupported, escaped(artifact.path()) + ": no " +
                                          kind + " for " + target +
                                          "; the artifact has:" + targets};
}

Status checkTrusted(const Artifact &artifact) {
  auto folder = trustFolder();
  if (!folder)
    return folder.error();
  return checkTrust(*folder, artifact.root(), artifact.path());
}

} // namespace

Result<std::shared_ptr<Model>> Model::open(const std::string &path,
                                           const ModelOptions &options) {
  auto target = deviceTarget(options.device);
  if (!target)
    return target.error();
  auto artifact = Artifact::open(path);
  if (!artifact)
    return artifact.error();
  if (!options.trust)
    if (auto error = checkTrusted(*artifact))
      return *error;
  std::shared_ptr<Model> model(new Model(std::move(*artifact)));
  const Artifact &file = model->file;

  auto planText = targetSection(file, "plan", *target);
  auto codeBytes = targetSection(file, "code", *target);
  if (!planText || !codeBytes)
    return (planText ? codeBytes : planText).error();
  auto plan = parsePlan(*planText, path + ": plan");
  if (!plan)
    return plan.error();
  model->schedule = std::move(*plan);
  if (model->schedule.target != *target)
    return Error{ExitCode::Mismatch, escaped(path) + ": plan: target is " +
                                         quoted(model->schedule.target) +
                                         ", must be " + *target};
  if (auto error = verifyPlan(model->schedule, planFacts(file)))
    return *error;

  if (options.device == "emulated")
    model->schedules = options.schedule;
  model->chosen = options.variant.value_or(bestVariant());
  std::string missing = missingFeatures(model->chosen);
  if (!missing.empty())
    return Error{ExitCode::Unsupported, std::string("--variant ") +
                                            variantName(model->chosen) +
                                            ": this CPU lacks " + missing};
  auto code = CodeObject::load(bytesOf(*codeBytes), path);
  if (!code)
    return code.error();
  model->code = std::move(*code);

  TokenizerTask tokenizer(file);
  auto pool = ThreadPool::create(clampThreads(options.threads));
  if (!pool)
    return pool.error();
  auto weights = Weights::load(file, options.weights, **pool);
  if (!weights)
    return weights.error();
  model->weights = std::move(*weights);
  auto text = tokenizer.take();
  if (!text)
    return text.error();
  model->text.emplace(std::move(*text));
  if (model->text->vocabularySize() > model->manifest().model.vocabulary)
    return Error{ExitCode::Mismatch,
                 escaped(path) + ": tokenizer has " +
                     std::to_string(model->text->vocabularySize()) +
                     " ids, the model only " +
                     std::to_string(model->manifest().model.vocabulary)};
  return model;
}

const ArtifactSection *Model::weightSection(const std::string &tensor) const {
  for (const ArtifactSection &section : file.sections())
    if (section.isWeight() && section.name == tensor)
      return &section;
  return nullptr;
}

const uint8_t *Model::weight(const std::string &tensor) const {
  const ArtifactSection *section = weightSection(tensor);
  return section ? weights.at(section->offset) : nullptr;
}

Status Model::replaceParameter(const std::string &name, Bytes bytes) {
  if (weights.areMapped())
    return Error{ExitCode::Unsupported,
                 "weights are mapped from the file; open the model with copied "
                 "weights to replace one"};
  const ManifestTensor *tensor = manifest().find(name);
  if (!tensor)
    return noParameter(name);
  if (auto error = checkStoredValues(*tensor, bytes))
    return error;
  const ArtifactSection *section = weightSection("weights." + name);
  if (!section || section->bytes < bytes.size)
    return Error{ExitCode::Mismatch, escaped(file.path()) + ": parameter " +
                                         quoted(name) + " has no tensor"};
  memcpy(weights.writableAt(section->offset), bytes.data, bytes.size);
  return {};
}
