//===- Pattern.h - Finding the matches of a pattern -------------*- C++ -*-===//
//
// A pattern of a tokenizer.json: literal text, or a regular expression of the
// subset of PatternSyntax.h. Matches are those of the `tokenizers` package:
// leftmost, not overlapping. A pattern that can match nothing at all (`a*`) is
// refused, so every match moves on.
//
// Regular expressions run in PCRE2 with a limit on steps and on memory, over
// text whose characters are replaced by their stand-ins (UnicodeTables.h) and
// whose UTF-8 is not validated again.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_PATTERN_H
#define LOWBIT_TOKENIZER_PATTERN_H

#include "lowbit/Checkpoint/JsonField.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// A part of a text: bytes begin … end − 1.
struct Span {
  size_t begin;
  size_t end;
};

/// Literal text or a regular expression. Immutable; copies share it.
class Pattern {
public:
  /// From `{"String": …}` or `{"Regex": …}`. Errors: BadInput for anything else
  /// or an empty pattern, Unsupported for a regular expression outside the
  /// subset (the message says where).
  static Result<Pattern> parse(const JsonField &field);
  static Result<Pattern> literal(std::string text, const JsonField &field);
  static Result<Pattern> regex(std::string_view text, const JsonField &field);

  /// All matches in `text` (valid UTF-8), in order. Error: BadInput when the
  /// regular expression exceeds its limits on this text.
  Result<std::vector<Span>> findAll(std::string_view text) const;

  /// Whether every match is exactly one character long.
  bool isOneCharacter() const;

private:
  struct Compiled;
  /// Empty for a regular expression.
  std::string text;
  std::shared_ptr<const Compiled> compiled;
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_PATTERN_H
