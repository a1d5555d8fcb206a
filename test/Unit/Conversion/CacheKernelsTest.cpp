//===- CacheKernelsTest.cpp - Rotary, cache, attention ----------*- C++ -*-===//
//
// The kernels around the paged cache against naive loops, with pages in random
// places, several sequences in one batch, and garbage (NaN) in every slot that
// was not written.
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"
#include "NaiveSteps.h"
#include "lowbit/Numerics/Float.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

using namespace lowbit;
using namespace lowbit::test;
using llvm::formatv;

//===----------------------------------------------------------------------===//
// rotary_table
//===----------------------------------------------------------------------===//

static std::vector<float> frequencies(int64_t half, double theta) {
  std::vector<float> result;
  for (int64_t i = 0; i < half; ++i)
    result.push_back(float(std::pow(theta, -double(i) / double(half))));
  return result;
}

static std::string tableText(int64_t half, double theta) {
  std::string list;
  for (float frequency : frequencies(half, theta))
    list += (list.empty() ? "" : ", ") + formatv("{0:e9}", frequency).str();
  return formatv("lowbit.kernel @t{0} family \"rotary_table\" {{frequencies = "
                 "array<f32: {1}>}\n",
                 half, list);
}

TEST(CacheKernels, RotaryTable) {
  KernelHarness kernels(tableText(1, 10000) + tableText(4, 10000) +
                        tableText(13, 10000) + tableText(64, 500000));
  ASSERT_TRUE(kernels.ok());
  std::vector<int32_t> positions{0, 1, 2, 3, 63, 64, 1000, 131071, 1 << 20};
  std::mt19937_64 random(5);
  while (positions.size() < 400)
    positions.push_back(int32_t(random() % (1 << 20)));
  int64_t rows = positions.size();
  Guarded<int32_t> pairs(2 * rows);
  for (int64_t i = 0; i < rows; ++i) {
    pairs[2 * i] = int32_t(i % 3);
    pairs[2 * i + 1] = positions[i];
  }
  for (uint32_t variant : variantsWithEmulated())
    for (int64_t half : {1, 4, 13, 64}) {
      std::vector<float> f = frequencies(half, half == 64 ? 500000 : 10000);
      Guarded<float> cos(rows * half), sin(rows * half);
      cos.poison();
      sin.poison();
      kernels.run(formatv("t{0}", half).str(), variant,
                  {pairs.data(), cos.data(), sin.data()}, rows, rows, half);
      std::vector<float> expectedCos, expectedSin;
      for (int32_t position : positions)
        for (float frequency : f) {
          // 64-bit mantissa: right beyond every doubt of f64.
          long double angle = double(position) * double(frequency);
          expectedCos.push_back(float(cosl(angle)));
          expectedSin.push_back(float(sinl(angle)));
        }
      EXPECT_TRUE(equalBits(expectedCos.data(), cos.data(), cos.size(), "cos"));
      EXPECT_TRUE(equalBits(expectedSin.data(), sin.data(), sin.size(), "sin"));
      EXPECT_TRUE(cos.intact() && sin.intact());
    }
}

//===----------------------------------------------------------------------===//
// A model of the cache
//===----------------------------------------------------------------------===//

namespace {

/// `bits`: 16 and 32 for floats; `group`: 4 and 2 bits only, 0 is the head.
struct Shape {
  int64_t heads, kvHeads, headDim;
  int64_t bits;
  int64_t group = 0;

  bool isFloat() const { return bits >= 16; }
  bool isGrouped() const { return bits < 8; }
  int64_t groupSize() const { return group ? group : headDim; }
  int64_t groups() const { return (headDim + groupSize() - 1) / groupSize(); }
  /// Bytes of a head at one position.
  int64_t positionBytes() const { return (headDim * bits + 7) / 8; }
  int64_t headBytes() const { return positionBytes() * 64; }
  int64_t layerBytes() const {
    int64_t scales = isFloat() ? 0 : isGrouped() ? 192 * groups() : 256;
    return 2 * kvHeads * (headBytes() + scales);
  }
  std::string type() const {
    return (isFloat() ? "f" : "i") + std::to_string(bits);
  }
  std::string name() const {
    return formatv("h{0}_{1}_{2}_{3}_{4}", heads, kvHeads, headDim, type(),
                   group)
        .str();
  }
};

constexpr int64_t sequences = 3, pagesPerSequence = 5;
constexpr int64_t layers = 2, layer = 1;

/// Bytes of a cache, addressed as Spec.md, 5.2 says, one element at a time.
class NaiveCache {
public:
  NaiveCache(const Shape &shape, uint8_t *bytes, const int32_t *pageTable)
      : shape(shape), bytes(bytes), pageTable(pageTable) {}

