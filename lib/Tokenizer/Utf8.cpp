//===- Utf8.cpp - Characters and their bytes --------------------*- C++ -*-===//
//
// See Utf8.h.
//
//===----------------------------------------------------------------------===//
#include "Utf8.h"

#include <algorithm>

namespace lowbit {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD"; // U+FFFD

/// What the bytes at the start of a text are.
struct Prefix {
  enum Kind { Valid, Invalid, Incomplete } kind;
  /// Bytes of the character, or of the maximal invalid part.
  size_t length;
};

bool isBetween(uint8_t byte, uint8_t first, uint8_t last) {
  return byte >= first && byte <= last;
}

/// Table 3-7 of the Unicode standard, well-formed UTF-8 byte sequences: the
/// lead byte decides the length and the range of the second byte.
Prefix classify(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint8_t lead = byte(0);
  if (lead < 0x80)
    return {Prefix::Valid, 1};
  if (!isBetween(lead, 0xC2, 0xF4))
    return {Prefix::Invalid, 1};
  size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint8_t first = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t last = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; ++i, first = 0x80, last = 0xBF) {
    if (i == text.size())
      return {Prefix::Incomplete, i};
    if (!isBetween(byte(i), first, last))
      return {Prefix::Invalid, i};
  }
  return {Prefix::Valid, length};
}

} // namespace

std::optional<size_t> findInvalidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    Prefix prefix = classify(text.substr(i, 4));
    if (prefix.kind != Prefix::Valid)
      return i;
    i += prefix.length;
  }
  return std::nullopt;
}

uint32_t decodeChar(std::string_view text, size_t &offset) {
  auto next = [&] { return static_cast<uint8_t>(text[offset++]); };
  uint32_t lead = next();
  if (lead < 0x80)
    return lead;
  unsigned more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  uint32_t c = lead & (0x3F >> more);
  while (more--)
    c = c << 6 | (next() & 0x3F);
  return c;
}

uint32_t decodeCharBefore(std::string_view text, size_t &offset) {
  do
    --offset;
  while ((static_cast<uint8_t>(text[offset]) & 0xC0) == 0x80);
  size_t end = offset;
  return decodeChar(text, end);
}

void appendChar(std::string &out, uint32_t c) {
  auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80)
    return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

bool isAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

void Utf8Repair::push(std::string_view bytes, std::string &out) {
  std::string joined;
  if (!pending.empty()) {
    joined = pending.append(bytes);
    bytes = joined;
    pending.clear();
  }
  while (!bytes.empty()) {
    Prefix prefix = classify(bytes.substr(0, 4));
    if (prefix.kind == Prefix::Incomplete) {
      pending = bytes;
      return;
    }
    out += prefix.kind == Prefix::Valid ? bytes.substr(0, prefix.length)
                                        : replacement;
    bytes.remove_prefix(prefix.length);
  }
}

void Utf8Repair::finish(std::string &out) {
  if (!pending.empty())
    out += replacement;
  pending.clear();
}

} // namespace lowbit
