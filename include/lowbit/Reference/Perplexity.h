//===- Perplexity.h - How well a module foretells a text --------*- C++ -*-===//
//
// The project's protocol: windows of `context` tokens, BOS (where the model has
// one) and then the next tokens of the text; every token after the first is
// scored; the last window may be shorter. llama.cpp's: the text with BOS in
// front is cut into full windows, the first token of each is replaced by BOS,
// and tokens context/2 + 1 … context − 1 of each are scored.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_PERPLEXITY_H
#define LOWBIT_REFERENCE_PERPLEXITY_H

#include "lowbit/Reference/Interpreter.h"

#include <optional>

namespace lowbit::reference {

struct PerplexityOptions {
  /// Tokens of a window, BOS included; at least 2.
  int64_t context = 512;
  /// First token of every window, if any.
  std::optional<int32_t> bos;
  /// At most so many windows; 0: all.
  int64_t windows = 0;
  /// llama.cpp's protocol.
  bool llamaCpp = false;
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

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_PERPLEXITY_H
