//===- Limits.cpp - What the machine allows -------------------------------===//

#include "Limits.h"
#include "lowbit/Runtime/KernelTable.h"

#include <cstdio>
#include <immintrin.h>
#include <unistd.h>

using namespace lowbit;
using namespace lowbit::bench;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

namespace {

/// No prefetch, into L1, into L2.
enum class Fetch { None, L1, L2 };

template <Fetch fetch> void prefetch(const uint8_t *bytes) {
  if (fetch == Fetch::L1)
    _mm_prefetch(bytes, _MM_HINT_T0);
  if (fetch == Fetch::L2)
    _mm_prefetch(bytes, _MM_HINT_T1);
}

template <Fetch fetch>
__attribute__((target("avx512f"), noinline)) uint64_t
readWide(const uint8_t *bytes, int64_t size, int64_t distance) {
  __m512i sums[4] = {};
  for (int64_t i = 0; i + 256 <= size; i += 256)
    for (int64_t j = 0; j < 4; ++j) {
      prefetch<fetch>(bytes + i + j * 64 + distance);
      sums[j] =
          _mm512_xor_si512(sums[j], _mm512_load_si512(bytes + i + j * 64));
    }
  return _mm512_reduce_add_epi64(_mm512_xor_si512(
      _mm512_xor_si512(sums[0], sums[1]), _mm512_xor_si512(sums[2], sums[3])));
}

template <Fetch fetch>
__attribute__((target("avx2"), noinline)) uint64_t
readHalf(const uint8_t *bytes, int64_t size, int64_t distance) {
  __m256i sums[8] = {};
  for (int64_t i = 0; i + 256 <= size; i += 256)
    for (int64_t j = 0; j < 8; ++j) {
      if (j % 2 == 0)
        prefetch<fetch>(bytes + i + j * 32 + distance);
      auto *at = reinterpret_cast<const __m256i *>(bytes + i + j * 32);
      sums[j] = _mm256_xor_si256(sums[j], _mm256_load_si256(at));
    }
  for (int j = 1; j < 8; ++j)
    sums[0] = _mm256_xor_si256(sums[0], sums[j]);
  return static_cast<uint64_t>(_mm256_extract_epi64(sums[0], 0) +
                               _mm256_extract_epi64(sums[0], 2));
}

/// Several streams, each a part: more misses under way on some machines.
template <int streams>
__attribute__((target("avx2"), noinline)) uint64_t
readStreams(const uint8_t *bytes, int64_t size, int64_t) {
  int64_t part = size / streams / 256 * 256;
  __m256i sums[streams] = {};
  for (int64_t i = 0; i < part; i += 256)
    for (int64_t stream = 0; stream < streams; ++stream)
      for (int64_t j = 0; j < 256; j += 32) {
        const uint8_t *at = bytes + stream * part + i + j;
        sums[stream] = _mm256_xor_si256(
            sums[stream],
            _mm256_load_si256(reinterpret_cast<const __m256i *>(at)));
      }
  for (int j = 1; j < streams; ++j)
    sums[0] = _mm256_xor_si256(sums[0], sums[j]);
  return static_cast<uint64_t>(_mm256_extract_epi64(sums[0], 0));
}

uint64_t readWords(const uint8_t *bytes, int64_t size, int64_t) {
  auto *words = reinterpret_cast<const uint64_t *>(bytes);
  uint64_t sums[4] = {};
  for (int64_t i = 0; i + 4 <= size / 8; i += 4)
    for (int j = 0; j < 4; ++j)
      sums[j] ^= words[i + j];
  return sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
}

} // namespace

std::vector<ReadLoop> bench::readLoops() {
  Variant variant = bestVariant();
  if (variant == Variant::Portable)
    return {{"64-bit words", readWords, 0}};
  bool isWide = variant == Variant::AVX512;
  std::vector<ReadLoop> loops = {
      {"plain", isWide ? readWide<Fetch::None> : readHalf<Fetch::None>, 0},
      {"2 streams", readStreams<2>, 0},
      {"4 streams", readStreams<4>, 0}};
  for (int64_t distance : {512, 1024, 2048, 4096, 8192})
    loops.push_back({"L1 +" + std::to_string(distance),
                     isWide ? readWide<Fetch::L1> : readHalf<Fetch::L1>,
                     distance});
  for (int64_t distance : {4096, 8192, 16384})
    loops.push_back({"L2 +" + std::to_string(distance),
                     isWide ? readWide<Fetch::L2> : readHalf<Fetch::L2>,
                     distance});
  return loops;
}

