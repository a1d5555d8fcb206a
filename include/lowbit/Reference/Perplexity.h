//===- Perplexity.h - How well a module foretells a text --------*- C++ -*-===//
//
// The project's protocol: windows of `context` tokens, stride equal to the
// number of text tokens in a window, BOS first in every window where the model
// has one, every token after the first scored. With `secondHalf` only the
// second half of each window is scored (llama.cpp's protocol).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_PERPLEXITY_H
#define LOWBIT_REFERENCE_PERPLEXITY_H

#include "lowbit/Reference/Interpreter.h"

#include <optional>

namespace lowbit {

struct PerplexityOptions {
  /// Tokens of a window, BOS included.
  int64_t context = 512;
  /// First token of every window, if any.
  std::optional<int32_t> bos;
  /// At most so many windows; 0: all. A last window that is not full counts.
  int64_t windows = 0;
  /// Score only the second half of each window.
  bool secondHalf = false;
};

struct PerplexityResult {
  /// exp of the mean of −log p over the scored tokens.
  double perplexity = 0;
  double meanNegativeLogLikelihood = 0;
  int64_t scored = 0;
  int64_t windows = 0;
};

/// Measures `interpreter` on a text's ids (without BOS). Log-softmax and sums
/// are in double. Exit 3 for a text too short to score a token.
Result<PerplexityResult> perplexity(Interpreter &interpreter,
                                    const std::vector<int32_t> &ids,
                                    const PerplexityOptions &options);

} // namespace lowbit

#endif // LOWBIT_REFERENCE_PERPLEXITY_H
