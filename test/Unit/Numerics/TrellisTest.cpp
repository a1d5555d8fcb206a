//===- TrellisTest.cpp ---------------------------------------- -*- C++ -*-===//
//
// The tables as they are frozen, sizes by hand, the search against an
// exhaustive one, code paths against each other, quality on Gaussian numbers.
//
//===----------------------------------------------------------------------===//
#include "TrellisSearch.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/TrellisTile.h"

#include "FeedbackInputs.h"
#include "NaiveInteger.h"
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>

using namespace lowbit;

static const TrellisFormat allFormats[] = {
    {{1}, 12},       {{2}, 12},    {{4}, 12},    {{1}, 10},    {{2}, 10},
    {{4}, 10},       {{2, 4}, 12}, {{1, 2}, 12}, {{1, 1}, 12}, {{2, 2}, 12},
    {{1, 2, 4}, 12}, {{1, 4}, 10}, {{4, 4}, 12}};

/// FNV-1a of bytes.
static uint64_t digest(const int8_t *bytes, int64_t count) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (int64_t i = 0; i < count; ++i)
    hash = (hash ^ static_cast<uint8_t>(bytes[i])) * 0x100000001B3u;
  return hash;
}

TEST(TrellisTables, AreThoseThatFilesDependOn) {
  struct Frozen {
    int weightsPerStep, window;
    unsigned mask;
    uint64_t digest;
  };
  const Frozen frozen[] = {
      {1, 12, 0xE, 0x6F1205BCC206301E}, {2, 12, 0xF, 0xC248211C429D62AD},
      {4, 12, 0xF, 0x3D2D07A533A481F8}, {1, 10, 0x3, 0x6BBE63631D3D2559},
      {2, 10, 0x3, 0x4162E03F67FA672B}, {4, 10, 0x3, 0xBCC8E4E8BD3CE0C8},
  };
  for (const Frozen &f : frozen) {
    const TrellisCode *code = findTrellisCode(f.weightsPerStep, f.window);
    ASSERT_NE(code, nullptr);
    EXPECT_EQ(code->mask, f.mask);
    EXPECT_EQ(digest(code->values, f.weightsPerStep * 64), f.digest)
        << std::hex << digest(code->values, f.weightsPerStep * 64);
    int largest = 0;
    for (int i = 0; i < f.weightsPerStep * 64; ++i)
      largest = std::max(largest, std::abs(int(code->values[i])));
    EXPECT_EQ(largest, 127);
  }
  EXPECT_EQ(findTrellisCode(3, 12), nullptr);
  EXPECT_EQ(findTrellisCode(1, 11), nullptr);
}

/// Section 10 of Spec.md holds the same numbers.
TEST(TrellisTables, AreThoseOfTheSpecification) {
  std::ifstream file(LOWBIT_SOURCE_DIR "/docs/Spec.md");
  std::string spec((std::istreambuf_iterator<char>(file)), {});
  ASSERT_FALSE(spec.empty());
  for (int window : {12, 10})
    for (int v : {1, 2, 4}) {
      const TrellisCode &code = *findTrellisCode(v, window);
      char text[200];
      std::snprintf(text, sizeof(text), "V %d L %d M 0x%X unit %.7f error %.4f",
                    v, window, code.mask, static_cast<double>(code.unit),
                    static_cast<double>(code.error));
      std::string expected = text;
      for (int i = 0; i < 64 * v; ++i) {
        std::snprintf(text, sizeof(text), "%s%02x", i % 64 ? "" : "\n",
                      code.values[i] & 255);
        expected += text;
      }
      EXPECT_NE(spec.find(expected), std::string::npos) << expected;
    }
}

