//===- NaiveInteger.h - Spec.md sections 1 and 2, word by word --*- C++ -*-===//
//
// What the unit tests of this room compare with: plain loops written from the
// specification, one weight and one bit at a time. Nothing here is shared with
// lib/Numerics but the structs.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TEST_UNIT_NUMERICS_NAIVEINTEGER_H
#define LOWBIT_TEST_UNIT_NUMERICS_NAIVEINTEGER_H

#include "lowbit/Numerics/IntegerFormat.h"
#include "lowbit/Numerics/IntegerTile.h"
#include "lowbit/Numerics/WeightCorpus.h"

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace lowbit::naive {

/// Widths that every loop over tails must survive.
inline const std::vector<int64_t> &raggedColumns() {
  static const std::vector<int64_t> columns = {1,   2,   3,   15,  16,  17,
                                               31,  32,  33,  63,  64,  65,
                                               127, 128, 129, 172, 255, 513};
  return columns;
}

/// All 4 · 4 · 2 · 3 formats of 2, 3, 4 and 8 bits, and some of the others.
inline std::vector<IntegerFormat> allFormats() {
  std::vector<IntegerFormat> formats;
  for (int bits : {2, 3, 4, 8})
    for (int64_t group : {0, 32, 64, 128})
      for (ScaleType scale : {ScaleType::F16, ScaleType::E4M3})
        for (Offset offset : {Offset::Integer, Offset::Half, Offset::Stored})
          formats.push_back({bits, group, scale, offset});
  for (int bits : {5, 6, 7}) {
    formats.push_back({bits, 64, ScaleType::F16, Offset::Half});
    formats.push_back({bits, 0, ScaleType::E4M3, Offset::Stored});
  }
  formats.push_back({1, 64, ScaleType::F16, Offset::Half});
  formats.push_back({1, 0, ScaleType::E4M3, Offset::Half});
  formats.push_back({4, 16, ScaleType::E4M3, Offset::Integer});
  return formats;
}

inline std::string name(const IntegerFormat &f) {
  const char *offsets[] = {"integer", "half", "stored"};
  return "int<" + std::to_string(f.bits) + ", " + std::to_string(f.group) +
         (f.scale == ScaleType::F16 ? ", f16, " : ", e4m3, ") +
         offsets[static_cast<int>(f.offset)] + ">";
}

/// Value of non-negative f16 bits below infinity, by definition.
inline double f16Value(int bits) {
  int exponent = bits >> 10, mantissa = bits & 0x3FF;
  return exponent ? std::ldexp(1024 + mantissa, exponent - 25)
                  : std::ldexp(mantissa, -24);
}

/// Value of a non-negative E4M3FN code that is not NaN, by definition.
inline double e4m3Value(int code) {
  int exponent = code >> 3, mantissa = code & 7;
  return exponent ? std::ldexp(8 + mantissa, exponent - 10)
                  : std::ldexp(mantissa, -9);
}

/// The code in 0 … last whose value is nearest to `x` ≥ 0, the even one of two;
/// values rise with codes.
template <typename Value> int nearestCode(double x, int last, Value value) {
  int low = 0, high = last;
  while (low < high) { // the last code whose value is ≤ x
    int middle = (low + high + 1) / 2;
    if (value(middle) <= x)
      low = middle;
    else
      high = middle - 1;
  }
  if (low == last)
    return low;
  double below = x - value(low), above = value(low + 1) - x;
  if (below != above)
    return below < above ? low : low + 1;
  return low % 2 == 0 ? low : low + 1;
}

/// Bits and value of a stored scale, saturating.
inline int storeScale(ScaleType type, float scale) {
  return type == ScaleType::F16 ? nearestCode(scale, 0x7BFF, f16Value)
                                : nearestCode(scale, 0x7E, e4m3Value);
}
inline float loadScale(ScaleType type, int bits) {
  return static_cast<float>(type == ScaleType::F16 ? f16Value(bits)
                                                   : e4m3Value(bits));
}

/// min ≤ 0 ≤ max of a group.
struct Range {
  float minimum = 0, maximum = 0;
};
inline Range rangeOf(const float *w, int64_t count) {
  Range range;
  for (int64_t k = 0; k < count; ++k) {
    range.minimum = std::fmin(range.minimum, w[k]);
    range.maximum = std::fmax(range.maximum, w[k]);
  }
  return range;
}

/// s before F and rounding.
inline float unrounded(const IntegerFormat &f, Range range) {
  float amax = std::fmax(-range.minimum, range.maximum);
  float half = std::ldexp(1.0f, f.bits - 1);
  if (f.offset == Offset::Integer)
    return amax / (half - 1);
  if (f.offset == Offset::Half)
    return amax / (half - 0.5f);
  return (range.maximum - range.minimum) / (2 * half - 1);
}

inline float clamp(float x, float low, float high) {
  return x < low ? low : x > high ? high : x;
}

inline int storedZero(const IntegerFormat &f, Range range, float scale) {
  return static_cast<int>(
      clamp(std::rint(-range.minimum / scale), 0, f.codes() - 1));
}

/// c for one weight; `lowest` is the smallest code in use.
inline int code(const IntegerFormat &f, float w, float step, int zero,
                int lowest) {
  float half = std::ldexp(1.0f, f.bits - 1), last = 2 * half - 1;
  if (f.offset == Offset::Half)
    return static_cast<int>(
        clamp(std::rint(w / step - 0.5f) + half, lowest, last));
  float z = f.offset == Offset::Integer ? half : zero;
  return static_cast<int>(clamp(std::rint(w / step + z), lowest, last));
}

/// What solver nearest makes of one group.
struct Group {
  int scaleBits = 0;
  int zero = 0;
  std::vector<int> codes;
};
inline Group solveNearest(const IntegerFormat &f, const float *w, int64_t count,
                          float factor) {
  Group group;
  Range range = rangeOf(w, count);
  float s = unrounded(f, range);
  int half = f.codes() / 2;
  if (f.offset == Offset::Stored && s > 0)
    group.zero = storedZero(f, range, s);
  group.scaleBits = storeScale(f.scale, s / factor);
  float step = loadScale(f.scale, group.scaleBits) * factor;
  int nothing = f.offset == Offset::Stored ? group.zero : half;
  for (int64_t k = 0; k < count; ++k)
    group.codes.push_back(step == 0
                              ? nothing
                              : code(f, w[k], step, group.zero,
                                     f.offset == Offset::Integer ? 1 : 0));
  return group;
}

/// c − z as a number.
inline double level(const IntegerFormat &f, int code, int zero) {
  double half = std::ldexp(1.0, f.bits - 1);
  return code - (f.offset == Offset::Integer ? half
                 : f.offset == Offset::Half  ? half - 0.5
                                             : zero);
}

/// Σ h (w − F s (c − z))² over one row of a tile, in f64.
inline double objective(const IntegerTile &tile, int64_t row, const float *w,
                        const float *h) {
  double sum = 0;
  int64_t width = tile.format.group ? tile.format.group : tile.columns;
  for (int64_t k = 0; k < tile.columns; ++k) {
    size_t at = static_cast<size_t>(row * tile.groups + k / width);
    int zero = tile.format.offset == Offset::Stored ? tile.zeros[at] : 0;
    double value =
        static_cast<double>(tile.factor) * tile.scales[at] *
        level(tile.format,
              tile.codes[static_cast<size_t>(row * tile.columns + k)], zero);
    sum += (h ? h[k] : 1.0) * (w[k] - value) * (w[k] - value);
  }
  return sum;
}

/// A tile with random legal contents; rows beyond `rows` stay 0.
inline IntegerTile randomTile(const IntegerFormat &f, int64_t rows,
                              int64_t columns, std::mt19937 &random) {
  IntegerTile tile;
  tile.reset(f, rows, columns);
  for (int64_t i = 0; i < rows * columns; ++i)
    tile.codes[static_cast<size_t>(i)] =
        static_cast<uint8_t>(random() % static_cast<unsigned>(f.codes()));
  for (int64_t i = 0; i < rows * tile.groups; ++i) {
    size_t at = static_cast<size_t>(i);
    unsigned legal = f.scale == ScaleType::F16 ? 0x7C00 : 0x7F;
    tile.scaleBits[at] = static_cast<uint16_t>(random() % legal);
    tile.scales[at] = loadScale(f.scale, tile.scaleBits[at]);
    if (f.offset == Offset::Stored)
      tile.zeros[at] =
          static_cast<uint8_t>(random() % static_cast<unsigned>(f.codes()));
  }
  return tile;
}

/// Bytes of a tile, bit by bit from Spec section 2.
inline std::vector<uint8_t> pack(const IntegerTile &tile) {
  const IntegerFormat &f = tile.format;
  std::vector<uint8_t> bytes;
  int64_t width = f.group ? f.group : tile.columns;
  int64_t block = f.bits == 8 ? 4 : f.bits % 2 ? 32 : f.bits == 4 ? 8 : 16;
  for (int64_t group = 0; group * width < tile.columns; ++group) {
    int64_t end = std::min((group + 1) * width, tile.columns);
    for (int64_t k0 = group * width; k0 < end; k0 += block) {
      size_t base = bytes.size();
      bytes.resize(base + static_cast<size_t>(2 * block * f.bits), 0);
      auto put = [&](int64_t vector, int64_t row, int64_t b, int64_t bit,
                     int value) {
        bytes[base + static_cast<size_t>(64 * vector + 4 * row + b)] |=
            static_cast<uint8_t>(value << bit);
      };
      for (int64_t row = 0; row < 16; ++row)
        for (int64_t i = 0; i < block && k0 + i < end; ++i) {
          int c = tile.codes[static_cast<size_t>(row * tile.columns + k0 + i)];
          int64_t j = i / 4, b = i % 4;
          if (f.bits == 8) {
            put(0, row, b, 0, c);
            continue;
          }
          // Digits of 4 bits, of 2, of 1; `first` is the plane's first vector.
          int64_t first = 0;
          if (f.bits >= 4) {
            put(i / 8, row, b, 4 * (j % 2), c >> (f.bits - 4));
            first += block / 8;
          }
          if (f.bits & 2) {
            put(first + i / 16, row, b, 2 * (j % 4), c >> (f.bits & 1) & 3);
            first += block / 16;
          }
          if (f.bits & 1)
            put(first, row, b, j, c & 1);
        }
    }
    for (int64_t row = 0; row < 16; ++row) {
      int bits = tile.scaleBits[static_cast<size_t>(row * tile.groups + group)];
      bytes.push_back(static_cast<uint8_t>(bits));
      if (f.scale == ScaleType::F16)
        bytes.push_back(static_cast<uint8_t>(bits >> 8));
    }
    if (f.offset != Offset::Stored)
      continue;
    size_t base = bytes.size();
    bytes.resize(base + static_cast<size_t>(2 * f.bits), 0);
    for (int row = 0; row < 16; ++row)
      for (int bit = 0; bit < f.bits; ++bit) {
        int zero = tile.zeros[static_cast<size_t>(row * tile.groups + group)];
        int at = row * f.bits + bit;
        bytes[base + static_cast<size_t>(at / 8)] |=
            static_cast<uint8_t>((zero >> bit & 1) << (at % 8));
      }
  }
  while (bytes.size() % 64)
    bytes.push_back(0);
  return bytes;
}

/// Gaussian weights.
inline std::vector<float> gaussian(int64_t count, unsigned seed,
                                   float deviation = 1.0f) {
  std::vector<float> w = normalNumbers(count, seed);
  for (float &x : w)
    x *= deviation;
  return w;
}

} // namespace lowbit::naive

#endif // LOWBIT_TEST_UNIT_NUMERICS_NAIVEINTEGER_H
