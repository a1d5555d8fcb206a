//===- EmbeddingKernelTest.cpp - Gathering from tiled tables ----*- C++ -*-===//
//
// Tables are packed here, one code at a time, by Spec.md, section 2.
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"
#include "NaiveSteps.h"
#include "lowbit/Numerics/Float.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace lowbit;
using namespace lowbit::test;
using llvm::formatv;

namespace {

struct Table {
  int64_t rows, columns;
  int bits;      ///< 0: a float table
  int64_t group; ///< 0: the whole row
  bool e4m3;
  std::string offset; ///< or the float type

  int64_t groupColumns() const { return group ? group : columns; }
  /// A shape that GPU targets refuse.
  bool isTable() const { return isE8M0() || offset == "nvfp4"; }
  bool isE8M0() const { return offset == "mxfp4" || offset == "mxfp6"; }
  /// Value of a small float's code (Spec.md, 1.4).
  float elementOf(int code) const {
    int mantissaBits = bits == 4 ? 1 : 3;
    int magnitude = code % (1 << (bits - 1));
    int exponent = magnitude >> mantissaBits;
    float fraction =
        float(magnitude % (1 << mantissaBits)) / float(1 << mantissaBits);
    float value =
        exponent == 0 ? fraction : std::ldexp(1 + fraction, exponent - 1);
    return code >> (bits - 1) ? -value : value;
  }
  std::string name() const {
    return formatv("e{0}_{1}_{2}_{3}_{4}_{5}", rows, columns, bits, group,
                   e4m3 ? "e4m3" : "f16", offset)
        .str();
  }
  std::string type() const {
    if (bits == 0)
      return formatv("tensor<{0}x{1}x{2}>", rows, columns, offset).str();
    if (offset == "mxfp4")
      return formatv("tensor<{0}x{1}xf32, #lowbit.micro<f4E2M1FN, group = 32, "
                     "scale = f8E8M0FNU>>",
                     rows, columns)
          .str();
    if (offset == "mxfp6")
      return formatv("tensor<{0}x{1}xf32, #lowbit.micro<f6E2M3FN, group = 32, "
                     "scale = f8E8M0FNU>>",
                     rows, columns)
          .str();
    if (offset == "nvfp4")
      return formatv("tensor<{0}x{1}xf32, #lowbit.micro<f4E2M1FN, group = 16, "
                     "scale = f8E4M3FN>>",
                     rows, columns)
          .str();
    return formatv("tensor<{0}x{1}xf32, #lowbit.int<{2}, group = {3}, scale = "
                   "{4}, offset = {5}>>",
                   rows, columns, bits, group ? std::to_string(group) : "row",
                   e4m3 ? "f8E4M3FN" : "f16", offset)
        .str();
  }
};

/// Bytes of a packed table and what its rows are.
struct Packed {
  std::vector<uint8_t> bytes;
  std::vector<float> values; ///< [row][column]
};

} // namespace

/// Columns and bytes of a block of codes.
static int64_t blockColumnsOf(int bits) {
  return bits == 8 ? 4 : bits % 2 ? 32 : bits == 4 ? 8 : 16;
}
static int64_t blockBytesOf(int bits) {
  return 2 * blockColumnsOf(bits) * bits;
}

/// Writes the code of (row r, column k of a group) into the group's codes.
static void putCode(uint8_t *codes, int bits, int64_t r, int64_t k, int c) {
  uint8_t *block =
      codes + k / blockColumnsOf(bits) * blockBytesOf(bits) + 4 * r;
  int64_t i = k % blockColumnsOf(bits); // column in the block
  int rest = bits;
  for (int width : {8, 4, 2, 1}) {
    if (width > rest)
      continue;
    rest -= width;
    int64_t perVector = 32 / width;
    block[64 * (i / perVector) + i % 4] |= uint8_t(
        (c >> rest & ((1 << width) - 1)) << (width * (i % perVector / 4)));
    block += 64 * (blockColumnsOf(bits) / perVector);
  }
}

static int64_t roundUpTo(int64_t value, int64_t step) {
  return (value + step - 1) / step * step;
}