double bench::readRate(Team &team, const ReadLoop &loop, const uint8_t *bytes,
                       int64_t size) {
  // Parts end at a multiple of 1 KiB, so that every loop reads all of them.
  constexpr int64_t unit = 1024;
  int64_t units = size / unit;
  std::vector<uint64_t> sinks(static_cast<size_t>(team.size()) * 8);
  double seconds = team.time([&](int thread) {
    Share share = team.share(units, thread);
    sinks[static_cast<size_t>(thread) * 8] =
        loop.read(bytes + share.begin * unit, (share.end - share.begin) * unit,
                  loop.distance);
  });
  volatile uint64_t sink = sinks[0];
  (void)sink;
  return static_cast<double>(units * unit) / seconds;
}

ReadLimit::ReadLimit(Team &team, const uint8_t *bytes, int64_t size)
    : team(team), bytes(bytes), size(size), loops(readLoops()) {
  std::vector<std::pair<double, size_t>> rates;
  for (size_t i = 0; i < loops.size(); ++i) {
    double rate = 0;
    for (int repetition = 0; repetition < 2; ++repetition)
      rate = std::max(rate, readRate(team, loops[i], bytes, size));
    rates.push_back({-rate, i});
  }
  std::sort(rates.begin(), rates.end());
  bestRate = -rates[0].first;
  std::vector<ReadLoop> sorted;
  for (auto [rate, i] : rates) {
    sorted.push_back(loops[i]);
    firstRates.push_back(-rate);
  }
  loops = std::move(sorted);
}

std::string ReadLimit::describe() const {
  std::string text;
  for (size_t i = 0; i < loops.size(); ++i) {
    char rate[16];
    snprintf(rate, sizeof(rate), " %.1f", firstRates[i] * 1e-9);
    text += (i ? ", " : "") + loops[i].name + rate;
  }
  return text;
}