  /// The byte that holds element d of a key (or its first byte).
  uint8_t *key(int64_t sequence, int64_t position, int64_t head, int64_t d) {
    int64_t size = std::max<int64_t>(shape.bits / 8, 1);
    int64_t row = d * shape.bits / 8 / size;
    return page(sequence, position) + head * shape.headBytes() +
           (row * 64 + position % 64) * size;
  }
  uint8_t *value(int64_t sequence, int64_t position, int64_t head, int64_t d) {
    return page(sequence, position) +
           (shape.kvHeads + head) * shape.headBytes() +
           position % 64 * shape.positionBytes() + d * shape.bits / 8;
  }
  uint8_t *scale(int64_t sequence, int64_t position, int64_t head, bool isValue,
                 int64_t group = 0) {
    int64_t size = shape.isGrouped() ? 2 : 4;
    return page(sequence, position) + 2 * shape.kvHeads * shape.headBytes() +
           place(position, head, isValue, group) * size;
  }
  uint8_t *zero(int64_t sequence, int64_t position, int64_t head, bool isValue,
                int64_t group) {
    return page(sequence, position) + 2 * shape.kvHeads * shape.headBytes() +
           4 * shape.kvHeads * shape.groups() * 64 +
           place(position, head, isValue, group);
  }

private:
  int64_t place(int64_t position, int64_t head, bool isValue, int64_t group) {
    int64_t row = (head + (isValue ? shape.kvHeads : 0)) * shape.groups();
    return (row + group) * 64 + position % 64;
  }
  uint8_t *page(int64_t sequence, int64_t position) {
    int64_t physical = pageTable[sequence * pagesPerSequence + position / 64];
    return bytes + (physical * layers + layer) * shape.layerBytes();
  }

  Shape shape;
  uint8_t *bytes;
  const int32_t *pageTable;
};

/// Shuffled pages for all sequences.
std::vector<int32_t> makePageTable() {
  std::vector<int32_t> table(sequences * pagesPerSequence);
  std::iota(table.begin(), table.end(), 0);
  std::shuffle(table.begin(), table.end(), std::mt19937_64(11));
  return table;
}

float loadFloat(const uint8_t *bytes) {
  float value;
  std::memcpy(&value, bytes, 4);
  return value;
}

void storeHalf(uint8_t *bytes, float value) {
  uint16_t half = roundToF16(value);
  std::memcpy(bytes, &half, 2);
}

} // namespace

static const Shape shapes[] = {
    {1, 1, 2, 16},       {8, 4, 8, 16},      {8, 4, 8, 8},
    {4, 4, 16, 16},      {6, 2, 20, 8},      {4, 2, 64, 16},
    {4, 2, 64, 8},       {5, 1, 80, 16},     {7, 1, 34, 8},
    {3, 1, 128, 16},     {16, 2, 128, 8},    {12, 1, 48, 32},
    {2, 1, 256, 8},      {8, 4, 8, 4, 64},   {4, 2, 64, 4, 32},
    {7, 1, 34, 4, 32},   {2, 1, 144, 4, 64}, {6, 2, 20, 4, 0},
    {1, 1, 2, 2, 0},     {4, 2, 64, 2, 64},  {7, 1, 34, 2, 32},
    {16, 2, 128, 2, 32}, {6, 2, 22, 2, 0}};

static std::string commonParameters(const Shape &shape) {
  return formatv("heads = {0}, kv_heads = {1}, head_dim = {2}, cache = {3}, "
                 "page_bytes = {4}, pages_per_sequence = {5}{6}",
                 shape.heads, shape.kvHeads, shape.headDim, shape.type(),
                 layers * shape.layerBytes(), pagesPerSequence,
                 shape.isGrouped()
                     ? formatv(", cache_group = {0}", shape.group).str()
                     : "")
      .str();
}

//===----------------------------------------------------------------------===//
// rotary_cache
//===----------------------------------------------------------------------===//

/// a', b' of one head, in place.
static void turnNaive(float *x, const float *cos, const float *sin,
                      int64_t headDim) {
  int64_t half = headDim / 2;
  for (int64_t i = 0; i < half; ++i) {
    float a = x[i], b = x[i + half];
    x[i] = std::fma(a, cos[i], -(b * sin[i]));
    x[i + half] = std::fma(b, cos[i], a * sin[i]);
  }
}

