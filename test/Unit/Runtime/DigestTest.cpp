//===- DigestTest.cpp -----------------------------------------------------===//
#include "lowbit/Runtime/Digest.h"

#include <algorithm>
#include <gtest/gtest.h>

using namespace lowbit;

namespace {
std::string pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>(i * 2654435761u >> 13);
  return text;
}
} // namespace

TEST(Digest, DoesNotDependOnHowATensorIsSplit) {
  for (size_t size : {size_t(0), size_t(1), size_t(64), digestChunkBytes - 1,
                      digestChunkBytes, digestChunkBytes + 1,
                      2 * digestChunkBytes, 2 * digestChunkBytes + 77}) {
    std::string text = pattern(size);
    std::string expected = digestTensor(bytesOf(text));
    EXPECT_EQ(expected.size(), chunkCount(size) * chunkDigestBytes);
    for (size_t step :
         {size_t(1) << 30, digestChunkBytes, size_t(4096), size_t(1000003)}) {
      ChunkDigests digests;
      for (size_t at = 0; at < size; at += std::min(step, size - at))
        digests.update(bytesOf(std::string_view(text).substr(at, step)));
      digests.endTensor();
      std::string tensor = digests.tensor();
      EXPECT_EQ(tensor.size() % 64, 0u);
      EXPECT_EQ(tensor.substr(0, expected.size()), expected);
      EXPECT_EQ(tensor.find_first_not_of('\0', expected.size()),
                std::string::npos);
    }
  }
}

TEST(Digest, TensorsDoNotShareChunks) {
  ChunkDigests digests;
  digests.update(bytesOf("ab"));
  digests.endTensor();
  digests.update(bytesOf("c"));
  digests.endTensor();
  EXPECT_EQ(digests.tensor().substr(0, 32),
            digestTensor(bytesOf("ab")) + digestTensor(bytesOf("c")));
}

TEST(Digest, RootIsOfHeaderThenChunks) {
  EXPECT_EQ(rootDigest(bytesOf("head"), bytesOf("chunks")),
            sha256(bytesOf("headchunks")));
}