static Packed packIntegers(const Table &t) {
  std::mt19937_64 random(uint64_t(t.columns * 16 + t.bits));
  float factor = t.e4m3 ? 0.37f : 1.0f;
  int64_t groups = (t.columns + t.groupColumns() - 1) / t.groupColumns();
  int64_t scaleBytes = t.e4m3 || t.isE8M0() ? 16 : 32;
  int64_t zeroBytes = t.offset == "stored" ? 2 * t.bits : 0;
  Packed packed;
  packed.values.resize(t.rows * t.columns);
  for (int64_t tile = 0; tile < (t.rows + 15) / 16; ++tile) {
    std::vector<uint8_t> bytes;
    for (int64_t g = 0; g < groups; ++g) {
      int64_t first = g * t.groupColumns();
      int64_t count = std::min(t.groupColumns(), t.columns - first);
      int64_t blocks =
          (count + blockColumnsOf(t.bits) - 1) / blockColumnsOf(t.bits);
      std::vector<uint8_t> part(blocks * blockBytesOf(t.bits) + scaleBytes +
                                zeroBytes);
      uint8_t *scales = part.data() + blocks * blockBytesOf(t.bits);
      uint8_t *zeros = scales + scaleBytes;
      for (int64_t r = 0; r < 16 && tile * 16 + r < t.rows; ++r) {
        float s;
        if (t.isE8M0()) {
          scales[r] = uint8_t(random() % 8 ? 90 + random() % 80 : 0);
          s = std::ldexp(1.0f, scales[r] - 127);
        } else if (t.e4m3) {
          // Row by row, so that a large table has all that there are.
          scales[r] = uint8_t(((tile * 16 + r) * groups + g) % 0x7F);
          s = e4m3ToFloat(scales[r]);
        } else {
          // Subnormal scales, too.
          uint16_t half = uint16_t(random() % (random() % 4 ? 0x4000 : 0x400));
          std::memcpy(scales + 2 * r, &half, 2);
          s = f16ToFloat(half);
        }
        int range = 1 << t.bits;
        float z = float(range / 2) - (t.offset == "half" ? 0.5f : 0.0f);
        if (zeroBytes) {
          int zero = int(random() % range);
          for (int b = 0; b < t.bits; ++b)
            if (zero >> b & 1)
              zeros[(r * t.bits + b) / 8] |= uint8_t(1 << (r * t.bits + b) % 8);
          z = float(zero);
        }
        for (int64_t k = 0; k < count; ++k) {
          int c = int(random() % range);
          putCode(part.data(), t.bits, r, k, c);
          float value = (float(c) - z) * s;
          if (t.isE8M0() || t.offset == "nvfp4")
            value = (t.elementOf(c) + 0.0f) * s; // one zero
          if (t.e4m3)
            value = value * factor;
          packed.values[(tile * 16 + r) * t.columns + first + k] = value;
        }
      }
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
    bytes.resize(roundUpTo(bytes.size(), 64));
    packed.bytes.insert(packed.bytes.end(), bytes.begin(), bytes.end());
  }
  if (t.e4m3) {
    packed.bytes.resize(packed.bytes.size() + 64);
    std::memcpy(&packed.bytes[packed.bytes.size() - 64], &factor, 4);
  }
  return packed;
}

static Packed packFloats(const Table &t) {
  std::mt19937_64 random(uint64_t(t.columns));
  int64_t size = t.offset == "f32" ? 4 : 2;
  int64_t tileBytes = roundUpTo(16 * t.columns * size, 64);
  Packed packed;
  packed.values.resize(t.rows * t.columns);
  packed.bytes.resize((t.rows + 15) / 16 * tileBytes);
  for (int64_t n = 0; n < t.rows; ++n)
    for (int64_t k = 0; k < t.columns; ++k) {
      uint32_t bits = uint32_t(random());
      uint8_t *place =
          &packed.bytes[n / 16 * tileBytes + (k * 16 + n % 16) * size];
      std::memcpy(place, &bits, size);
      float value = t.offset == "f32"   ? bitsToFloat(bits)
                    : t.offset == "f16" ? f16ToFloat(uint16_t(bits))
                                        : bf16ToFloat(uint16_t(bits));
      packed.values[n * t.columns + k] = value;
    }
  return packed;
}

static std::vector<Table> tables() {
  std::vector<Table> result;
  for (int64_t columns : {1, 15, 16, 17, 33, 100, 256})
    for (const char *type : {"f32", "f16", "bf16"})
      result.push_back({37, columns, 0, 0, false, type});
  const char *offsets[] = {"integer", "half", "stored"};
  size_t next = 0;
  for (int64_t columns : {1, 31, 32, 47, 64, 172, 257}) {
    result.push_back({37, columns, 4, 32, false, "mxfp4"});
    result.push_back({37, columns, 6, 32, false, "mxfp6"});
    result.push_back({37, columns, 4, 16, true, "nvfp4"});
    result.push_back({37, columns, 1, 64, false, "half"});
    for (int bits : {5, 6, 7})
      result.push_back(
          {37, columns, bits, 64, bits % 2 == 0, offsets[bits - 5]});
  }
  for (int bits : {2, 3, 4, 8})
    for (int64_t group : {32, 64, 128, 0})
      for (int64_t columns : {1, 31, 32, 47, 64, 172, 200, 256, 257})
        result.push_back(
            {37, columns, bits, group, next % 2 == 1, offsets[next++ % 3]});
  return result;
}

/// Rows × groups that are enough for every E4M3 code.
static bool hasEveryScale(const Table &t) {
  return t.e4m3 &&
         t.rows * ((t.columns + t.groupColumns() - 1) / t.groupColumns()) >=
             0x7F;
}

TEST(EmbeddingKernel, EveryFormat) {
  std::string text;
  for (const Table &t : tables())
    text += formatv("lowbit.kernel @{0} family \"embedding\" {{type = {1}}\n",
                    t.name(), t.type())
                .str();
  KernelHarness kernels(text);
  ASSERT_TRUE(kernels.ok());
  // All rows and some twice, in no order.
  std::vector<int32_t> order(45);
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = int32_t(i * 10 % 37);
  Guarded<int32_t> ids(order);
  int64_t rows = ids.size();
  EXPECT_TRUE(llvm::any_of(tables(), hasEveryScale));
  for (const Table &t : tables()) {
    Packed packed = t.bits ? packIntegers(t) : packFloats(t);
    Guarded<uint8_t> bytes(packed.bytes);
    for (uint32_t variant : variantsWithEmulated()) {
      if (variant == emulatedVariant && t.isTable())
        continue;
      Guarded<float> y(rows * t.columns);
      y.poison();
      kernels.run(t.name(), variant, {ids.data(), bytes.data(), y.data()}, rows,
                  rows, t.columns);
      for (int64_t r = 0; r < rows; ++r)
        EXPECT_TRUE(equalBits(&packed.values[ids[r] * t.columns],
                              &y[r * t.columns], t.columns, t.name()));
      EXPECT_TRUE(y.intact());
    }
  }
}