TEST(TrellisFormat, Sizes) {
  // 2 bits: 64 rows, K/4 vectors of 64 bytes, 64 scales of 2 bytes.
  EXPECT_EQ(trellisGeometry(TrellisFormat{{1}, 12}, 64, 4096)->bytes,
            65536 + 128);
  EXPECT_NEAR(
      completeBits(*storedSize(TrellisFormat{{1}, 12}, 4096, 4096), 4096, 4096),
      2.0039, 1e-4);
  EXPECT_NEAR(
      completeBits(*storedSize(TrellisFormat{{2}, 12}, 4096, 4096), 4096, 4096),
      1.0039, 1e-4);
  EXPECT_NEAR(
      completeBits(*storedSize(TrellisFormat{{4}, 10}, 4096, 4096), 4096, 4096),
      0.5039, 1e-4);
  EXPECT_NEAR(completeBits(*storedSize(TrellisFormat{{2, 4}, 12}, 4096, 4096),
                           4096, 4096),
              1.5078, 1e-4);
  // A stack: tiles of 128 rows, two strands of the first stream and one of the
  // second, scales behind each.
  TrellisGeometry g = *trellisGeometry(TrellisFormat{{1, 2}, 12}, 130, 10);
  EXPECT_EQ(g.tileRows, 128);
  EXPECT_EQ(g.tiles, 2);
  EXPECT_EQ(g.vectors, 3);
  EXPECT_EQ(g.streams[0].strands, 2);
  EXPECT_EQ(g.streams[0].scales, 2 * 192);
  EXPECT_EQ(g.streams[1].codes, 2 * 192 + 256);
  EXPECT_EQ(g.streams[1].scales, 3 * 192 + 256);
  EXPECT_EQ(g.tileBytes, 3 * 192 + 512);
  // 130 · 10 weights of 3 bits and 130 · 2 scales; the rest is padding.
  StoredSize size = *storedSize(TrellisFormat{{1, 2}, 12}, 130, 10);
  EXPECT_EQ(size.payload, (130 * 30 + 130 * 32 + 7) / 8);
  EXPECT_EQ(size.padding, size.bytes - size.payload);
}

TEST(TrellisFormat, RefusesWhatIsNotOne) {
  EXPECT_EQ(whyInvalid(TrellisFormat{{1}, 12}), nullptr);
  EXPECT_STREQ(whyInvalid(TrellisFormat{{}, 12}), "streams must be 1 to 4");
  EXPECT_STREQ(whyInvalid(TrellisFormat{{1, 1, 1, 1, 1}, 12}),
               "streams must be 1 to 4");
  EXPECT_STREQ(whyInvalid(TrellisFormat{{3}, 12}),
               "a stream must have 2, 1 or 0.5 bits");
  EXPECT_STREQ(whyInvalid(TrellisFormat{{2, 1}, 12}),
               "streams must be ordered by bits, most first");
  EXPECT_STREQ(whyInvalid(TrellisFormat{{1}, 11}), "window must be 10 or 12");
  EXPECT_FALSE(trellisGeometry(TrellisFormat{{1}, 11}, 1, 1));
  EXPECT_FALSE(trellisGeometry(TrellisFormat{{1}, 12}, 0, 1));
  EXPECT_FALSE(trellisGeometry(TrellisFormat{{1}, 12}, 1, 0));
  EXPECT_FALSE(trellisGeometry(TrellisFormat{{1}, 12}, 1, INT64_MAX));
  EXPECT_FALSE(trellisGeometry(TrellisFormat{{1}, 12}, INT64_MAX, 1));
  EXPECT_FALSE(
      storedSize(TrellisFormat{{1}, 12}, int64_t(1) << 31, int64_t(1) << 31));
}

/// The window of a step, as the bits of the stream that lie from p on.
TEST(TrellisFormat, IndexOfEveryWindow) {
  for (const TrellisFormat &format : {TrellisFormat{{1}, 12}, {{4}, 10}}) {
    const TrellisCode &code = format.code(0);
    uint8_t strand[128] = {};
    for (int step = 0; step < 256; ++step)
      for (int window = 0; window < 1 << 14; window += step % 16 ? 37 : 1) {
        // 14 bits at bit 512 + 2 (step − 1), where they exist.
        std::memset(strand, 0, sizeof(strand));
        for (int i = 0; i < 14; ++i) {
          int p = 512 + 2 * (step - 1) + i;
          if (p < 1024 && (window >> i & 1))
            strand[p / 8] |= 1 << p % 8;
        }
        int seen = window;
        for (int i = 0; i < 14; ++i)
          if (512 + 2 * (step - 1) + i >= 1024)
            seen &= ~(1 << i);
        int c = (seen & 63) ^ (static_cast<int>(code.mask) & seen >> 8);
        c &= step % 32 == 31 ? 15 : step % 32 == 0 ? 60 : 63;
        ASSERT_EQ(trellisIndex(code, strand, 2, 1, step), c) << step;
      }
  }
}

