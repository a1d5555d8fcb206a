//===- Hash.cpp - SHA-256, HMAC-SHA-256, XXH3-128 -------------------------===//
#include "lowbit/Checkpoint/Hash.h"

#include <algorithm>
#include <cstring>
#include <xxhash.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

using namespace lowbit;

namespace {

/// FIPS 180-4, 4.2.2.
alignas(64) constexpr uint32_t roundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t rotateRight(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

/// FIPS 180-4, 6.2.2, with its letters.
void compressPlain(uint32_t *state, const uint8_t *blocks, size_t count) {
  for (; count > 0; --count, blocks += 64) {
    uint32_t w[64];
    for (int t = 0; t < 16; ++t)
      w[t] = uint32_t(blocks[4 * t]) << 24 | uint32_t(blocks[4 * t + 1]) << 16 |
             uint32_t(blocks[4 * t + 2]) << 8 | blocks[4 * t + 3];
    for (int t = 16; t < 64; ++t) {
      uint32_t s0 = rotateRight(w[t - 15], 7) ^ rotateRight(w[t - 15], 18) ^
                    w[t - 15] >> 3;
      uint32_t s1 = rotateRight(w[t - 2], 17) ^ rotateRight(w[t - 2], 19) ^
                    w[t - 2] >> 10;
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; ++t) {
      uint32_t sum1 =
          rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25);
      uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + roundConstants[t] + w[t];
      uint32_t sum0 =
          rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22);
      uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
}

#if defined(__x86_64__)
bool hasShaInstructions() {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29)) &&
         __builtin_cpu_supports("sse4.1");
}

/// The same rounds by the CPU's instructions, which keep the state as
/// (a, b, e, f) and (c, d, g, h), highest lane first.
__attribute__((target("sha,sse4.1"))) void
compressFast(uint32_t *state, const uint8_t *blocks, size_t count) {
  const __m128i swap =
      _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  __m128i low = _mm_loadu_si128(reinterpret_cast<__m128i *>(state));
  __m128i high = _mm_loadu_si128(reinterpret_cast<__m128i *>(state + 4));
  __m128i badc = _mm_shuffle_epi32(low, 0xB1);
  __m128i hgfe = _mm_shuffle_epi32(high, 0x1B);
  __m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
  __m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xF0);
  for (; count > 0; --count, blocks += 64) {
    __m128i abefBefore = abef, cdghBefore = cdgh;
    // w[i % 4] holds the schedule's words 4i … 4i+3.
    __m128i w[4];
    for (int i = 0; i < 16; ++i) {
      if (i < 4) {
        w[i] = _mm_shuffle_epi8(
            _mm_loadu_si128(reinterpret_cast<const __m128i *>(blocks + 16 * i)),
            swap);
      } else {
        __m128i &w0 = w[i % 4], w1 = w[(i + 1) % 4], w2 = w[(i + 2) % 4],
                w3 = w[(i + 3) % 4];
        __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1),
                                    _mm_alignr_epi8(w3, w2, 4));
        w0 = _mm_sha256msg2_epu32(sum, w3);
      }
      __m128i wk = _mm_add_epi32(
          w[i % 4], _mm_load_si128(reinterpret_cast<const __m128i *>(
                        roundConstants + 4 * i)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0E));
    }
    abef = _mm_add_epi32(abef, abefBefore);
    cdgh = _mm_add_epi32(cdgh, cdghBefore);
  }
  __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(reinterpret_cast<__m128i *>(state),
                   _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(reinterpret_cast<__m128i *>(state + 4),
                   _mm_alignr_epi8(dchg, feba, 8));
}
#endif

} // namespace

Sha256::Sha256(bool allowInstructions)
    : state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
      block{}, compress(compressPlain) {
#if defined(__x86_64__)
  if (allowInstructions && hasShaInstructions())
    compress = compressFast;
#endif
}

void Sha256::update(Bytes bytes) {
  length += bytes.size;
  const uint8_t *data = bytes.data;
  uint64_t left = bytes.size;
  if (waiting > 0) {
    size_t taken = static_cast<size_t>(std::min<uint64_t>(64 - waiting, left));
    if (taken > 0)
      memcpy(block.data() + waiting, data, taken);
    waiting += static_cast<unsigned>(taken);
    data += taken;
    left -= taken;
    if (waiting < 64)
      return;
    compress(state.data(), block.data(), 1);
    waiting = 0;
  }
  if (left >= 64)
    compress(state.data(), data, static_cast<size_t>(left / 64));
  data += left / 64 * 64;
  waiting = static_cast<unsigned>(left % 64);
  if (waiting > 0)
    memcpy(block.data(), data, waiting);
}

Sha256Digest Sha256::finish() {
  uint64_t bits = length * 8;
  std::array<uint8_t, 128> tail{};
  memcpy(tail.data(), block.data(), waiting);
  tail[waiting] = 0x80;
  size_t blocks = waiting < 56 ? 1 : 2;
  for (int i = 0; i < 8; ++i)
    tail[blocks * 64 - 1 - i] = static_cast<uint8_t>(bits >> (8 * i));
  compress(state.data(), tail.data(), blocks);
  Sha256Digest digest;
  for (int i = 0; i < 32; ++i)
    digest[i] = static_cast<uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

Sha256Digest lowbit::sha256(Bytes bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Sha256Digest lowbit::hmacSha256(Bytes key, Bytes message) {
  std::array<uint8_t, 64> padded{};
  if (key.size > padded.size()) {
    Sha256Digest shorter = sha256(key);
    memcpy(padded.data(), shorter.data(), shorter.size());
  } else if (key.size > 0) {
    memcpy(padded.data(), key.data, static_cast<size_t>(key.size));
  }
  auto keyed = [&](uint8_t pad, Bytes text) {
    std::array<uint8_t, 64> start;
    for (size_t i = 0; i < start.size(); ++i)
      start[i] = padded[i] ^ pad;
    Sha256 hash;
    hash.update({start.data(), start.size()});
    hash.update(text);
    return hash.finish();
  };
  Sha256Digest inner = keyed(0x36, message);
  return keyed(0x5c, {inner.data(), inner.size()});
}

bool lowbit::equalDigests(const Sha256Digest &a, const Sha256Digest &b) {
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

Xxh128Digest lowbit::xxh128(Bytes bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(
      &canonical, XXH3_128bits(bytes.data, static_cast<size_t>(bytes.size)));
  Xxh128Digest digest;
  static_assert(sizeof canonical.digest == sizeof digest);
  memcpy(digest.data(), canonical.digest, digest.size());
  return digest;
}

std::string lowbit::hex(Bytes bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(static_cast<size_t>(bytes.size) * 2);
  for (uint64_t i = 0; i < bytes.size; ++i) {
    text += digits[bytes.data[i] >> 4];
    text += digits[bytes.data[i] & 15];
  }
  return text;
}
