//===- ApiContext.cpp - C API: contexts, sequences, steps, figures --------===//
#include "Api.h"

#include "lowbit/Runtime/Generate.h"
#include "lowbit/Runtime/Perplexity.h"

using namespace lowbit;

void lowbit_context_options_init(lowbit_context_options *options) {
  *options = {sizeof(*options), 0, 1, 0, -1};
}

lowbit_error *lowbit_context_create(const lowbit_model *model,
                                    const lowbit_context_options *given,
                                    lowbit_context **context) {
  lowbit_context_options options;
  if (auto error = readOptions(given, lowbit_context_options_init, options))
    return toApi(std::move(*error));
  SessionOptions how;
  how.threads = options.threads;
  how.context = options.context;
  how.sequences = options.sequences;
  how.width = options.width;
  auto session = Session::create(model->model, how);
  if (!session)
    return toApi(session.error());
  auto *created = new lowbit_context;
  created->session = std::move(*session);
  *context = created;
  return nullptr;
}

void lowbit_context_free(lowbit_context *context) { delete context; }

int32_t lowbit_context_threads(const lowbit_context *context) {
  return context->session->pool().size();
}
int64_t lowbit_context_positions(const lowbit_context *context) {
  return context->session->context();
}

lowbit_error *lowbit_sequence_create(lowbit_context *context,
                                     int32_t *sequence) {
  std::lock_guard<std::mutex> lock(context->mutex);
  auto added = context->session->addSequence();
  if (!added)
    return toApi(added.error());
  *sequence = *added;
  return nullptr;
}

lowbit_error *lowbit_sequence_free(lowbit_context *context, int32_t sequence) {
  std::lock_guard<std::mutex> lock(context->mutex);
  return toApi(context->session->removeSequence(sequence));
}

lowbit_error *lowbit_sequence_length(lowbit_context *context, int32_t sequence,
                                     int64_t *length) {
  std::lock_guard<std::mutex> lock(context->mutex);
  auto filled = context->session->length(sequence);
  if (!filled)
    return toApi(filled.error());
  *length = *filled;
  return nullptr;
}

lowbit_error *lowbit_sequence_truncate(lowbit_context *context,
                                       int32_t sequence, int64_t length) {
  std::lock_guard<std::mutex> lock(context->mutex);
  return toApi(context->session->truncate(sequence, length));
}

lowbit_error *lowbit_step(lowbit_context *context, const lowbit_row *rows,
                          size_t rowCount, const int32_t *selected,
                          size_t selectedCount, const float **logits) {
  std::lock_guard<std::mutex> lock(context->mutex);
  // Bounds before copies: the session checks them again exactly.
  constexpr size_t most = size_t(1) << 24;
  if (rowCount > most || selectedCount > most)
    return toApi(Error{ExitCode::Usage, "rows: more than 16777216"});
  std::vector<BatchRow> batch;
  for (size_t i = 0; i < rowCount; ++i)
    batch.push_back({rows[i].sequence, rows[i].position, rows[i].id});
  std::vector<int32_t> wanted(selected, selected + selectedCount);
  auto result = context->session->step(batch, wanted);
  if (!result)
    return toApi(result.error());
  *logits = *result;
  return nullptr;
}

lowbit_error *lowbit_run_linear(lowbit_context *context, const char *parameter,
                                const float *x, int64_t rows, int64_t columns,
                                float *y, int64_t outputs) {
  std::lock_guard<std::mutex> lock(context->mutex);
  return toApi(
      context->session->runLinear(parameter, x, rows, columns, y, outputs));
}

void lowbit_sampler_options_init(lowbit_sampler_options *options) {
  SamplerOptions defaults;
  *options = {sizeof(*options), defaults.temperature, defaults.topK,
              defaults.topP, defaults.minP};
}

static SamplerOptions samplerOf(const lowbit_sampler_options &options) {
  return {options.temperature, options.top_k, options.top_p, options.min_p};
}

lowbit_error *lowbit_sampler_check(const lowbit_sampler_options *given) {
  lowbit_sampler_options options;
  if (auto error = readOptions(given, lowbit_sampler_options_init, options))
    return toApi(std::move(*error));
  return toApi(checkSampler(samplerOf(options)));
}

lowbit_error *lowbit_sample(const float *logits, int64_t vocabulary,
                            const lowbit_sampler_options *given, uint64_t seed,
                            uint64_t request, uint64_t position, int32_t *id) {
  lowbit_sampler_options options;
  if (auto error = readOptions(given, lowbit_sampler_options_init, options))
    return toApi(std::move(*error));
  if (vocabulary < 1 || vocabulary > INT32_MAX)
    return toApi(
        Error{ExitCode::Usage, "vocabulary: " + std::to_string(vocabulary) +
                                   " is not in 1…2147483647"});
  if (auto error = checkSampler(samplerOf(options)))
    return toApi(std::move(*error));
  auto drawn =
      sample(logits, vocabulary, samplerOf(options), {seed, request, position});
  if (!drawn)
    return toApi(drawn.error());
  *id = *drawn;
  return nullptr;
}