/// Cost of a path, as the search sees it.
static double pathCost(const ViterbiCode &code, const ViterbiBlock &block,
                       const ViterbiPath &path) {
  double cost = 0;
  for (int s = 0; s < block.ahead + blockSteps; ++s)
    for (int u = 0; u < code.weightsPerStep; ++u) {
      double e = block.targets[s * code.weightsPerStep + u] -
                 code.table[u * 64 + path.indices[s]];
      cost += e * e;
    }
  return cost;
}

/// The best cost by f64 dynamic programming over all states.
static double bestCost(const ViterbiCode &code, const ViterbiBlock &block) {
  int states = 1 << (code.window - 2);
  std::vector<double> now(states, INFINITY), next(states);
  now[block.end] = 0;
  for (int s = block.ahead + blockSteps - 1; s >= 0; --s) {
    for (int n = 0; n < states; ++n) {
      next[n] = INFINITY;
      for (int t = 0; t < 4; ++t) {
        int bits = n | t << (code.window - 2);
        int c = (bits & 63) ^ (bits >> 8 & static_cast<int>(code.mask));
        int phase = (s + blockSteps - block.ahead) % 32;
        c &= phase == 31 ? 15 : phase == 0 ? 60 : 63;
        double cost = now[bits >> 2];
        for (int u = 0; u < code.weightsPerStep; ++u) {
          double e = block.targets[s * code.weightsPerStep + u] -
                     code.table[u * 64 + c];
          cost += e * e;
        }
        next[n] = std::min(next[n], cost);
      }
    }
    std::swap(now, next);
  }
  double best = INFINITY;
  for (int n = 0; n < states; n += block.ahead ? 1 : 4)
    best = std::min(best, now[n]);
  return best;
}

TEST(Viterbi, FindsTheBestPath) {
  for (const TrellisFormat &format : allFormats) {
    if (format.streams.size() > 1)
      continue;
    const TrellisCode &trellis = format.code(0);
    std::vector<float> table;
    for (int i = 0; i < 64 * trellis.weightsPerStep; ++i)
      table.push_back(trellis.unit * trellis.values[i]);
    ViterbiCode code = {trellis.weightsPerStep, trellis.window, trellis.mask,
                        table.data()};
    ViterbiScratch scratch;
    ViterbiPath path, other;
    for (int seed = 0; seed < 4; ++seed) {
      std::vector<float> targets =
          naive::gaussian(304 * code.weightsPerStep, seed);
      if (seed == 3) // outliers, far beyond the table
        for (size_t i = 0; i < targets.size(); i += 7)
          targets[i] *= 30;
      ViterbiBlock block;
      block.targets = targets.data();
      block.ahead = seed % 2 ? 48 : 0;
      block.end = seed * 77;
      searchTrellis(code, block, scratch, path, CodePath::Portable);
      // The path is one: its states follow each other and end as they should.
      int steps = block.ahead + blockSteps;
      for (int s = 0; s + 1 < steps; ++s)
        ASSERT_EQ(path.states[s + 1] & (1 << (code.window - 4)) - 1,
                  path.states[s] >> 2);
      ASSERT_EQ(block.end & (1 << (code.window - 4)) - 1,
                path.states[steps - 1] >> 2);
      if (!block.ahead)
        ASSERT_EQ(path.states[0] & 3, 0);
      double cost = pathCost(code, block, path), best = bestCost(code, block);
      EXPECT_GE(cost, best * (1 - 1e-6));
      EXPECT_LE(cost, best * (seed == 3 ? 1.05 : 1.003))
          << code.weightsPerStep << " " << code.window << " " << seed;
      searchTrellis(code, block, scratch, other, fastestCodePath());
      ASSERT_EQ(std::memcmp(path.states, other.states, steps * 2), 0);
      ASSERT_EQ(std::memcmp(path.indices, other.indices, steps), 0);
    }
  }
}