/// Stores one head of keys or values.
static void storeNaive(NaiveCache &cache, const Shape &shape, int64_t sequence,
                       int64_t position, int64_t head, const float *x,
                       bool isValue) {
  auto place = [&](int64_t d) {
    return isValue ? cache.value(sequence, position, head, d)
                   : cache.key(sequence, position, head, d);
  };
  if (shape.isFloat()) {
    for (int64_t d = 0; d < shape.headDim; ++d)
      if (shape.bits == 16)
        storeHalf(place(d), x[d]);
      else
        std::memcpy(place(d), &x[d], 4);
    return;
  }
  if (shape.isGrouped()) {
    for (int64_t d = 0; d < shape.headDim; ++d)
      *place(d) = 0;
    for (int64_t g = 0; g < shape.groups(); ++g) {
      int64_t first = g * shape.groupSize();
      int64_t end = std::min(first + shape.groupSize(), shape.headDim);
      NaiveGrid grid = naiveGrid(x + first, end - first, shape.bits);
      storeHalf(cache.scale(sequence, position, head, isValue, g), grid.scale);
      *cache.zero(sequence, position, head, isValue, g) = uint8_t(grid.zero);
      for (int64_t d = first; d < end; ++d)
        *place(d) |= uint8_t(grid.codes[d - first] << d * shape.bits % 8);
    }
    return;
  }
  NaiveQuantized quantized = naiveQuantize(x, shape.headDim, 127.0f);
  std::memcpy(cache.scale(sequence, position, head, isValue), &quantized.scale,
              4);
  for (int64_t d = 0; d < shape.headDim; ++d)
    *place(d) = uint8_t(int8_t(quantized.q[d]));
}

static void checkRotaryCache(KernelHarness &kernels, const Shape &shape,
                             uint32_t variant) {
  int64_t width = (shape.heads + 2 * shape.kvHeads) * shape.headDim + 3;
  int64_t half = shape.headDim / 2, rows = 70;
  std::vector<int32_t> table = makePageTable();
  Guarded<int32_t> pageTable(table), pairs(2 * rows);
  for (int64_t r = 0; r < rows; ++r) {
    pairs[2 * r] = int32_t(r % sequences);
    // No place twice: blocks of a GPU come in any order.
    pairs[2 * r + 1] = int32_t(r < sequences ? 0 : r + 62 * (r % 4));
  }
  std::vector<float> input = randomFloats(rows * width, shape.headDim);
  for (int64_t i = 0; i < width; ++i) {
    input[i] = 0.0f;            // an int8 head of zeros
    input[width + i] *= 1e-41f; // subnormals, in f16 zeros
    input[2 * width + i] *= 1e-6f;
    input[3 * width + i] *= 1e5f; // f16 overflows
    input[4 * width + i] = std::fabs(input[4 * width + i]);
    input[5 * width + i] = -std::fabs(input[5 * width + i]);
  }
  Guarded<float> x(input), cos(randomFloats(rows * half, 1)),
      sin(randomFloats(rows * half, 2));
  size_t cacheBytes =
      sequences * pagesPerSequence * layers * shape.layerBytes();
  GuardedBytes actual(cacheBytes), expected(cacheBytes);
  actual.poison();
  expected.poison();

  NaiveCache cache(shape, expected.data(), pageTable.data());
  int64_t qColumns = shape.heads * shape.headDim;
  int64_t kvColumns = shape.kvHeads * shape.headDim;
  std::vector<float> turned = input;
  for (int64_t r = 0; r < rows; ++r) {
    const float *c = &cos[r * half], *s = &sin[r * half];
    float *row = &turned[r * width];
    for (int64_t head = 0; head < shape.heads; ++head)
      turnNaive(row + head * shape.headDim, c, s, shape.headDim);
    for (int64_t head = 0; head < shape.kvHeads; ++head) {
      const float *key = row + qColumns + head * shape.headDim;
      std::vector<float> rotated(key, key + shape.headDim);
      turnNaive(rotated.data(), c, s, shape.headDim);
      storeNaive(cache, shape, pairs[2 * r], pairs[2 * r + 1], head,
                 rotated.data(), false);
      storeNaive(cache, shape, pairs[2 * r], pairs[2 * r + 1], head,
                 key + kvColumns, true);
    }
  }
  kernels.run(shape.name(), variant,
              {x.data(), x.data(), x.data(), pairs.data(), cos.data(),
               sin.data(), pageTable.data(),
               actual.data() + layer * shape.layerBytes()},
              rows, rows, shape.heads);
  EXPECT_TRUE(equalBits(turned.data(), x.data(), turned.size(), "queries"));
  EXPECT_TRUE(
      equalBytes(expected.data(), actual.data(), cacheBytes, shape.name()));
  EXPECT_TRUE(x.intact() && actual.intact());
}