const char *lowbit_stop_name(int32_t stop) {
  return stopReasonName(static_cast<StopReason>(stop));
}

void lowbit_generate_options_init(lowbit_generate_options *options) {
  *options = {};
  options->size = sizeof(*options);
  lowbit_sampler_options_init(&options->sampler);
  options->max_tokens = -1;
}

lowbit_error *lowbit_generate(lowbit_context *context, int32_t sequence,
                              const int32_t *ids, size_t count,
                              const lowbit_generate_options *given,
                              lowbit_token_callback callback, void *user,
                              lowbit_generate_result *to) {
  std::lock_guard<std::mutex> lock(context->mutex);
  lowbit_generate_options options;
  if (auto error = readOptions(given, lowbit_generate_options_init, options))
    return toApi(std::move(*error));
  GenerateOptions how;
  how.sampler = samplerOf(options.sampler);
  how.maxTokens = options.max_tokens;
  how.seed = options.seed;
  how.request = options.request;
  how.ignoreEnd = options.ignore_end != 0;
  auto made = generate(*context->session, sequence, {ids, ids + count}, how,
                       [&](int32_t id, std::string_view text) {
                         return !callback || callback(user, id, text.data(),
                                                      text.size()) != 0;
                       });
  if (!made)
    return toApi(made.error());
  lowbit_generate_result result{};
  result.stop = static_cast<int32_t>(made->stop);
  result.prompt_tokens = made->promptTokens;
  result.tokens = static_cast<int64_t>(made->tokens.size());
  result.prompt_seconds = made->promptSeconds;
  result.token_seconds = made->tokenSeconds;
  if (to)
    writeFacts(result, to);
  return nullptr;
}

void lowbit_perplexity_options_init(lowbit_perplexity_options *options) {
  *options = {sizeof(*options), 512, LOWBIT_PROTOCOL_EVERY_TOKEN, 0};
}

static Result<PerplexityOptions>
protocolOf(const lowbit_perplexity_options *given, const Session &session) {
  lowbit_perplexity_options options;
  if (auto error = readOptions(given, lowbit_perplexity_options_init, options))
    return *error;
  if (options.protocol != LOWBIT_PROTOCOL_EVERY_TOKEN &&
      options.protocol != LOWBIT_PROTOCOL_LLAMA_CPP)
    return Error{ExitCode::Usage,
                 "protocol: " + std::to_string(options.protocol) +
                     " is not in 0…1"};
  PerplexityOptions how;
  how.context = options.window;
  how.protocol = static_cast<Protocol>(options.protocol);
  how.windows = options.windows;
  how.bos = session.model().manifest().model.bos;
  return how;
}

static Progress progressOf(lowbit_progress progress, void *user) {
  if (!progress)
    return {};
  return [=](int64_t done, int64_t all) { progress(user, done, all); };
}

static lowbit_estimate toApi(const Estimate &estimate) {
  return {estimate.mean, estimate.standardError};
}

static lowbit_perplexity_result toApi(const PerplexityResult &result) {
  return {result.windows, result.scored, toApi(result.nats),
          toApi(result.perplexity)};
}

lowbit_error *lowbit_perplexity(lowbit_context *context, const int32_t *ids,
                                size_t count,
                                const lowbit_perplexity_options *given,
                                lowbit_progress progress, void *user,
                                lowbit_perplexity_result *result) {
  std::lock_guard<std::mutex> lock(context->mutex);
  auto options = protocolOf(given, *context->session);
  if (!options)
    return lowbit::toApi(options.error());
  auto measured = perplexity(*context->session, {ids, ids + count}, *options,
                             progressOf(progress, user));
  if (!measured)
    return lowbit::toApi(measured.error());
  *result = toApi(*measured);
  return nullptr;
}

lowbit_error *lowbit_compare(lowbit_context *mine, lowbit_context *other,
                             const int32_t *ids, size_t count,
                             const lowbit_perplexity_options *given,
                             lowbit_progress progress, void *user,
                             lowbit_comparison_result *result) {
  if (mine == other)
    return lowbit::toApi(
        Error{ExitCode::Usage, "compare: both contexts are the same"});
  std::scoped_lock lock(mine->mutex, other->mutex);
  auto options = protocolOf(given, *mine->session);
  if (!options)
    return lowbit::toApi(options.error());
  auto measured = compare(*mine->session, *other->session, {ids, ids + count},
                          *options, progressOf(progress, user));
  if (!measured)
    return lowbit::toApi(measured.error());
  *result = {toApi(measured->other), toApi(measured->mine),
             toApi(measured->divergence), toApi(measured->difference),
             toApi(measured->sameTop)};
  return nullptr;
}
