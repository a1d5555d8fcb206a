//===- Generate.cpp - Text, token by token --------------------------------===//
#include "lowbit/Runtime/Generate.h"

#include "lowbit/Tokenizer/Decoder.h"

#include <algorithm>
#include <chrono>

using namespace lowbit;

const char *lowbit::stopReasonName(StopReason reason) {
  switch (reason) {
  case StopReason::End:
    return "end";
  case StopReason::MaxTokens:
    return "max_tokens";
  case StopReason::Length:
    return "length";
  case StopReason::Cancelled:
    return "cancelled";
  }
  return "";
}

static double seconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// The text that a token completes. The model may have more logits than the
/// tokenizer has ids (a padded vocabulary); those have no text.
static std::string textOf(Decoder &decoder, int32_t id) {
  auto text = decoder.push(id);
  return text ? std::move(*text) : std::string();
}

Result<GenerateResult> lowbit::generate(Session &session, int32_t sequence,
                                        const std::vector<int32_t> &prompt,
                                        const GenerateOptions &options,
                                        const TokenCallback &callback) {
  if (auto error = checkSampler(options.sampler))
    return *error;
  if (options.maxTokens < -1)
    return Error{ExitCode::Usage,
                 "n-predict: " + std::to_string(options.maxTokens) +
                     " is not in -1…"};
  GenerateResult result;
  double start = seconds();
  auto logits = session.append(sequence, prompt);
  if (!logits)
    return logits.error();
  result.promptTokens = static_cast<int64_t>(prompt.size());
  double afterPrompt = seconds();
  result.promptSeconds = afterPrompt - start;

  const std::vector<int32_t> &ends = session.model().manifest().model.eos;
  Decoder decoder(session.model().tokenizer(), /*skipSpecial=*/true);
  for (;;) {
    if (static_cast<int64_t>(result.tokens.size()) == options.maxTokens) {
      result.stop = StopReason::MaxTokens;
      break;
    }
    auto length = session.length(sequence);
    if (!length)
      return length.error();
    DrawKey key{options.seed, options.request, static_cast<uint64_t>(*length)};
    auto id = sample(*logits, session.vocabulary(), options.sampler, key);
    if (!id)
      return id.error();
    bool isEnd = std::find(ends.begin(), ends.end(), *id) != ends.end();
    if (isEnd && !options.ignoreEnd) {
      result.stop = StopReason::End;
      break;
    }
    result.tokens.push_back(*id);
    if (!callback(*id, textOf(decoder, *id))) {
      result.stop = StopReason::Cancelled;
      break;
    }
    if (static_cast<int64_t>(result.tokens.size()) == options.maxTokens)
      continue;
    if (*length >= session.context()) {
      result.stop = StopReason::Length;
      break;
    }
    logits = session.append(sequence, {*id});
    if (!logits)
      return logits.error();
  }
  if (result.stop != StopReason::Cancelled)
    callback(-1, decoder.finish());
  result.tokenSeconds = seconds() - afterPrompt;
  return result;
}
