//===- Logits.cpp - The logits of a prompt, to a file ---------------------===//
#include "Actions.h"
#include "Terminal.h"

#include "lowbit/Checkpoint/OutputFile.h"

#include <algorithm>
#include <cstdio>

using namespace lowbit;
using namespace lowbit::run;

namespace {

/// Header of a .npy file, version 1.0: a dictionary padded to 64 bytes.
std::string npyHeader(int64_t rows, int64_t columns) {
  std::string dictionary =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
      std::to_string(rows) + ", " + std::to_string(columns) + "), }";
  dictionary.resize((10 + dictionary.size() + 1 + 63) / 64 * 64 - 11, ' ');
  dictionary += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dictionary.size() & 0xFF);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

int failOutput(const Error &error) {
  return fail(static_cast<int>(error.code), error.message);
}

/// Runs all ids in chunks and hands each chunk's logits to `write`.
template <typename Write>
int runAll(const ContextHandle &context, int32_t sequence,
           const std::vector<int32_t> &ids, size_t chunk, Write write) {
  for (size_t at = 0; at < ids.size(); at += chunk) {
    std::vector<lowbit_row> rows;
    std::vector<int32_t> selected;
    for (size_t i = at; i < std::min(at + chunk, ids.size()); ++i) {
      selected.push_back(static_cast<int32_t>(rows.size()));
      rows.push_back({sequence, static_cast<int32_t>(i), ids[i]});
    }
    const float *logits = nullptr;
    if (auto *error = lowbit_step(context.get(), rows.data(), rows.size(),
                                  selected.data(), selected.size(), &logits))
      return fail(error);
    if (int code = write(at, rows.size(), logits))
      return code;
  }
  return 0;
}

} // namespace

int lowbit::run::writeLogits(const CommandLine &line) {
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
  if (int code = checkPromptLength(line, context, ids))
    return code;
  lowbit_model_facts facts = factsOf(model);
  uint64_t rowBytes = static_cast<uint64_t>(facts.vocabulary) * sizeof(float);
  std::string header =
      npyHeader(static_cast<int64_t>(ids.size()), facts.vocabulary);

  OutputOptions options;
  options.replace = true;
  auto output = OutputFile::open(line.logitsFile, options);
  if (!output)
    return failOutput(output.error());
  if (auto error = output->reserve(header.size() + ids.size() * rowBytes))
    return failOutput(*error);
  if (auto error = output->writeAt(0, bytesOf(header)))
    return failOutput(*error);
  ProgressLine progress("logits");
  auto chunk = static_cast<size_t>(std::min(facts.rows, facts.logits));
  int code = runAll(
      context, sequence, ids, chunk,
      [&](size_t at, size_t count, const float *logits) {
        auto error = output->writeAt(
            header.size() + at * rowBytes,
            {reinterpret_cast<const uint8_t *>(logits), count * rowBytes});
        progress.update(static_cast<int64_t>(at + count),
                        static_cast<int64_t>(ids.size()));
        return error ? failOutput(*error) : 0;
      });
  if (code != 0)
    return code;
  if (auto error = output->publish())
    return failOutput(*error);
  return 0;
}