TEST(CacheKernels, RotaryCache) {
  std::string text;
  for (const Shape &shape : shapes) {
    int64_t q = shape.heads * shape.headDim, kv = shape.kvHeads * shape.headDim;
    text += formatv("lowbit.kernel @{0} family \"rotary_cache\" {{{1}, "
                    "q_offset = 0, q_stride = {2}, k_offset = {3}, k_stride = "
                    "{2}, v_offset = {4}, v_stride = {2}}\n",
                    shape.name(), commonParameters(shape), q + 2 * kv + 3, q,
                    q + kv)
                .str();
  }
  KernelHarness kernels(text);
  ASSERT_TRUE(kernels.ok());
  for (uint32_t variant : variantsWithEmulated())
    for (const Shape &shape : shapes)
      if (variant != emulatedVariant || !shape.isGrouped())
        checkRotaryCache(kernels, shape, variant);
}

//===----------------------------------------------------------------------===//
// attention
//===----------------------------------------------------------------------===//

namespace {

/// Keys and values of one KV head as f32 without their scales (zero points
/// taken off), and the scales, `[position][group]`.
struct NaiveHead {
  NaiveHead(NaiveCache &cache, const Shape &shape, int64_t sequence,
            int64_t head, int64_t count) {
    for (int64_t j = 0; j < count; ++j)
      for (bool isValue : {false, true}) {
        std::vector<float> &elements = isValue ? values : keys;
        std::vector<float> &scales = isValue ? valueScales : keyScales;
        for (int64_t d = 0; d < shape.headDim; ++d) {
          const uint8_t *bytes = isValue ? cache.value(sequence, j, head, d)
                                         : cache.key(sequence, j, head, d);
          int64_t g = d / shape.groupSize();
          elements.push_back(
              shape.isGrouped()
                  ? float(int(*bytes >> d * shape.bits % 8 &
                              ((1 << shape.bits) - 1)) -
                          int(*cache.zero(sequence, j, head, isValue, g)))
                  : load(shape, bytes));
        }
        for (int64_t g = 0; g < shape.groups() && !shape.isFloat(); ++g) {
          uint8_t *bytes = cache.scale(sequence, j, head, isValue, g);
          scales.push_back(shape.isGrouped() ? loadHalf(bytes)
                                             : loadFloat(bytes));
        }
      }
  }
  static float loadHalf(const uint8_t *bytes) {
    uint16_t half;
    std::memcpy(&half, bytes, 2);
    return f16ToFloat(half);
  }
  static float load(const Shape &shape, const uint8_t *bytes) {
    return shape.bits == 8    ? float(int8_t(*bytes))
           : shape.bits == 16 ? loadHalf(bytes)
                              : loadFloat(bytes);
  }
  std::vector<float> keys, values, keyScales, valueScales;
};

} // namespace

/// One row and query head by Spec.md, section 3.
static std::vector<float> attendNaive(const NaiveHead &head, const float *q,
                                      const Shape &shape, int64_t position,
                                      float scale) {
  int64_t hd = shape.headDim;
  float m = -std::numeric_limits<float>::infinity(), l = 0;
  std::vector<float> o(hd, 0.0f);
  for (int64_t block = 0; block <= position / 64; ++block) {
    int64_t count = std::min<int64_t>(64, position + 1 - block * 64);
    float s[64], p[64] = {};
    float bm = -std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < count; ++i) {
      int64_t j = block * 64 + i;
      float t = 0;
      for (int64_t g = 0; g < shape.groups(); ++g) {
        float u = 0;
        int64_t first = g * shape.groupSize();
        for (int64_t d = first; d < std::min(first + shape.groupSize(), hd);
             ++d)
          u = std::fma(q[d], head.keys[j * hd + d], u);
        t = shape.isFloat()
                ? u
                : std::fma(u, head.keyScales[j * shape.groups() + g], t);
      }
      s[i] = t * scale;
      bm = std::fmax(bm, s[i]);
    }
    float next = std::fmax(m, bm);
    float corr = block == 0 ? 0.0f : naiveExp(m - next);
    for (int64_t i = 0; i < count; ++i)
      p[i] = naiveExp(s[i] - next);
    l = std::fma(l, corr, naiveSum16(p, 64));
    for (int64_t d = 0; d < hd; ++d) {
      o[d] = o[d] * corr;
      for (int64_t i = 0; i < count; ++i) {
        int64_t j = block * 64 + i;
        int64_t g = j * shape.groups() + d / shape.groupSize();
        float weight = shape.isFloat() ? p[i] : p[i] * head.valueScales[g];
        o[d] = std::fma(weight, head.values[j * hd + d], o[d]);
      }
    }
    m = next;
  }
  for (float &element : o)
    element = element / l;
  return o;
}

