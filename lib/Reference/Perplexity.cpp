//===- Perplexity.cpp - How well a module foretells a text ------*- C++ -*-===//

#include "lowbit/Reference/Perplexity.h"

#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace lowbit;
using namespace lowbit::reference;

/// −log softmax(logits)[id], in double.
static double negativeLogLikelihood(const HostTensor &logits, int64_t row,
                                    int32_t id) {
  int64_t vocabulary = logits.columns(), first = row * vocabulary;
  double max = logits.at(first);
  for (int64_t i = 1; i < vocabulary; ++i)
    max = std::max(max, logits.at(first + i));
  double sum = 0;
  for (int64_t i = 0; i < vocabulary; ++i)
    sum += std::exp(logits.at(first + i) - max);
  return std::log(sum) + max - logits.at(first + id);
}

/// Tokens `begin … end − 1` of a window are scored, by the logits of the row
/// before each.
static Result<double> scoreWindow(Interpreter &interpreter,
                                  const std::vector<int32_t> &window,
                                  int64_t begin) {
  Batch batch;
  int64_t rows = static_cast<int64_t>(window.size()) - 1;
  batch.ids.assign(window.begin(), window.end() - 1);
  batch.sequences.assign(rows, 0);
  batch.positions.resize(rows);
  std::iota(batch.positions.begin(), batch.positions.end(), 0);
  batch.select.assign(batch.positions.begin() + begin - 1,
                      batch.positions.end());
  interpreter.clearCache();
  Result<HostTensor> logits = interpreter.forward(batch);
  if (!logits)
    return logits.error();
  double sum = 0;
  for (int64_t token = begin; token <= rows; ++token) {
    if (window[token] < 0 || window[token] >= logits->columns())
      return badInput("ids", "",
                      "has the id " + std::to_string(window[token]) +
                          ", must be below " +
                          std::to_string(logits->columns()));
    sum += negativeLogLikelihood(*logits, token - begin, window[token]);
  }
  return sum;
}

namespace {
/// A window and its first scored token.
struct Window {
  std::vector<int32_t> tokens;
  int64_t begin;
};
} // namespace

/// Windows of BOS and new text, all of it scored.
static std::vector<Window> windowsOfText(const std::vector<int32_t> &ids,
                                         const PerplexityOptions &options) {
  std::vector<Window> windows;
  int64_t size = ids.size(), stride = options.context - (options.bos ? 1 : 0);
  for (int64_t first = 0; first < size; first += stride) {
    std::vector<int32_t> tokens;
    if (options.bos)
      tokens.push_back(*options.bos);
    tokens.insert(tokens.end(), ids.begin() + first,
                  ids.begin() + std::min(first + stride, size));
    if (tokens.size() > 1)
      windows.push_back({std::move(tokens), 1});
  }
  return windows;
}

/// Full windows of the text with BOS in front, second halves scored.
static std::vector<Window> windowsOfLlamaCpp(std::vector<int32_t> ids,
                                             const PerplexityOptions &options) {
  if (options.bos)
    ids.insert(ids.begin(), *options.bos);
  std::vector<Window> windows;
  int64_t size = ids.size(), context = options.context;
  for (int64_t first = 0; first + context <= size; first += context) {
    std::vector<int32_t> tokens(ids.begin() + first,
                                ids.begin() + first + context);
    if (options.bos)
      tokens[0] = *options.bos;
    if (context / 2 + 1 < context)
      windows.push_back({std::move(tokens), context / 2 + 1});
  }
  return windows;
}

Result<PerplexityResult>
reference::perplexity(Interpreter &interpreter, const std::vector<int32_t> &ids,
                      const PerplexityOptions &options) {
  if (options.context < 2)
    return badInput("perplexity", "context",
                    "is " + std::to_string(options.context) +
                        ", must be at least 2");
  std::vector<Window> windows = options.llamaCpp
                                    ? windowsOfLlamaCpp(ids, options)
                                    : windowsOfText(ids, options);
  if (options.windows && static_cast<int64_t>(windows.size()) > options.windows)
    windows.resize(options.windows);
  if (windows.empty())
    return badInput("perplexity", "text",
                    "has " + std::to_string(ids.size()) +
                        " tokens, too few to score one");
  PerplexityResult result;
  double sum = 0;
  for (Window &window : windows) {
    result.scored += static_cast<int64_t>(window.tokens.size()) - window.begin;
    Result<double> scored =
        scoreWindow(interpreter, window.tokens, window.begin);
    if (!scored)
      return scored.error();
    sum += *scored;
  }
  result.windows = windows.size();
  result.meanNegativeLogLikelihood = sum / double(result.scored);
  result.perplexity = std::exp(result.meanNegativeLogLikelihood);
  return result;
}
