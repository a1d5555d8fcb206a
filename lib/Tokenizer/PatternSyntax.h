//===- PatternSyntax.h - The patterns that are understood -------*- C++ -*-===//
//
// Patterns of a tokenizer.json are written for Oniguruma and matched by PCRE2.
// Where the two read a pattern alike it is taken over; anything else is refused
// and named. The subset:
//
//   characters, `.`, \n \r \t \f, \xHH (ASCII), \x{H…}, \uHHHH, \ and
//   punctuation
//   \s \S \d \D, \p{…} \P{…} \p{^…} with a general category (L, Lu, …)
//   [...] of those, with ranges; not nested, no && and no POSIX names
//   alternatives, (?:…) (…) (?i:…) (?=…) (?!…) (?<=…) (?<!…) (?>…), and (?i) as
//   the very first thing
//   ? * + {n} {n,} {n,m}, lazy (not {n}?) or possessive (not braces)
//
// What follows (?i) may hold ASCII letters only, no two of which fold together
// with a ligature (ss, ff, fi, fl, st), and no \p of cased letters.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_PATTERNSYNTAX_H
#define LOWBIT_TOKENIZER_PATTERNSYNTAX_H

#include "UnicodeTables.h"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lowbit {

/// A pattern in PCRE2's own spelling, ASCII only, and what it looks at.
struct PatternSyntax {
  std::string pcre2;
  /// Whether it uses \p, \P, \d or \D; whether it uses \s or \S.
  bool usesCategories = false;
  bool usesSpace = false;
  /// Characters and ranges that it names.
  std::vector<CodePointRange> named;
};

/// Why a pattern is refused; the text ends a sentence ("has …", "is …").
struct PatternRefusal {
  std::string reason;
};

/// Reads a pattern (valid UTF-8).
std::variant<PatternSyntax, PatternRefusal>
readPattern(std::string_view pattern);

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_PATTERNSYNTAX_H
