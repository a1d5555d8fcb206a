//===- Digest.h - The digests of an artifact, in one place ------*- C++ -*-===//
//
// The rule of Spec.md section 6 that writer and reader share: each tensor is
// cut into chunks of 4 MiB, each chunk has an XXH3-128 of 16 bytes in canonical
// (big-endian) form; the root is SHA-256 over the file's bytes up to the end of
// the header, followed by all chunk digests.
//
//   ChunkDigests digests;
//   for (tensor) { digests.update(bytes)…; digests.endTensor(); }
//   Sha256Digest root = rootDigest(header, bytesOf(digests.bytes()));
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_DIGEST_H
#define LOWBIT_RUNTIME_DIGEST_H

#include "lowbit/Checkpoint/Bytes.h"
#include "lowbit/Checkpoint/Hash.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lowbit {

/// Bytes of one chunk; the last of a tensor may be shorter.
constexpr uint64_t digestChunkBytes = uint64_t(4) << 20;
/// Bytes of one chunk's digest.
constexpr uint64_t chunkDigestBytes = 16;

/// How many chunks a tensor of `size` bytes has; an empty tensor has none.
inline uint64_t chunkCount(uint64_t size) {
  return size / digestChunkBytes + (size % digestChunkBytes != 0);
}

/// The digest of one chunk, at most digestChunkBytes long.
inline Xxh128Digest digestChunk(Bytes chunk) { return xxh128(chunk); }

/// The digests of all chunks of one tensor (padding included), in order.
std::string digestTensor(Bytes tensor);

/// Computes `digest.chunks` while tensors are written: any split of a tensor
/// into calls of update gives the same digests.
class ChunkDigests {
public:
  /// The next bytes of the current tensor.
  void update(Bytes bytes);
  /// The current tensor is complete.
  void endTensor();
  /// The tensor `digest.chunks`: the digests of all complete tensors in order,
  /// then zeros up to a multiple of 64 bytes.
  std::string tensor() const;

private:
  /// The begun chunk of the current tensor.
  std::vector<uint8_t> pending;
  std::string digests;
};

/// SHA-256(header ‖ chunks): `header` is the file from byte 0 to the end of the
/// safetensors header (length word and padding included), `chunks` the whole
/// tensor `digest.chunks`. The 32 bytes are the tensor `digest.root`, the last
/// of the file.
Sha256Digest rootDigest(Bytes header, Bytes chunks);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_DIGEST_H
