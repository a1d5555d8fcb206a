//===- NormalForms.cpp - Unicode normalization ------------------*- C++ -*-===//
//
// utf8proc decomposes single characters and composes; the marks between are
// sorted here, since utf8proc takes quadratic time for a long run of them.
//
//===----------------------------------------------------------------------===//
#include "NormalForms.h"
#include "UnicodeTables.h"
#include "Utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cassert>
#include <vector>

namespace lowbit {
namespace {

using Characters = std::vector<utf8proc_int32_t>;

bool isCompatibility(NormalForm form) {
  return form == NormalForm::KC || form == NormalForm::KD;
}

bool isComposed(NormalForm form) {
  return form == NormalForm::C || form == NormalForm::KC;
}

void appendDecomposed(Characters &out, utf8proc_int32_t c, NormalForm form) {
  // The longest decomposition, of U+FDFA, has 18 characters.
  utf8proc_int32_t parts[32];
  int boundary = 0;
  auto options = static_cast<utf8proc_option_t>(
      UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
      (isCompatibility(form) ? UTF8PROC_COMPAT : 0));
  utf8proc_ssize_t count =
      utf8proc_decompose_char(c, parts, 32, options, &boundary);
  assert(count > 0 && count <= 32 && "a character that does not decompose");
  out.insert(out.end(), parts, parts + count);
}

/// Canonical ordering: each run of marks (combining class not 0) is sorted by
/// class, marks of one class stay in order.
void orderMarks(Characters &characters) {
  auto classOf = [](utf8proc_int32_t c) {
    return static_cast<uint64_t>(utf8proc_get_property(c)->combining_class);
  };
  // Class, place in the run, character: 8, 32 and 24 bits.
  std::vector<uint64_t> keys;
  for (size_t i = 0; i < characters.size(); ++i) {
    size_t begin = i;
    keys.clear();
    for (; i < characters.size() && classOf(characters[i]) != 0; ++i)
      keys.push_back(classOf(characters[i]) << 56 | (i - begin) << 24 |
                     static_cast<uint64_t>(characters[i]));
    if (keys.size() < 2)
      continue;
    std::sort(keys.begin(), keys.end());
    for (size_t k = 0; k < keys.size(); ++k)
      characters[begin + k] = static_cast<utf8proc_int32_t>(keys[k] & 0xFFFFFF);
  }
}

/// Normalizes characters of Unicode 9.0 and appends them.
void appendNormalized(std::string &out, Characters &characters,
                      NormalForm form) {
  orderMarks(characters);
  if (isComposed(form)) {
    utf8proc_ssize_t count = utf8proc_normalize_utf32(
        characters.data(), static_cast<utf8proc_ssize_t>(characters.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    characters.resize(static_cast<size_t>(count));
  }
  for (utf8proc_int32_t c : characters)
    appendChar(out, static_cast<uint32_t>(c));
  characters.clear();
}

} // namespace

std::string normalize(std::string_view text, NormalForm form) {
  if (isAscii(text))
    return std::string(text);
  std::string out;
  out.reserve(text.size());
  Characters characters;
  for (size_t i = 0; i < text.size();) {
    uint32_t c = decodeChar(text, i);
    if (unicode9Ranges.find(c)) {
      appendDecomposed(characters, static_cast<utf8proc_int32_t>(c), form);
      continue;
    }
    appendNormalized(out, characters, form);
    appendChar(out, c);
  }
  appendNormalized(out, characters, form);
  return out;
}

} // namespace lowbit
