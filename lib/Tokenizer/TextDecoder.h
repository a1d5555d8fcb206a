//===- TextDecoder.h - From token texts to text -----------------*- C++ -*-===//
//
// The `decoder` of a tokenizer.json: ByteLevel; or any of Replace (literal
// text), ByteFallback, Metaspace and Strip, then Fuse and Strip; in a Sequence
// or alone. Without a decoder tokens are joined by spaces.
//
// A TextDecoder says what to do, a TextStream does it, one token at a time.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_TEXTDECODER_H
#define LOWBIT_TOKENIZER_TEXTDECODER_H

#include "Utf8.h"

#include "lowbit/Checkpoint/JsonField.h"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lowbit {

/// What turns token texts into text. Immutable.
class TextDecoder {
public:
  /// Reads `decoder`. Errors: BadInput, Unsupported (unknown types, an order
  /// other than above, Strip from the end, Replace by regular expression).
  static Result<TextDecoder> parse(const JsonField &field);

private:
  friend class TextStream;

  struct Replace {
    std::string from;
    std::string to;
  };
  /// Runs of `<0xHH>` become their bytes.
  struct ByteFallback {};
  /// `replacement` (one character) becomes a space; in the first token nothing
  /// if `dropFirst`.
  struct Metaspace {
    std::string replacement;
    bool dropFirst;
  };
  /// Up to `count` times `content` (one character) at the start vanish.
  struct Strip {
    std::string content;
    size_t count = 0;
  };
  using Step = std::variant<Replace, ByteFallback, Metaspace, Strip>;

  Status add(const JsonField &field);
  Status addSequence(const JsonField &field);
  Status addReplace(const JsonField &field);
  Status addMetaspace(const JsonField &field);
  Status addStrip(const JsonField &field);

  /// How what comes out of the steps is put together.
  enum { JoinedBySpaces, ByteLevel, Joined } mode = JoinedBySpaces;
  /// Done to each token.
  std::vector<Step> steps;
  /// Whether Fuse was seen, and what is stripped from its result.
  bool fused = false;
  Strip stripFused;
};

/// A sequence of tokens on its way to text. What is written, put together, is
/// valid UTF-8 and the decoded sequence.
class TextStream {
public:
  /// `decoder` must stay.
  explicit TextStream(const TextDecoder &decoder);

  /// Appends to `out` what `token` completes.
  void push(std::string_view token, std::string &out);
  /// Appends what was held back; the stream then is as new.
  void finish(std::string &out);

private:
  /// What a step remembers.
  struct Memory {
    /// ByteFallback: the run of bytes so far.
    std::string bytes;
    /// Metaspace: whether a token came already.
    bool started = false;
  };
  /// Passes `token` through the steps from number `step` on.
  void pass(size_t step, std::string token, std::string &out);
  /// Ends the run of bytes of step number `step`, a ByteFallback.
  void passBytes(size_t step, std::string &out);
  /// Takes a token that went through all steps.
  void write(std::string_view text, std::string &out);

  const TextDecoder *decoder;
  std::vector<Memory> memories;
  Utf8Repair repair;
  /// How often `stripFused` may still strip.
  size_t strips;
  bool started = false;
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_TEXTDECODER_H
