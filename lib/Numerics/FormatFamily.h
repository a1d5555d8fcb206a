//===- FormatFamily.h - The table of format names ---------------*- C++ -*-===//
//
// Formats of one kind share a way to be named. A new kind is a file with its
// FormatFamily and a line in WeightFormat.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_FORMATFAMILY_H
#define LOWBIT_LIB_NUMERICS_FORMATFAMILY_H

#include "lowbit/Numerics/WeightFormat.h"

namespace lowbit {

/// A name cut at its hyphens; at least one word.
using NameWords = std::vector<std::string>;

struct FormatFamily {
  /// How its names look.
  const char *syntax;
  /// Whether the first word is one of this family's.
  bool (*owns)(const std::string &word);
  /// The format, or null; then `why` says what a format of the family cannot
  /// be ("bits must be …"), or is empty where the words are not understood.
  FormatPtr (*parse)(const NameWords &words, std::string &why);
};

/// A decimal number without sign or leading zeros, 0 … 999999; −1 for anything
/// else.
int64_t parseCount(const std::string &text);

/// `g<columns>` or `row` (0); −1 for anything else.
int64_t parseGroupWord(const std::string &word);

// The families, each in the file of its format.
extern const FormatFamily integerFamily, microFamily, levelsFamily, freeFamily,
    trellisFamily;

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_FORMATFAMILY_H