/// Fills the slots 0 … last of a sequence; everything else stays NaN.
static void fillCache(NaiveCache &cache, const Shape &shape, int64_t sequence,
                      int64_t last) {
  for (int64_t j = 0; j <= last; ++j)
    for (int64_t head = 0; head < shape.kvHeads; ++head)
      for (bool isValue : {false, true}) {
        // Some keys far larger than others, so that the maximum moves.
        float size = !isValue && j % 37 == 5 ? 8.0f : 1.0f;
        std::vector<float> x = randomFloats(
            shape.headDim,
            uint64_t(((sequence * 1000 + j) * 64 + head) * 2 + isValue), false,
            size);
        storeNaive(cache, shape, sequence, j, head, x.data(), isValue);
      }
}

/// All variants against one expectation.
static void checkAttention(KernelHarness &kernels, const Shape &shape) {
  const int32_t batch[][2] = {{0, 0},   {1, 0},   {0, 1},   {2, 14},  {2, 15},
                              {1, 16},  {0, 62},  {0, 63},  {0, 64},  {1, 65},
                              {1, 127}, {1, 128}, {2, 200}, {0, 319}, {2, 255}};
  int64_t rows = std::size(batch);
  int64_t columns = shape.heads * shape.headDim, width = columns + 5;
  Guarded<int32_t> pageTable(makePageTable()), pairs(2 * rows);
  std::memcpy(pairs.data(), batch, sizeof(batch));
  size_t cacheBytes =
      sequences * pagesPerSequence * layers * shape.layerBytes();
  GuardedBytes bytes(cacheBytes);
  bytes.poison();
  NaiveCache cache(shape, bytes.data(), pageTable.data());
  int64_t lengths[sequences] = {319, 128, 255};
  for (int64_t sequence = 0; sequence < sequences; ++sequence)
    fillCache(cache, shape, sequence, lengths[sequence]);
  Guarded<float> q(randomFloats(rows * width, 77)), y(rows * columns);
  // A row of large queries: all weight on one key, the rest underflows.
  for (int64_t i = 0; i < width; ++i)
    q[12 * width + i] *= 300.0f;
  std::vector<float> expected(rows * columns);
  int64_t group = shape.heads / shape.kvHeads;
  for (int64_t kv = 0; kv < shape.kvHeads; ++kv)
    for (int64_t r = 0; r < rows; ++r) {
      NaiveHead head(cache, shape, batch[r][0], kv, batch[r][1] + 1);
      for (int64_t h = kv * group; h < (kv + 1) * group; ++h)
        llvm::copy(attendNaive(head, &q[r * width + 5 + h * shape.headDim],
                               shape, batch[r][1], 0.125f),
                   &expected[r * columns + h * shape.headDim]);
    }
  std::vector<uint32_t> variants = variantsWithWide();
  if (!shape.isGrouped() && variantsWithEmulated().back() == emulatedVariant)
    variants.push_back(emulatedVariant);
  for (uint32_t variant : variants) {
    y.poison();
    kernels.run(shape.name(), variant,
                {q.data(), pairs.data(), pageTable.data(),
                 bytes.data() + layer * shape.layerBytes(), y.data()},
                rows, rows * shape.kvHeads, shape.headDim);
    EXPECT_TRUE(
        equalBits(expected.data(), y.data(), expected.size(),
                  formatv("{0} variant {1}", shape.name(), variant).str()));
    EXPECT_TRUE(y.intact());
  }
}

TEST(CacheKernels, Attention) {
  std::string text;
  for (const Shape &shape : shapes)
    text += formatv("lowbit.kernel @{0} family \"attention\" {{{1}, scale = "
                    "0.125 : f32, q_offset = 5, q_stride = {2}}\n",
                    shape.name(), commonParameters(shape),
                    shape.heads * shape.headDim + 5)
                .str();
  KernelHarness kernels(text, "x86_64", /*wide=*/true);
  ASSERT_TRUE(kernels.ok());
  for (const Shape &shape : shapes)
    checkAttention(kernels, shape);
}