/// Error sums of decoded rows against the weights.
static ErrorSums measureDecoded(const TileInput &input, const float *decoded,
                                const float *importance) {
  ErrorSums sums;
  for (int64_t r = 0; r < input.rows; ++r)
    for (int64_t k = 0; k < input.columns; ++k) {
      double w = input.weights[r * input.stride + k];
      double e = w - static_cast<double>(decoded[r * input.columns + k]);
      double h = importance ? static_cast<double>(importance[k]) : 1.0;
      sums.error += e * e;
      sums.energy += w * w;
      sums.weightedError += h * (e * e);
      sums.weightedEnergy += h * (w * w);
    }
  return sums;
}

/// Rows of a tile, their bytes, and what they decode to.
struct EncodedTile {
  TileInput input;
  std::vector<float> weights, decoded;
  std::vector<uint8_t> bytes;

  EncodedTile(const TrellisFormat &format, int64_t rows, int64_t columns,
              unsigned seed, CodePath path = fastestCodePath()) {
    weights = naive::gaussian(rows * columns, seed);
    for (int64_t i = 0; i < rows * columns; ++i) // rows of other deviations
      weights[i] *= 0.01f * static_cast<float>(1 + i / columns % 5);
    input.weights = weights.data();
    input.stride = input.columns = columns;
    input.rows = rows;
    bytes.assign(trellisGeometry(format, rows, columns)->tileBytes, 0xAB);
    TrellisEncoder encoder(format, columns, path);
    std::optional<Defect> defect = encoder.encode(input, bytes.data());
    EXPECT_FALSE(defect);
    decoded.resize(rows * columns);
    defect = makeTrellisFormat(format)->decode(bytes.data(), rows, columns, 0,
                                               {}, decoded.data());
    EXPECT_FALSE(defect);
    // The encoder measures what its bytes decode to.
    std::vector<float> importance;
    for (int64_t k = 0; k < columns; ++k)
      importance.push_back(0.1f * static_cast<float>(k % 7));
    for (const float *h : {static_cast<const float *>(nullptr),
                           static_cast<const float *>(importance.data())}) {
      ErrorSums sums = encoder.measure(input, h);
      ErrorSums expected = measureDecoded(input, decoded.data(), h);
      EXPECT_EQ(sums.error, expected.error);
      EXPECT_EQ(sums.energy, expected.energy);
      EXPECT_EQ(sums.weightedError, expected.weightedError);
      EXPECT_EQ(sums.weightedEnergy, expected.weightedEnergy);
    }
  }
  double error() const {
    ErrorSums sums = measureDecoded(input, decoded.data(), nullptr);
    return sums.error / sums.energy;
  }
};

TEST(TrellisTile, ErrorOfGaussianNumbers) {
  struct Expected {
    TrellisFormat format;
    double error;
  };
  // docs/trellis.md: 0.0724, 0.273, 0.526 at 2, 1, 0.5 bits; 0.144 and 0.0199
  // at 1.5 and 3 bits; window 10: 3 % more.
  for (const Expected &e : {Expected{{{1}, 12}, 0.0724},
                            {{{2}, 12}, 0.273},
                            {{{4}, 12}, 0.526},
                            {{{2, 4}, 12}, 0.144},
                            {{{1, 2}, 12}, 0.0199},
                            {{{1, 1}, 12}, 0.0054},
                            {{{2, 2}, 12}, 0.0755},
                            {{{1}, 10}, 0.0749},
                            {{{2}, 10}, 0.278}})
    EXPECT_LT(EncodedTile(e.format, e.format.tileRows(), 512, 1).error(),
              e.error * 1.01)
        << makeTrellisFormat(e.format)->name();
}

TEST(TrellisTile, ShapesAndPaths) {
  for (const TrellisFormat &format : allFormats)
    for (int64_t columns : {1, 4, 5, 63, 100})
      for (int64_t rows : {int64_t(1), int64_t(17), format.tileRows()}) {
        EncodedTile a(format, rows, columns, 7);
        EncodedTile b(format, rows, columns, 7, CodePath::Portable);
        ASSERT_EQ(a.bytes, b.bytes);
        ASSERT_LT(a.error(), 1.0);
      }
}

