//===- ByteLevel.h - Bytes written as letters -------------------*- C++ -*-===//
//
// Byte-level vocabularies (GPT-2 and its heirs) spell each byte as one
// printable character: `!`…`~`, U+00A1…U+00AC and U+00AE…U+00FF stand for
// themselves, the other 68 bytes, in order, are U+0100, U+0101, … A space is
// `Ġ` (U+0120).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_BYTELEVEL_H
#define LOWBIT_TOKENIZER_BYTELEVEL_H

#include <string>
#include <string_view>

namespace lowbit {

/// Appends the spelling of `bytes`: one character for each byte.
void appendByteLevel(std::string &out, std::string_view bytes);

/// The bytes that `token` (UTF-8) spells; when one of its characters is none of
/// the 256, the token's own UTF-8.
std::string decodeByteLevel(std::string_view token);

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_BYTELEVEL_H
