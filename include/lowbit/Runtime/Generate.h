//===- Generate.h - Text, token by token ------------------------*- C++ -*-===//
//
// Reads a prompt and draws tokens until the text ends, the number asked for is
// reached, or the context is full.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_GENERATE_H
#define LOWBIT_RUNTIME_GENERATE_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Sampler.h"
#include "lowbit/Runtime/Session.h"

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace lowbit {

/// How text is made.
struct GenerateOptions {
  SamplerOptions sampler;
  /// Tokens to make; −1 until text or context end.
  int64_t maxTokens = -1;
  uint64_t seed = 0;
  /// Which of several texts with the same seed this is.
  uint64_t request = 0;
  /// Go on after an end-of-text token.
  bool ignoreEnd = false;
};

/// Why a text ended.
enum class StopReason {
  /// The model ended it.
  End,
  /// maxTokens were made.
  MaxTokens,
  /// The context is full (`length`).
  Length,
  /// The callback said so.
  Cancelled,
};

/// `end`, `max_tokens`, `length`, `cancelled`.
const char *stopReasonName(StopReason reason);

struct GenerateResult {
  StopReason stop = StopReason::End;
  int64_t promptTokens = 0;
  /// Tokens that were made, without the end-of-text token.
  std::vector<int32_t> tokens;
  /// Seconds for the prompt, up to the first token's logits; seconds for the
  /// forward passes and draws after that.
  double promptSeconds = 0;
  double tokenSeconds = 0;
};

/// Gets each token with the text that it completes (valid UTF-8, may be empty;
/// the last call has id −1 and the text held back). False stops.
using TokenCallback = std::function<bool(int32_t id, std::string_view text)>;

/// Appends `prompt` to the sequence and makes text after it. Exit 2 for options
/// out of range, an empty prompt, or one that exceeds the context.
Result<GenerateResult> generate(Session &session, int32_t sequence,
                                const std::vector<int32_t> &prompt,
                                const GenerateOptions &options,
                                const TokenCallback &callback);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_GENERATE_H
