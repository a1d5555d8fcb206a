//===- UnicodeTables.h - Properties of characters ---------------*- C++ -*-===//
//
// The tables follow the `tokenizers` package: its regular expressions know
// Unicode 16.0, its normalization forms Unicode 9.0. PCRE2 10.42 knows 14.0, so
// a character that it may see otherwise has a stand-in: an old character of the
// same general category and the same length in UTF-8. Text whose characters
// are replaced by their stand-ins matches a pattern of categories alike, at the
// same offsets, whichever version PCRE2 knows.
//
// scripts/make_unicode_tables.py writes the tables and checks them.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_UNICODETABLES_H
#define LOWBIT_TOKENIZER_UNICODETABLES_H

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace lowbit {

/// Code points first … last, both included.
struct CodePointRange {
  uint32_t first;
  uint32_t last;
};

/// Code points first … last and the character that stands for them.
struct StandInRange {
  uint32_t first;
  uint32_t last;
  uint32_t standIn;
};

/// A sorted table of disjoint ranges.
template <typename Range> struct RangeTable {
  const Range *data;
  size_t size;

  const Range *begin() const { return data; }
  const Range *end() const { return data + size; }

  /// The range that holds c, or the null pointer.
  const Range *find(uint32_t c) const {
    const Range *it =
        std::lower_bound(begin(), end(), c, [](const Range &range, uint32_t c) {
          return range.last < c;
        });
    return it != end() && it->first <= c ? it : nullptr;
  }
};

/// Characters whose category PCRE2 may not know, and U+180E, which PCRE2
/// counts as white space.
extern const RangeTable<StandInRange> standInRanges;
/// Characters of Unicode 9.0.
extern const RangeTable<CodePointRange> unicode9Ranges;
/// Word characters (\w) of Rust's regex crate at Unicode 16.0.
extern const RangeTable<CodePointRange> wordRanges;
/// White space (\s).
extern const RangeTable<CodePointRange> spaceRanges;

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_UNICODETABLES_H
