//===- Bench.cpp - Tokens per second, as llama-bench shows them -----------===//
#include "Actions.h"
#include "Terminal.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace lowbit::run;

namespace {

/// One line of the table.
struct Row {
  std::string test;
  int64_t promptTokens, madeTokens;
  /// Tokens per second of each repetition.
  std::vector<double> samples;

  double mean() const {
    double sum = 0;
    for (double sample : samples)
      sum += sample;
    return sum / static_cast<double>(samples.size());
  }
  double deviation() const {
    double sum = 0, middle = mean();
    for (double sample : samples)
      sum += (sample - middle) * (sample - middle);
    return samples.size() < 2
               ? 0
               : std::sqrt(sum / static_cast<double>(samples.size() - 1));
  }
};

/// Runs steps of known ids: what is measured is neither sampling nor text.
class Benchmark {
public:
  Benchmark(const ContextHandle &context, int32_t sequence,
            const lowbit_model_facts &facts)
      : context(context), sequence(sequence), facts(facts) {}

  /// A prompt in chunks as large as the plan takes, logits of its end.
  lowbit_error *prompt(int64_t tokens) {
    for (int64_t at = 0; at < tokens; at += facts.rows)
      if (auto *error = step(at, std::min(facts.rows, tokens - at),
                             at + facts.rows >= tokens))
        return error;
    return nullptr;
  }
  /// One token after another, logits of each.
  lowbit_error *text(int64_t tokens) {
    for (int64_t at = 0; at < tokens; ++at)
      if (auto *error = step(at, 1, true))
        return error;
    return nullptr;
  }

private:
  lowbit_error *step(int64_t position, int64_t count, bool wantLogits) {
    rows.clear();
    for (int64_t i = position; i < position + count; ++i)
      rows.push_back({sequence, static_cast<int32_t>(i),
                      static_cast<int32_t>(i * 7919 % facts.vocabulary)});
    auto last = static_cast<int32_t>(count - 1);
    const float *logits = nullptr;
    return lowbit_step(context.get(), rows.data(), rows.size(), &last,
                       wantLogits ? 1 : 0, &logits);
  }

  const ContextHandle &context;
  const int32_t sequence;
  const lowbit_model_facts &facts;
  std::vector<lowbit_row> rows;
};

/// Warms up once, then measures.
template <typename Work>
int measure(Row &row, int64_t repetitions, int64_t tokens, Work work) {
  ProgressLine progress(row.test);
  for (int64_t i = -1; i < repetitions; ++i) {
    double begun = sinceStart();
    if (auto *error = work())
      return fail(error);
    if (i >= 0)
      row.samples.push_back(static_cast<double>(tokens) /
                            (sinceStart() - begun));
    progress.update(i + 2, repetitions + 1);
  }
  return 0;
}

void printTable(const std::vector<Row> &rows, const std::string &path,
                const lowbit_model_facts &facts, int threads) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  printf("| model | size | params | bits | threads | variant | weights | test "
         "| t/s |\n| --- | ---: | ---: | ---: | ---: | --- | --- | ---: | ---: "
         "|\n");
  for (const Row &row : rows)
    printf("| %s | %s | %.2f M | %.2f | %d | %s | %s | %s | %.2f ± %.2f |\n",
           name.c_str(),
           readableBytes(static_cast<double>(facts.file_bytes)).c_str(),
           static_cast<double>(facts.parameters) / 1e6, facts.linear_bits,
           threads, lowbit_variant_name(static_cast<uint32_t>(facts.variant)),
           facts.mapped ? "map" : "copy", row.test.c_str(), row.mean(),
           row.deviation());
}

/// A JSON string; paths may hold anything.
std::string quotedJson(const std::string &text) {
  std::string result = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    char escape[8];
    snprintf(escape, sizeof(escape), "\\u%04x", byte);
    if (byte < 0x20)
      result += escape;
    else
      result +=
          (c == '"' || c == '\\') ? std::string("\\") + c : std::string(1, c);
  }
  return result + "\"";
}

void printJson(const std::vector<Row> &rows, const std::string &path,
               const lowbit_model_facts &facts, int threads) {
  printf("[");
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row &row = rows[i];
    printf("%s{\"model\":%s,\"version\":\"%s\",\"file_bytes\":%lld,"
           "\"weight_bytes\":%lld,\"parameters\":%lld,\"linear_bits\":%.6g,"
           "\"model_bits\":%.6g,\"threads\":%d,\"variant\":\"%s\","
           "\"weights\":\"%s\",\"test\":\"%s\",\"n_prompt\":%lld,\"n_gen\":"
           "%lld,\"avg_ts\":%.6g,\"stddev_ts\":%.6g,\"samples_ts\":[",
           i ? ",\n" : "\n", quotedJson(path).c_str(), lowbit_version(),
           static_cast<long long>(facts.file_bytes),
           static_cast<long long>(facts.weight_bytes),
           static_cast<long long>(facts.parameters), facts.linear_bits,
           facts.model_bits, threads,
           lowbit_variant_name(static_cast<uint32_t>(facts.variant)),
           facts.mapped ? "map" : "copy", row.test.c_str(),
           static_cast<long long>(row.promptTokens),
           static_cast<long long>(row.madeTokens), row.mean(), row.deviation());
    for (size_t k = 0; k < row.samples.size(); ++k)
      printf("%s%.6g", k ? "," : "", row.samples[k]);
    printf("]}");
  }
  printf("\n]\n");
}

} // namespace

int lowbit::run::runBenchmark(const CommandLine &line) {
  ModelHandle model;
  ContextHandle context;
  int32_t sequence = 0;
  if (int code = openModel(line, line.model, model))
    return code;
  lowbit_model_facts facts = factsOf(model);
  int64_t needed = std::max(line.benchPrompt, line.benchTokens);
  if (needed > facts.context)
    return fail(2, "--pp and --tg: " + std::to_string(needed) +
                       " tokens exceed the context of " +
                       std::to_string(facts.context));
  if (int code = makeContext(line, model, line.context ? line.context : needed,
                             context, &sequence))
    return code;
  Benchmark benchmark(context, sequence, facts);
  std::vector<Row> rows;
  if (line.benchPrompt > 0) {
    rows.push_back(
        {"pp" + std::to_string(line.benchPrompt), line.benchPrompt, 0, {}});
    if (int code = measure(rows.back(), line.repetitions, line.benchPrompt,
                           [&] { return benchmark.prompt(line.benchPrompt); }))
      return code;
  }
  if (line.benchTokens > 0) {
    rows.push_back(
        {"tg" + std::to_string(line.benchTokens), 0, line.benchTokens, {}});
    if (int code = measure(rows.back(), line.repetitions, line.benchTokens,
                           [&] { return benchmark.text(line.benchTokens); }))
      return code;
  }
  int threads = lowbit_context_threads(context.get());
  if (line.format == "json")
    printJson(rows, line.model, facts, threads);
  else
    printTable(rows, line.model, facts, threads);
  return 0;
}
