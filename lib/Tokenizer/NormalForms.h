//===- NormalForms.h - Unicode normalization --------------------*- C++ -*-===//
//
// NFC, NFD, NFKC and NFKD as the `tokenizers` package computes them: by the
// rules and data of Unicode 9.0. Characters that came later neither decompose
// nor combine nor change places. (The four forms are stable: for characters of
// Unicode 9.0 any later data give the same.)
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_NORMALFORMS_H
#define LOWBIT_TOKENIZER_NORMALFORMS_H

#include <string>
#include <string_view>

namespace lowbit {

enum class NormalForm { C, D, KC, KD };

/// The normal form of `text` (valid UTF-8), in O(n log n) also for long runs of
/// combining marks.
std::string normalize(std::string_view text, NormalForm form);

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_NORMALFORMS_H
