//===- ByteLevel.cpp - Bytes written as letters -----------------*- C++ -*-===//
//
// See ByteLevel.h.
//
//===----------------------------------------------------------------------===//
#include "ByteLevel.h"
#include "Utf8.h"

#include <array>

namespace lowbit {
namespace {

constexpr bool standsForItself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

/// The character of each byte, and back: entry c is 1 + the byte that character
/// c stands for, 0 if it stands for none.
struct Alphabet {
  std::array<uint16_t, 256> charOf{};
  std::array<uint16_t, 256 + 68> byteOf{};

  constexpr Alphabet() {
    unsigned next = 256;
    for (unsigned byte = 0; byte < 256; ++byte) {
      unsigned c = standsForItself(byte) ? byte : next++;
      charOf[byte] = static_cast<uint16_t>(c);
      byteOf[c] = static_cast<uint16_t>(byte + 1);
    }
  }
};

constexpr Alphabet alphabet;

} // namespace

void appendByteLevel(std::string &out, std::string_view bytes) {
  for (char byte : bytes)
    appendChar(out, alphabet.charOf[static_cast<uint8_t>(byte)]);
}

std::string decodeByteLevel(std::string_view token) {
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    uint32_t c = decodeChar(token, i);
    if (c >= alphabet.byteOf.size() || alphabet.byteOf[c] == 0)
      return std::string(token);
    bytes.push_back(static_cast<char>(alphabet.byteOf[c] - 1));
  }
  return bytes;
}

} // namespace lowbit
