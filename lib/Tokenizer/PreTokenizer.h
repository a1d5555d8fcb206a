//===- PreTokenizer.h - Where tokens may not reach across -------*- C++ -*-===//
//
// The `pre_tokenizer` of a tokenizer.json: ByteLevel, Split, Digits, Metaspace,
// and Sequence of them.
//
// Digits: a number is what \p{N} is in Unicode 16.0. (The `tokenizers` package
// takes this from the Rust that built it; 0.23.3 knows 13 numbers more.)
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_PRETOKENIZER_H
#define LOWBIT_TOKENIZER_PRETOKENIZER_H

#include "Pattern.h"
#include "Pieces.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lowbit {

/// What becomes of the matches that cut a text.
enum class SplitBehavior {
  Removed,
  Isolated,
  MergedWithPrevious,
  MergedWithNext,
  Contiguous
};

/// Cuts `size` bytes at `matches`. With `invert` what is between the matches
/// counts as matches. "the-final--word" cut at "-": Removed [the, final, word];
/// Isolated [the, -, final, -, -, word]; MergedWithPrevious [the-, final-, -,
/// word]; MergedWithNext [the, -final, -, -word]; Contiguous [the, -, final,
/// --, word].
std::vector<Span> splitAt(const std::vector<Span> &matches, size_t size,
                          SplitBehavior behavior, bool invert);

/// Steps that cut pieces, in order. Immutable.
class PreTokenizer {
public:
  /// Reads `pre_tokenizer`; absent is no step. Errors: BadInput, Unsupported.
  static Result<PreTokenizer> parse(const JsonField &field);

  /// The pieces after all steps. Error: BadInput when a pattern exceeds its
  /// limits or the text its maximum.
  Result<Pieces> apply(Pieces pieces) const;

  /// Whether a step asks where the prompt begins.
  bool needsStart() const;

private:
  struct Split {
    Pattern pattern;
    SplitBehavior behavior;
    bool invert;
  };
  struct ByteLevel {
    bool addPrefixSpace;
    /// GPT-2's pattern, with `use_regex`.
    std::optional<Split> split;
  };
  struct Metaspace {
    /// One character.
    std::string replacement;
    enum Prepend { Always, First, Never } prepend;
    /// Where to cut, with `split`.
    std::optional<Split> split;
  };
  using Step = std::variant<Split, ByteLevel, Metaspace>;

  Status add(const JsonField &field);
  Status addSequence(const JsonField &field);
  Status addByteLevel(const JsonField &field);
  Status addSplit(const JsonField &field);
  Status addDigits(const JsonField &field);
  Status addMetaspace(const JsonField &field);
  static Result<Metaspace::Prepend> parsePrepend(const JsonField &field);

  static Result<Pieces> cut(Pieces pieces, const Split &split);
  static Result<Pieces> run(Pieces pieces, const Split &step);
  static Result<Pieces> run(Pieces pieces, const ByteLevel &step);
  static Result<Pieces> run(Pieces pieces, const Metaspace &step);

  std::vector<Step> steps;
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_PRETOKENIZER_H