TEST(TrellisTile, ExtremeRows) {
  TrellisFormat format = {{1}, 12};
  std::vector<float> weights(64 * 32);
  for (int64_t k = 0; k < 32; ++k) {
    weights[1 * 32 + k] = 1e-30f;               // vanishes
    weights[2 * 32 + k] = k == 9 ? 1000.0f : 0; // one outlier
    weights[3 * 32 + k] = 1e5f;                 // a large scale
  }
  TileInput input;
  input.weights = weights.data();
  input.stride = input.columns = 32;
  input.rows = 64;
  std::vector<uint8_t> bytes(trellisGeometry(format, 64, 32)->tileBytes);
  std::vector<float> decoded(weights.size());
  TrellisEncoder encoder(format, 32);
  ASSERT_FALSE(encoder.encode(input, bytes.data()));
  FormatPtr stored = makeTrellisFormat(format);
  ASSERT_FALSE(stored->decode(bytes.data(), 64, 32, 0, {}, decoded.data()));
  for (int64_t k = 0; k < 32; ++k) {
    EXPECT_EQ(decoded[k], 0);
    EXPECT_EQ(decoded[32 + k], 0);
    EXPECT_TRUE(std::isfinite(decoded[64 + k]));
    EXPECT_NEAR(decoded[96 + k], 1e5f, 5e4f);
  }
  weights[5 * 32 + 3] = 1e9f;
  std::optional<Defect> defect = encoder.encode(input, bytes.data());
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::ScaleOverflow);
  EXPECT_EQ(defect->row, 5);
  EXPECT_EQ(describe(*defect),
            "scale at row 5, group 0 is 3640433, exceeds 65504, "
            "the largest that is stored");
  weights[4 * 32 + 2] = NAN;
  defect = encoder.encode(input, bytes.data());
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::NonFiniteWeight);
  EXPECT_EQ(defect->row, 4);
  EXPECT_EQ(defect->column, 2);
  EXPECT_EQ(describe(*defect),
            "weight at row 4, column 2 is nan, must be finite");
}

TEST(TrellisTile, RefusesScalesThatNoEncoderWrites) {
  TrellisFormat format = {{1, 2}, 12};
  EncodedTile tile(format, 128, 8, 3);
  int64_t scales = trellisGeometry(format, 128, 8)->streams[1].scales;
  tile.bytes[scales + 2 * 7 + 1] |= 0x80;
  std::optional<Defect> defect = makeTrellisFormat(format)->decode(
      tile.bytes.data(), 128, 8, 256, {}, tile.decoded.data());
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::BadScale);
  EXPECT_EQ(defect->row, 256 + 7);
  EXPECT_EQ(describe(*defect), "scale of the group at row 263, column 0 is "
                               "-7.97510147e-05, must be finite and not "
                               "signed");
}

/// The first stream of a stack alone is a code of its own.
TEST(TrellisTile, StacksAreNested) {
  TrellisFormat stack = {{2, 2}, 12}, one = {{2}, 12};
  EncodedTile tile(stack, 128, 256, 5);
  std::vector<float> first(128 * 256);
  ASSERT_FALSE(makeTrellisFormat(one)->decode(tile.bytes.data(), 128, 256, 0,
                                              {}, first.data()));
  ErrorSums sums = measureDecoded(tile.input, first.data(), nullptr);
  EXPECT_LT(sums.error / sums.energy, 0.273 * 1.03);
}

//===----------------------------------------------------------------------===//
// Error feedback
//===----------------------------------------------------------------------===//

