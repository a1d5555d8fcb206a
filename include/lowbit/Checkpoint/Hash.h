//===- Hash.h - SHA-256, HMAC-SHA-256, XXH3-128 -----------------*- C++ -*-===//
//
// SHA-256 (FIPS 180-4) says what something is; HMAC (RFC 2104) says who made
// it; XXH3-128 finds damage, fast. Spec.md, section 6, says which is where.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_HASH_H
#define LOWBIT_CHECKPOINT_HASH_H

#include "lowbit/Checkpoint/Bytes.h"
#include "lowbit/Checkpoint/Error.h"

#include <array>
#include <cstdint>
#include <string>

namespace lowbit {

using Sha256Digest = std::array<uint8_t, 32>;
using Xxh128Digest = std::array<uint8_t, 16>;

/// SHA-256 of bytes that come piece by piece.
class Sha256 {
public:
  /// Uses the CPU's SHA instructions where it has them, unless told not to;
  /// the digest is the same.
  explicit Sha256(bool allowInstructions = true);
  void update(Bytes bytes);
  /// The digest of everything so far; ends the object's use.
  Sha256Digest finish();

private:
  std::array<uint32_t, 8> state;
  std::array<uint8_t, 64> block;
  /// Bytes seen in all; bytes waiting in `block`.
  uint64_t length = 0;
  unsigned waiting = 0;
  void (*compress)(uint32_t *state, const uint8_t *blocks, size_t count);
};

/// SHA-256 of `bytes`.
Sha256Digest sha256(Bytes bytes);

/// HMAC-SHA-256 of `message` under `key`.
Sha256Digest hmacSha256(Bytes key, Bytes message);

/// Whether two digests are equal, in a time that does not depend on where they
/// differ.
bool equalDigests(const Sha256Digest &a, const Sha256Digest &b);

/// XXH3-128 with seed 0, in its canonical form (big-endian).
Xxh128Digest xxh128(Bytes bytes);

/// Lower-case hexadecimal digits.
std::string hex(Bytes bytes);
inline std::string hex(const Sha256Digest &digest) {
  return hex(Bytes{digest.data(), digest.size()});
}
inline std::string hex(const Xxh128Digest &digest) {
  return hex(Bytes{digest.data(), digest.size()});
}

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_HASH_H
