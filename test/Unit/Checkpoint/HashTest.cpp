//===- HashTest.cpp -------------------------------------------------------===//
#include "lowbit/Checkpoint/Hash.h"

#include <gtest/gtest.h>
#include <vector>

using namespace lowbit;

namespace {
std::string shaText(std::string_view text, bool fast) {
  Sha256 hash(fast);
  hash.update(bytesOf(text));
  return hex(hash.finish());
}
} // namespace

// FIPS 180-4 examples.
TEST(Hash, Sha256OfKnownTexts) {
  for (bool fast : {false, true}) {
    EXPECT_EQ(
        shaText("", fast),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(
        shaText("abc", fast),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(
        shaText("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                fast),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(
        shaText(std::string(1000000, 'a'), fast),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

TEST(Hash, Sha256DoesNotDependOnPieces) {
  std::vector<uint8_t> data(1000);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<uint8_t>(i * 37 + 11);
  for (size_t size = 0; size <= 200; ++size) {
    Sha256Digest whole = sha256({data.data(), size});
    for (size_t piece : {1, 3, 55, 63, 64, 65, 128}) {
      Sha256 plain(false), fast(true);
      for (size_t i = 0; i < size; i += piece) {
        Bytes part{data.data() + i, std::min(piece, size - i)};
        plain.update(part);
        fast.update(part);
      }
      ASSERT_EQ(plain.finish(), whole) << size << " by " << piece;
      ASSERT_EQ(fast.finish(), whole) << size << " by " << piece;
    }
  }
}

// RFC 4231, test cases 1, 2, 3 and 6.
TEST(Hash, HmacOfKnownTexts) {
  EXPECT_EQ(
      hex(hmacSha256(bytesOf(std::string(20, '\x0b')), bytesOf("Hi There"))),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(
      hex(hmacSha256(bytesOf("Jefe"), bytesOf("what do ya want for nothing?"))),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmacSha256(bytesOf(std::string(20, '\xaa')),
                           bytesOf(std::string(50, '\xdd')))),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  EXPECT_EQ(
      hex(hmacSha256(
          bytesOf(std::string(131, '\xaa')),
          bytesOf("Test Using Larger Than Block-Size Key - Hash Key First"))),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// Values of the xxhsum program 0.8.1 (-H2).
TEST(Hash, Xxh128OfKnownTexts) {
  EXPECT_EQ(hex(xxh128(bytesOf(""))), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hex(xxh128(bytesOf("a"))), "a96faf705af16834e6c632b61e964e1f");
  EXPECT_EQ(hex(xxh128(bytesOf("abc"))), "06b05ab6733a618578af5f94892f3950");
}

TEST(Hash, ComparesDigests) {
  Sha256Digest a = sha256(bytesOf("a")), b = a;
  EXPECT_TRUE(equalDigests(a, b));
  b[31] ^= 1;
  EXPECT_FALSE(equalDigests(a, b));
}
