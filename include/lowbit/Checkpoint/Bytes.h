//===- Bytes.h - A view of bytes that cannot be left ------------*- C++ -*-===//
//
// Pointer and length, and one way to take a part of it, which checks.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_BYTES_H
#define LOWBIT_CHECKPOINT_BYTES_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace lowbit {

/// Bytes that somebody else owns; valid as long as the owner is.
struct Bytes {
  const uint8_t *data = nullptr;
  uint64_t size = 0;

  /// The `count` bytes from `offset` on, or nothing where they are not all
  /// inside. Never computes offset + count.
  std::optional<Bytes> sub(uint64_t offset, uint64_t count) const {
    if (offset > size || count > size - offset)
      return std::nullopt;
    return Bytes{data + offset, count};
  }

  /// The same bytes as text (nothing is checked about the characters).
  std::string_view text() const {
    return {reinterpret_cast<const char *>(data), static_cast<size_t>(size)};
  }
};

/// The bytes of `text`.
inline Bytes bytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_BYTES_H