/// H of an AR(1) process of 256 columns, ρ = 0.9, after random signs and a
/// Hadamard rotation.
static feedback::Moments rotatedMoments() {
  constexpr int64_t columns = 256;
  std::vector<double> h(columns * columns);
  std::mt19937 random(11);
  std::vector<double> signs(columns);
  for (double &sign : signs)
    sign = random() & 1 ? 1 : -1;
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j < columns; ++j)
      h[i * columns + j] = std::pow(0.9, std::abs(i - j)) * signs[i] * signs[j];
  auto rotate = [&](double *x, int64_t stride) {
    for (int64_t half = 1; half < columns; half *= 2)
      for (int64_t i = 0; i < columns; ++i)
        if (!(i & half)) {
          double a = x[i * stride], b = x[(i + half) * stride];
          x[i * stride] = (a + b) * M_SQRT1_2;
          x[(i + half) * stride] = (a - b) * M_SQRT1_2;
        }
  };
  for (int64_t i = 0; i < columns; ++i)
    rotate(&h[i * columns], 1);
  for (int64_t i = 0; i < columns; ++i)
    rotate(&h[i], columns);
  feedback::Moments moments(columns);
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j <= i; ++j)
      moments.at(i, j) = static_cast<float>(h[i * columns + j]);
  return moments;
}

TEST(TrellisTile, FeedbackRepairsTheOutput) {
  feedback::Moments h = rotatedMoments();
  int64_t columns = h.columns;
  struct Expected {
    TrellisFormat format;
    double error;
  };
  // docs/trellis.md, section 5: 0.0187 at 2 bits (0.0680 without feedback).
  for (const Expected &e : {Expected{{{1}, 12}, 0.0187},
                            {{{1}, 10}, 0.020},
                            {{{2}, 12}, 0.095},
                            {{{1, 2}, 12}, 0.006}}) {
    int64_t rows = e.format.tileRows();
    std::vector<float> weights = feedback::gaussian(rows * columns, 11);
    TileInput input = {weights.data(), columns, rows, columns, 0};
    FeedbackFactor factor =
        feedback::factorOf(h, trellisOrder(columns), 0.0001);
    std::vector<uint8_t> tile(
        trellisGeometry(e.format, rows, columns)->tileBytes);
    std::vector<uint8_t> other = tile;
    ASSERT_FALSE(
        TrellisEncoder(e.format, columns).encode(input, factor, tile.data()));
    ASSERT_FALSE(TrellisEncoder(e.format, columns, CodePath::Portable)
                     .encode(input, factor, other.data()));
    EXPECT_EQ(tile, other);
    std::vector<float> error(weights.size());
    ASSERT_FALSE(makeTrellisFormat(e.format)->decode(tile.data(), rows, columns,
                                                     0, {}, error.data()));
    for (size_t i = 0; i < error.size(); ++i)
      error[i] = weights[i] - error[i];
    EXPECT_LT(feedback::outputError(h, error, rows),
              e.error * feedback::outputError(h, weights, rows))
        << makeTrellisFormat(e.format)->name() << ": "
        << feedback::outputError(h, error, rows) /
               feedback::outputError(h, weights, rows);
  }
}

/// Columns that do not share inputs get no feedback: the bits are those of the
/// plain search.
TEST(TrellisTile, FeedbackOfADiagonalIsNone) {
  for (const TrellisFormat &format : {TrellisFormat{{1}, 12}, {{2, 4}, 10}})
    for (int64_t columns : {3, 50}) {
      feedback::Moments h(columns);
      for (int64_t i = 0; i < columns; ++i)
        h.at(i, i) = 1 + static_cast<float>(i % 3);
      int64_t rows = 40;
      std::vector<float> weights = feedback::gaussian(rows * columns, 1);
      TileInput input = {weights.data(), columns, rows, columns, 0};
      FeedbackFactor factor = feedback::factorOf(h, trellisOrder(columns), 0);
      TrellisGeometry places = *trellisGeometry(format, rows, columns);
      std::vector<uint8_t> plain(places.tileBytes), fed = plain;
      TrellisEncoder encoder(format, columns);
      ASSERT_FALSE(encoder.encode(input, plain.data()));
      ASSERT_FALSE(encoder.encode(input, factor, fed.data()));
      for (const TrellisGeometry::Stream &stream : places.streams)
        EXPECT_EQ(std::memcmp(plain.data() + stream.codes,
                              fed.data() + stream.codes,
                              stream.scales - stream.codes),
                  0);
    }
}