double ReadLimit::measure(int rank) {
  size_t last = loops.size() - 1;
  double rate = readRate(team, loops[std::min(last, static_cast<size_t>(rank))],
                         bytes, size);
  bestRate = std::max(bestRate, rate);
  return rate;
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

// Registers 0 … 11 are sums, 12 and 13 operands, 14 and 15 temporary. All are
// cleared first: what they held might be slow numbers.
#define CLOBBERS                                                               \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",      \
      "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
// clang-format off: it moves these about on each run
#define TWELVE(M)                                                              \
  M("0") M("1") M("2") M("3") M("4") M("5")                                    \
  M("6") M("7") M("8") M("9") M("10") M("11")
// clang-format on
#define CLEAR(N) "vpxor %%xmm" N ",%%xmm" N ",%%xmm" N "\n"
#define CLEAR_ALL TWELVE(CLEAR) CLEAR("12") CLEAR("13") CLEAR("14") CLEAR("15")
// One asm statement holds the loop: nothing can be moved into or out of it.
#define LOOP(NAME, BODY)                                                       \
  void NAME(int64_t iterations) {                                              \
    asm volatile(CLEAR_ALL ".p2align 5\n1:\n" BODY "dec %0\njnz 1b\n"          \
                           "vzeroupper\n"                                      \
                 : "+r"(iterations)                                            \
                 :                                                             \
                 : CLOBBERS, "cc");                                            \
  }

#define DOT512(N) "vpdpbusd %%zmm12,%%zmm13,%%zmm" N "\n"
#define FMA512(N) "vfmadd231ps %%zmm12,%%zmm13,%%zmm" N "\n"
#define FMA256(N) "vfmadd231ps %%ymm12,%%ymm13,%%ymm" N "\n"
#define WORDS256(N)                                                            \
  "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\nvpaddw %%ymm14,%%ymm" N ",%%ymm" N "\n"
#define WIDE256(N)                                                             \
  "vpmaddwd %%ymm12,%%ymm13,%%ymm14\nvpaddd %%ymm14,%%ymm" N ",%%ymm" N "\n"
#define CHAIN256(N)                                                            \
  "vpmaddubsw %%ymm12,%%ymm13,%%ymm14\nvpmaddwd %%ymm14,%%ymm13,%%ymm15\n"     \
  "vpaddd %%ymm15,%%ymm" N ",%%ymm" N "\n"

namespace {

LOOP(dot512, TWELVE(DOT512))
LOOP(fma512, TWELVE(FMA512))
LOOP(fma256, TWELVE(FMA256))
LOOP(words256, TWELVE(WORDS256))
LOOP(wide256, TWELVE(WIDE256))
LOOP(chain256, TWELVE(CHAIN256))

// Without AVX2: 128 bits, two operands.
#define SSE_WORDS(N)                                                           \
  "movdqa %%xmm12,%%xmm14\npmaddubsw %%xmm13,%%xmm14\npaddw %%xmm14,%%xmm" N   \
  "\n"
#define SSE_WIDE(N)                                                            \
  "movdqa %%xmm12,%%xmm14\npmaddwd %%xmm13,%%xmm14\npaddd %%xmm14,%%xmm" N "\n"
#define SSE_CHAIN(N)                                                           \
  "movdqa %%xmm12,%%xmm14\npmaddubsw %%xmm13,%%xmm14\n"                        \
  "pmaddwd %%xmm13,%%xmm14\npaddd %%xmm14,%%xmm" N "\n"
#define SSE_FLOAT(N)                                                           \
  "movaps %%xmm12,%%xmm14\nmulps %%xmm13,%%xmm14\naddps %%xmm14,%%xmm" N "\n"
#define SSE_CLEAR(N) "pxor %%xmm" N ",%%xmm" N "\n"
#define SSE_LOOP(NAME, BODY)                                                   \
  void NAME(int64_t iterations) {                                              \
    asm volatile(TWELVE(SSE_CLEAR) SSE_CLEAR("12") SSE_CLEAR("13")             \
                     SSE_CLEAR("14") ".p2align 5\n1:\n" BODY                   \
                                     "dec %0\njnz 1b\n"                        \
                 : "+r"(iterations)                                            \
                 :                                                             \
                 : CLOBBERS, "cc");                                            \
  }
SSE_LOOP(words128, TWELVE(SSE_WORDS))
SSE_LOOP(wide128, TWELVE(SSE_WIDE))
SSE_LOOP(chain128, TWELVE(SSE_CHAIN))
SSE_LOOP(float128, TWELVE(SSE_FLOAT))

void addChain(int64_t iterations) {
  int64_t sum = 0;
  asm volatile(".p2align 5\n1:\n"
               "add $1,%1\nadd $1,%1\nadd $1,%1\nadd $1,%1\n"
               "add $1,%1\nadd $1,%1\nadd $1,%1\nadd $1,%1\n"
               "dec %0\njnz 1b\n"
               : "+r"(iterations), "+r"(sum)
               :
               : "cc");
}

} // namespace

PeakLoop bench::integerPeak(int bits) {
  bool isWide = bits == 8;
  switch (bestVariant()) {
  case Variant::AVX512:
    return {"vpdpbusd zmm", 12 * 64, dot512};
  case Variant::AVX2:
    if (isWide)
      return {"vpmaddwd+vpaddd ymm", 12 * 16, wide256};
    return {"vpmaddubsw+vpaddw ymm", 12 * 32, words256};
  default:
    if (isWide)
      return {"pmaddwd+paddd xmm", 12 * 8, wide128};
    return {"pmaddubsw+paddw xmm", 12 * 16, words128};
  }
}

PeakLoop bench::integerChain() {
  switch (bestVariant()) {
  case Variant::AVX512:
    return {"vpdpbusd zmm", 12 * 64, dot512};
  case Variant::AVX2:
    return {"vpmaddubsw+vpmaddwd+vpaddd ymm", 12 * 32, chain256};
  default:
    return {"pmaddubsw+pmaddwd+paddd xmm", 12 * 16, chain128};
  }
}

PeakLoop bench::floatPeak() {
  switch (bestVariant()) {
  case Variant::AVX512:
    return {"vfmadd231ps zmm", 12 * 16, fma512};
  case Variant::AVX2:
    return {"vfmadd231ps ymm", 12 * 8, fma256};
  default:
    return {"mulps+addps xmm", 12 * 4, float128};
  }
}

double bench::peakRate(Team &team, const PeakLoop &loop) {
  constexpr int64_t iterations = 2'000'000; // 5 to 10 ms
  double seconds = team.time([&](int) { loop.run(iterations); });
  return static_cast<double>(iterations) * team.size() * loop.multiplyAdds /
         seconds;
}

double bench::clockRate(Team &team) {
  constexpr int64_t iterations = 5'000'000;
  double seconds = team.time([&](int) { addChain(iterations); });
  return static_cast<double>(iterations) * 8 / seconds;
}

int64_t bench::secondLevelCache() {
  long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return bytes > 0 ? bytes : int64_t(512) << 10;
}
