//===- Measure.cpp - Perplexity, and the comparison of two artifacts ------===//
#include "Actions.h"
#include "Terminal.h"

#include <cstdio>

using namespace lowbit::run;

namespace {

/// Half of a 95 % interval.
double interval(const lowbit_estimate &estimate) {
  return 1.96 * estimate.error;
}

void onWindow(void *user, int64_t done, int64_t all) {
  static_cast<ProgressLine *>(user)->update(done, all);
}

struct Protocol {
  long long window, stride;
  const char *bos, *scored;
};

Protocol describe(const lowbit_perplexity_options &options, bool hasBos) {
  bool isLlama = options.protocol == LOWBIT_PROTOCOL_LLAMA_CPP;
  return {options.window, options.window - (hasBos && !isLlama),
          hasBos ? "BOS first" : "no BOS",
          isLlama ? "second half" : "all other tokens"};
}

void printText(const Protocol &protocol,
               const lowbit_perplexity_result &result) {
  printf("protocol: context %lld, stride %lld tokens of text, %s, %s scored\n"
         "%lld windows, %lld tokens scored\n"
         "nats per token: %.6f +/- %.6f\n"
         "perplexity: %.4f +/- %.4f\n",
         protocol.window, protocol.stride, protocol.bos, protocol.scored,
         static_cast<long long>(result.windows),
         static_cast<long long>(result.scored), result.nats.mean,
         result.nats.error, result.perplexity.mean, result.perplexity.error);
}

void printJson(const Protocol &protocol, const lowbit_perplexity_result &result,
               const lowbit_comparison_result *comparison) {
  printf("{\"context\":%lld,\"stride\":%lld,\"bos\":\"%s\",\"scored_tokens\":"
         "\"%s\",\"windows\":%lld,\"scored\":%lld,\"nats\":%.9g,"
         "\"nats_error\":%.9g,\"perplexity\":%.9g,\"perplexity_error\":%.9g",
         protocol.window, protocol.stride, protocol.bos, protocol.scored,
         static_cast<long long>(result.windows),
         static_cast<long long>(result.scored), result.nats.mean,
         result.nats.error, result.perplexity.mean, result.perplexity.error);
  if (comparison)
    printf(",\"other_perplexity\":%.9g,\"divergence\":%.9g,"
           "\"divergence_interval\":%.9g,\"difference\":%.9g,"
           "\"difference_interval\":%.9g,\"same_top\":%.9g,"
           "\"same_top_interval\":%.9g",
           comparison->other.perplexity.mean, comparison->divergence.mean,
           interval(comparison->divergence), comparison->difference.mean,
           interval(comparison->difference), comparison->same_top.mean,
           interval(comparison->same_top));
  printf("}\n");
}

int compareWith(const CommandLine &line, const ContextHandle &mine,
                const std::vector<int32_t> &ids,
                const lowbit_perplexity_options &options,
                const Protocol &protocol) {
  ModelHandle model;
  ContextHandle other;
  if (int code = openModel(line, line.compareWith, model))
    return code;
  if (int code = makeContext(line, model, 0, other, nullptr))
    return code;
  lowbit_comparison_result result{};
  {
    ProgressLine progress("windows");
    if (auto *error =
            lowbit_compare(mine.get(), other.get(), ids.data(), ids.size(),
                           &options, onWindow, &progress, &result))
      return failScoring(line, error);
  }
  if (line.format == "json") {
    printJson(protocol, result.mine, &result);
    return 0;
  }
  printText(protocol, result.mine);
  printf("other perplexity: %.4f +/- %.4f\n"
         "KL(other || this): %.6f +/- %.6f nats per token (95 %%)\n"
         "difference of nats per token: %+.6f +/- %.6f (95 %%, paired)\n"
         "same most likely token: %.3f +/- %.3f %% (95 %%)\n",
         result.other.perplexity.mean, result.other.perplexity.error,
         result.divergence.mean, interval(result.divergence),
         result.difference.mean, interval(result.difference),
         100 * result.same_top.mean, 100 * interval(result.same_top));
  return 0;
}

} // namespace

int lowbit::run::measurePerplexity(const CommandLine &line) {
  ModelHandle model;
  ContextHandle context;
  std::vector<int32_t> ids;
  if (int code = openModel(line, line.model, model))
    return code;
  if (int code = readScoredText(line, model, ids))
    return code;
  if (int code = makeContext(line, model, 0, context, nullptr))
    return code;
  lowbit_perplexity_options options;
  lowbit_perplexity_options_init(&options);
  if (line.context != 0)
    options.window = line.context;
  options.windows = line.windows;
  if (line.protocol == "llama.cpp")
    options.protocol = LOWBIT_PROTOCOL_LLAMA_CPP;
  Protocol protocol = describe(options, factsOf(model).bos >= 0);
  if (!line.compareWith.empty())
    return compareWith(line, context, ids, options, protocol);
  lowbit_perplexity_result result{};
  double begun = sinceStart();
  {
    ProgressLine progress("windows");
    if (auto *error = lowbit_perplexity(context.get(), ids.data(), ids.size(),
                                        &options, onWindow, &progress, &result))
      return failScoring(line, error);
  }
  if (line.format == "json")
    printJson(protocol, result, nullptr);
  else
    printText(protocol, result);
  double elapsed = sinceStart() - begun;
  fprintf(stderr, "%.1f s, %.1f tokens/s\n", elapsed,
          static_cast<double>(result.scored) / elapsed);
  return 0;
}
