//===- Digest.cpp - The digests of an artifact, in one place --------------===//
#include "lowbit/Runtime/Digest.h"

#include <algorithm>

using namespace lowbit;

static void append(std::string &digests, Bytes chunk) {
  Xxh128Digest digest = digestChunk(chunk);
  digests.append(reinterpret_cast<const char *>(digest.data()), digest.size());
}

std::string lowbit::digestTensor(Bytes tensor) {
  std::string digests;
  for (uint64_t at = 0; at < tensor.size; at += digestChunkBytes)
    append(digests,
           {tensor.data + at, std::min(digestChunkBytes, tensor.size - at)});
  return digests;
}

void ChunkDigests::update(Bytes bytes) {
  while (bytes.size > 0) {
    // Whole chunks need no copy.
    uint64_t count =
        std::min(bytes.size, digestChunkBytes - uint64_t(pending.size()));
    if (count == digestChunkBytes) {
      append(digests, {bytes.data, count});
    } else {
      pending.insert(pending.end(), bytes.data, bytes.data + count);
      if (pending.size() == digestChunkBytes)
        endTensor();
    }
    bytes = {bytes.data + count, bytes.size - count};
  }
}

void ChunkDigests::endTensor() {
  if (!pending.empty())
    append(digests, {pending.data(), pending.size()});
  pending.clear();
}

std::string ChunkDigests::tensor() const {
  std::string padded = digests;
  padded.resize((padded.size() + 63) / 64 * 64, '\0');
  return padded;
}

Sha256Digest lowbit::rootDigest(Bytes header, Bytes chunks) {
  Sha256 hash;
  hash.update(header);
  hash.update(chunks);
  return hash.finish();
}
