//===- Generate.cpp - Models, and text from them --------------------------===//
#include "Actions.h"
#include "Terminal.h"

#include <cstdio>
#include <ctime>
#include <sys/random.h>

using namespace lowbit::run;

/// The index of a variant by name, or −1.
static int32_t variantIndex(const std::string &name) {
  for (uint32_t i = 0; const char *known = lowbit_variant_name(i); ++i)
    if (name == known)
      return static_cast<int32_t>(i);
  return -1;
}

int lowbit::run::openModel(const CommandLine &line, const std::string &path,
                           ModelHandle &model) {
  lowbit_model_options options;
  lowbit_model_options_init(&options);
  options.trust = line.trust;
  options.threads = static_cast<int32_t>(line.threads);
  options.weights = line.weights == "copy"  ? LOWBIT_WEIGHTS_COPY
                    : line.weights == "map" ? LOWBIT_WEIGHTS_MAP
                                            : LOWBIT_WEIGHTS_AUTOMATIC;
  if (!line.variant.empty()) {
    options.variant = variantIndex(line.variant);
    if (options.variant < 0)
      return fail(2, "--variant: \"" + line.variant +
                         "\" is not portable, avx2 or avx512");
  }
  options.device = line.device.c_str();
  options.schedule = static_cast<uint64_t>(line.schedule);
  lowbit_model *opened = nullptr;
  if (auto *error = lowbit_model_open(path.c_str(), &options, &opened))
    return fail(error);
  model.reset(opened);
  return 0;
}

int lowbit::run::makeContext(const CommandLine &line, const ModelHandle &model,
                             int64_t positions, ContextHandle &context,
                             int32_t *sequence) {
  lowbit_context_options options;
  lowbit_context_options_init(&options);
  options.threads = static_cast<int32_t>(line.threads);
  options.context = positions;
  options.width = static_cast<int32_t>(line.width);
  lowbit_context *created = nullptr;
  if (auto *error = lowbit_context_create(model.get(), &options, &created))
    return fail(error);
  context.reset(created);
  if (!sequence)
    return 0;
  if (auto *error = lowbit_sequence_create(created, sequence))
    return fail(error);
  return 0;
}

lowbit_model_facts lowbit::run::factsOf(const ModelHandle &model) {
  lowbit_model_facts facts{};
  facts.size = sizeof(facts);
  lowbit_model_get_facts(model.get(), &facts);
  return facts;
}

namespace {

/// What the callback keeps between tokens.
struct Stream {
  double firstToken = 0;
};

int32_t onToken(void *user, int32_t id, const char *text, size_t bytes) {
  auto *stream = static_cast<Stream *>(user);
  if (stream->firstToken == 0 && id >= 0)
    stream->firstToken = sinceStart();
  writeText({text, bytes});
  return !ferror(stdout);
}

uint64_t chooseSeed(int64_t asked) {
  if (asked >= 0)
    return static_cast<uint64_t>(asked);
  uint64_t seed = static_cast<uint64_t>(time(nullptr));
  if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
    seed = static_cast<uint64_t>(time(nullptr));
  return seed >> 1; // A number that --seed takes back.
}

void printStatistics(const ModelHandle &model, const ContextHandle &context,
                     const lowbit_generate_result &result, uint64_t seed,
                     double firstToken) {
  lowbit_model_facts facts = factsOf(model);
  fprintf(stderr,
          "\nmodel: %s, weights %s, %s, %d thread%s, seed %llu\n"
          "prompt: %lld tokens in %.3f s (%.1f tokens/s); first token %.3f s "
          "after start\n"
          "text: %lld tokens in %.3f s (%.1f tokens/s); stopped: %s\n",
          readableBytes(static_cast<double>(facts.file_bytes)).c_str(),
          facts.mapped ? "mapped" : "copied",
          lowbit_variant_name(static_cast<uint32_t>(facts.variant)),
          lowbit_context_threads(context.get()),
          lowbit_context_threads(context.get()) == 1 ? "" : "s",
          static_cast<unsigned long long>(seed),
          static_cast<long long>(result.prompt_tokens), result.prompt_seconds,
          static_cast<double>(result.prompt_tokens) / result.prompt_seconds,
          firstToken, static_cast<long long>(result.tokens),
          result.token_seconds,
          static_cast<double>(result.tokens) / result.token_seconds,
          lowbit_stop_name(result.stop));
}

} // namespace

int lowbit::run::generateText(const CommandLine &line) {
  lowbit_generate_options options;
  lowbit_generate_options_init(&options);
  options.sampler.temperature = line.temperature;
  options.sampler.top_k = line.topK;
  options.sampler.top_p = line.topP;
  options.sampler.min_p = line.minP;
  options.max_tokens = line.tokens;
  options.seed = chooseSeed(line.seed);
  options.ignore_end = line.ignoreEnd;
  // Before the work of opening.
  if (auto *error = lowbit_sampler_check(&options.sampler))
    return fail(error);
  ModelHandle model;
  ContextHandle context;
  int32_t sequence = 0;
  std::vector<int32_t> ids;
  if (int code = openModel(line, line.model, model))
    return code;
  if (int code = readPromptIds(line, model, ids))
    return code;
  if (int code = makeContext(line, model, line.context, context, &sequence))
    return code;
  // Before the prompt is printed.
  if (int code = checkPromptLength(line, context, ids))
    return code;
  if (line.idsFile.empty() && !line.noDisplayPrompt) {
    char *text = nullptr;
    if (auto *error = lowbit_detokenize(model.get(), ids.data(), ids.size(),
                                        /*skip_special=*/1, &text, nullptr))
      return fail(error);
    writeText(text);
    lowbit_free(text);
  }
  Stream stream;
  lowbit_generate_result result{};
  result.size = sizeof(result);
  if (auto *error =
          lowbit_generate(context.get(), sequence, ids.data(), ids.size(),
                          &options, onToken, &stream, &result))
    return fail(error);
  writeText("\n");
  printStatistics(model, context, result, options.seed, stream.firstToken);
  return 0;
}
