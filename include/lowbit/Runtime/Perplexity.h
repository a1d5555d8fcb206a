//===- Perplexity.h - How well a model foretells a text ---------*- C++ -*-===//
//
// Perplexity by a stated protocol, and the comparison of two models on the same
// tokens. Log-softmax and sums are in double, in order of ids and tokens, so
// that figures do not depend on threads.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_PERPLEXITY_H
#define LOWBIT_RUNTIME_PERPLEXITY_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Session.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace lowbit {

/// Which tokens of a text are scored, and after what.
enum class Protocol {
  /// Windows of `context` tokens: BOS (where the model has one), then the next
  /// tokens of the text; every token after the first is scored. The last window
  /// may be shorter.
  EveryToken,
  /// What llama-perplexity does: the text with BOS in front is cut into full
  /// windows of `context` tokens, the first token of each is replaced by BOS,
  /// and those after the first half (context/2 + 1 … context − 1) are scored.
  LlamaCpp,
};

/// How a text is scored.
struct PerplexityOptions {
  /// Tokens of a window, BOS included; at least 2 and at most the session's
  /// context.
  int64_t context = 512;
  Protocol protocol = Protocol::EveryToken;
  std::optional<int32_t> bos;
  /// At most so many windows; 0 is all.
  int64_t windows = 0;
};

/// A window and its first scored token (at least 1).
struct Window {
  std::vector<int32_t> tokens;
  int64_t firstScored = 1;
};

/// Cuts the ids of a text (without BOS) into windows.
std::vector<Window> makeWindows(const std::vector<int32_t> &ids,
                                const PerplexityOptions &options);

/// A mean with the standard error of independent samples.
struct Estimate {
  double mean = 0;
  double standardError = 0;
};

/// Mean and standard error of samples; the error is 0 for fewer than two.
Estimate estimate(const std::vector<double> &samples);

struct PerplexityResult {
  int64_t windows = 0;
  /// Tokens that were scored.
  int64_t scored = 0;
  /// −log p of a token, in nats.
  Estimate nats;
  /// exp of the mean, with its standard error (exp(mean) · error of the mean).
  Estimate perplexity;
};

/// Two models on the same tokens. Intervals of 95 % are ± 1.96 errors; both
/// models see the same tokens, so differences are paired.
struct ComparisonResult {
  /// Of the model compared with, and of this one.
  PerplexityResult other;
  PerplexityResult mine;
  /// KL(other ‖ mine) of a token's distribution, in nats.
  Estimate divergence;
  /// −log p of mine less that of other.
  Estimate difference;
  /// Share of tokens for which both have the same most likely token.
  Estimate sameTop;
};

/// Called after each window with the number done and the number in all.
using Progress = std::function<void(int64_t, int64_t)>;

/// Log of the sum of exponentials of a row of logits, in double; NaN where a
/// logit is not finite.
double logSumExp(const float *logits, int64_t vocabulary);

/// Σ p log(p / q) of the distributions of two rows of logits.
double divergence(const float *p, double pLogSum, const float *q,
                  double qLogSum, int64_t vocabulary);

/// Scores `ids` (of a text, without BOS). Exit 2 for options out of range, 3
/// for a text too short to score a token, 70 for logits that are not finite.
Result<PerplexityResult> perplexity(Session &session,
                                    const std::vector<int32_t> &ids,
                                    const PerplexityOptions &options,
                                    const Progress &progress);

/// Scores `ids` with both; the vocabularies must have equal sizes (exit 2).
Result<ComparisonResult> compare(Session &mine, Session &other,
                                 const std::vector<int32_t> &ids,
                                 const PerplexityOptions &options,
                                 const Progress &progress);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_PERPLEXITY_H
