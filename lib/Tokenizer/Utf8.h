//===- Utf8.h - Characters and their bytes ----------------------*- C++ -*-===//
//
// UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above
// U+10FFFF. Text from outside is validated once (findInvalidUtf8); everything
// after that may decode without checks.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_UTF8_H
#define LOWBIT_TOKENIZER_UTF8_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lowbit {

/// Offset of the first byte that is not part of a valid character, if any.
std::optional<size_t> findInvalidUtf8(std::string_view text);

/// The character at `offset` of valid UTF-8; `offset` moves past it.
uint32_t decodeChar(std::string_view text, size_t &offset);

/// The character that ends at `offset` (> 0) of valid UTF-8; `offset` moves to
/// its first byte.
uint32_t decodeCharBefore(std::string_view text, size_t &offset);

/// Appends the UTF-8 of `c`, a code point that is no surrogate.
void appendChar(std::string &out, uint32_t c);

/// Whether all bytes are below 0x80.
bool isAscii(std::string_view text);

/// Turns any bytes, in parts of any size, into valid UTF-8: each maximal
/// invalid part (the Unicode standard, chapter 3, "U+FFFD substitution of
/// maximal subparts") becomes one U+FFFD. A character that is not complete at
/// the end of a part waits for the next one.
class Utf8Repair {
public:
  /// Appends to `out` what `bytes` completes.
  void push(std::string_view bytes, std::string &out);
  /// Appends one U+FFFD if a character is incomplete; starts anew.
  void finish(std::string &out);

private:
  /// The bytes of an incomplete character: at most three.
  std::string pending;
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_UTF8_H
