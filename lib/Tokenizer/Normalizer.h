//===- Normalizer.h - What is done to a text before it is cut ---*- C++ -*-===//
//
// The `normalizer` of a tokenizer.json: NFC, NFD, NFKC, NFKD, Prepend, Replace,
// and Sequence of them.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_NORMALIZER_H
#define LOWBIT_TOKENIZER_NORMALIZER_H

#include "NormalForms.h"
#include "Pattern.h"

#include <string>
#include <variant>
#include <vector>

namespace lowbit {

/// Steps that change a text, in order. Immutable.
class Normalizer {
public:
  /// Reads `normalizer`; absent is no step. Errors: BadInput, Unsupported.
  static Result<Normalizer> parse(const JsonField &field);

  /// The normalized `text` (valid UTF-8; so is the result). Error: BadInput
  /// when a pattern exceeds its limits or the text its maximum.
  Result<std::string> apply(std::string_view text) const;

  bool isEmpty() const { return steps.empty(); }

  /// Whether the first character of a result comes from the first character of
  /// the text, whatever the text.
  bool keepsStart() const;

private:
  struct Prepend {
    std::string text;
  };
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  using Step = std::variant<NormalForm, Prepend, Replace>;

  Status add(const JsonField &field);
  Status addSequence(const JsonField &field);

  std::vector<Step> steps;
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_NORMALIZER_H
