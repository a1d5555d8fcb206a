//===- ElementFormatTest.cpp ---------------------------------- -*- C++ -*-===//
//
// Small floats against the package ml_dtypes, levels against loops, the search
// against nearest, error feedback against both; every code there and back.
//
//===----------------------------------------------------------------------===//
#include "EncodedTile.h"
#include "FeedbackInputs.h"
#include "MicroscalingGolden.h"
#include "NaiveInteger.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/WeightFormat.h"

#include <gtest/gtest.h>

using namespace lowbit;

namespace {

Encoded encode(const WeightFormat &format, const std::vector<float> &weights,
               int64_t rows, int64_t columns, const std::string &solver,
               const float *importance = nullptr,
               CodePath path = fastestCodePath(),
               const FeedbackFactor *factor = nullptr,
               const std::string &scales = "search") {
  EncoderOptions options;
  options.solver = solver;
  options.scales = scales;
  options.importance = importance;
  options.factor = factor;
  options.path = path;
  return encode(format, weights, rows, columns, options);
}

/// `inputs` in groups of 32 behind a weight that makes the scale 1.
template <size_t N>
void expectElements(const char *name, const uint32_t (&inputs)[N],
                    const uint8_t (&codes)[N], float largest) {
  for (size_t first = 0; first < N; first += 31) {
    size_t count = std::min<size_t>(31, N - first);
    std::vector<float> weights(count + 1);
    weights[0] = largest;
    for (size_t i = 0; i < count; ++i)
      weights[i + 1] = bitsToFloat(inputs[first + i]);
    auto columns = static_cast<int64_t>(weights.size());
    Encoded e = encode(*format(name), weights, 1, columns, "nearest");
    ASSERT_EQ(e.tile.scaleBits[0], 127);
    for (size_t i = 0; i < count; ++i)
      ASSERT_EQ(e.tile.codes[i + 1], codes[first + i])
          << name << " " << weights[i + 1];
  }
}

} // namespace

TEST(ElementFormat, RoundsAsMlDtypes) {
  expectElements("mxfp4", golden::inputsE2M1, golden::codesE2M1, 6.0f);
  expectElements("mxfp6-e2m3", golden::inputsE2M3, golden::codesE2M3, 7.5f);
  expectElements("mxfp6-e3m2", golden::inputsE3M2, golden::codesE3M2, 28.0f);
  expectElements("mxfp8-e4m3", golden::inputsE4M3, golden::codesE4M3, 448.0f);
  expectElements("mxfp8-e5m2", golden::inputsE5M2, golden::codesE5M2, 57344.0f);
}

TEST(ElementFormat, ScalesArePowersBelowTheLargest) {
  for (size_t i = 0; i < std::size(golden::magnitudes); ++i) {
    std::vector<float> weights(32, 0.0f);
    weights[5] = -bitsToFloat(golden::magnitudes[i]);
    Encoded e = encode(*format("mxfp4"), weights, 1, 32, "nearest");
    EXPECT_EQ(e.tile.scaleBits[0], golden::scalesE8M0[i]) << weights[5];
  }
}

TEST(ElementFormat, SaturatesAndKeepsZeros) {
  std::vector<float> weights(32, 0.0f);
  weights[0] = 7.9f; // scale 1, beyond 6
  weights[1] = -7.9f;
  weights[2] = -0.0f;
  Encoded e = encode(*format("mxfp4"), weights, 1, 32, "nearest");
  EXPECT_EQ(e.tile.codes[0], 7);
  EXPECT_EQ(e.tile.codes[1], 15);
  EXPECT_EQ(e.tile.codes[2], 8);
  std::fill(weights.begin(), weights.end(), 0.0f);
  for (const char *name : {"mxfp4", "nvfp4", "mxfp6-e2m3"}) {
    e = encode(*format(name), weights, 1, 32, "search");
    EXPECT_EQ(e.tile.scaleBits[0], 0);
    EXPECT_EQ(e.tile.codes, std::vector<uint8_t>(16 * 32, 0));
  }
}

/// Design, section 10, NVFP4: each step rounded in f32.
TEST(ElementFormat, Nvfp4HasTwoScales) {
  constexpr int64_t rows = 16, columns = 80;
  std::vector<float> weights = naive::gaussian(rows * columns, 3, 0.02f);
  Encoded e = encode(*format("nvfp4"), weights, rows, columns, "nearest");
  float amax = 0;
  for (float w : weights)
    amax = std::max(amax, std::fabs(w));
  ASSERT_EQ(e.facts.factor, amax / (6.0f * 448.0f));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t g = 0; g < columns / 16; ++g) {
      const float *w = &weights[static_cast<size_t>(r * columns + g * 16)];
      float block = 0;
      for (int k = 0; k < 16; ++k)
        block = std::max(block, std::fabs(w[k]));
      auto at = static_cast<size_t>(r * e.tile.groups + g);
      float scale = block / (6.0f * e.facts.factor);
      ASSERT_EQ(e.tile.scaleBits[at],
                naive::nearestCode(scale, 0x7E, naive::e4m3Value));
    }
}

TEST(ElementFormat, EveryCodeComesBack) {
  for (const char *name :
       {"mxfp4", "mxfp6-e2m3", "mxfp6-e3m2", "mxfp8-e4m3", "mxfp8-e5m2",
        "mxint8", "ternary-g64", "levels.m127.m3.0.1.127-g32"}) {
    FormatPtr f = format(name);
    const IntegerFormat &integers = *f->integers();
    IntegerTile tile;
    tile.reset(integers, 16, 64);
    std::fill(tile.scaleBits.begin(), tile.scaleBits.end(),
              integers.scale == ScaleType::E8M0 ? 127 : 0x3C00); // 1
    for (size_t i = 0; i < tile.codes.size(); ++i)
      for (int code = static_cast<int>(i % 256) % integers.codes();;
           code = (code + 1) % integers.codes())
        if (integers.isNumber(code)) {
          tile.codes[i] = static_cast<uint8_t>(code);
          break;
        }
    std::vector<uint8_t> bytes(
        static_cast<size_t>(f->places(16, 64)->tileBytes));
    packTile(tile, bytes.data());
    ASSERT_EQ(bytes, naive::pack(tile)) << name;
    std::vector<float> values(16 * 64);
    ASSERT_FALSE(f->decode(bytes.data(), 16, 64, 0, {}, values.data()));
    for (size_t i = 0; i < tile.codes.size(); ++i)
      ASSERT_EQ(values[i], integers.tableValue(tile.codes[i]));
  }
}

TEST(ElementFormat, RefusesCodesThatMeanNothing) {
  FormatPtr f = format("ternary-g32");
  std::vector<uint8_t> bytes(static_cast<size_t>(f->places(16, 32)->tileBytes),
                             0xFF);
  std::fill(bytes.begin() + 128, bytes.end(), static_cast<uint8_t>(0));
  StepTile steps;
  std::optional<Defect> defect = f->unpack(bytes.data(), 16, 32, 0, steps);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::BadCode);
}

TEST(ElementFormat, SearchIsNeverWorseAndTheSameOnEveryPath) {
  constexpr int64_t rows = 7, columns = 203;
  std::vector<float> weights = naive::gaussian(rows * columns, 5, 0.03f);
  std::vector<float> importance = naive::gaussian(columns, 6);
  for (float &h : importance)
    h = h * h;
  for (const char *name :
       {"mxfp4", "nvfp4", "mxfp6-e2m3", "mxfp6-e3m2", "mxfp8-e4m3",
        "mxfp8-e5m2", "mxint8", "ternary-g64", "ternary-row",
        "levels.m127.m90.m61.m40.m22.m7.0.9.24.44.70.127-g64-e4m3"}) {
    SCOPED_TRACE(name);
    FormatPtr f = format(name);
    Encoded nearest =
        encode(*f, weights, rows, columns, "nearest", importance.data());
    Encoded search =
        encode(*f, weights, rows, columns, "search", importance.data());
    EXPECT_LE(search.sums.weightedError,
              nearest.sums.weightedError * (1 + 1e-6));
    Encoded portable = encode(*f, weights, rows, columns, "search",
                              importance.data(), CodePath::Portable);
    EXPECT_EQ(search.bytes, portable.bytes);
  }
  // Three levels gain most.
  FormatPtr ternary = format("ternary-row");
  EXPECT_LT(encode(*ternary, weights, rows, columns, "search").sums.error,
            0.5 *
                encode(*ternary, weights, rows, columns, "nearest").sums.error);
}

TEST(ElementFormat, FeedbackWithDiagonalMomentsIsThePlainSolver) {
  constexpr int64_t rows = 13, columns = 203;
  std::vector<float> weights = naive::gaussian(rows * columns, 8, 0.05f);
  std::fill_n(weights.begin() + 64, 64, 0.0f); // Groups of zeros.
  for (int64_t k = 0; k < 128; ++k)            // Groups that vanish.
    weights[static_cast<size_t>(columns + k)] = -1e-30f;
  feedback::Moments h(columns);
  std::vector<float> diagonal;
  for (int64_t k = 0; k < columns; ++k) {
    h.at(k, k) = 1.0f + static_cast<float>(k % 7);
    diagonal.push_back(h.at(k, k));
  }
  FeedbackFactor factor =
      feedback::factorOf(h, activationOrder(h.view(), 1), 0.01);
  for (const char *name : {"mxfp4", "nvfp4", "mxfp6-e2m3", "mxfp6-e3m2",
                           "mxfp8-e4m3", "mxfp8-e5m2", "mxint8", "ternary-g64",
                           "levels.m127.m40.0.1.127-row-e4m3"})
    for (const char *scales : {"nearest", "search"}) {
      SCOPED_TRACE(name);
      FormatPtr f = format(name);
      Encoded plain =
          encode(*f, weights, rows, columns, scales, diagonal.data());
      Encoded fed = encode(*f, weights, rows, columns, "gptq", diagonal.data(),
                           fastestCodePath(), &factor, scales);
      EXPECT_EQ(plain.bytes, fed.bytes);
    }
}

TEST(ElementFormat, FeedbackRepairsMostOfTheErrorOfCorrelatedInputs) {
  constexpr int64_t rows = 16, columns = 256;
  feedback::Moments h = feedback::autoregressive(columns, 0.9);
  std::vector<float> weights = feedback::gaussian(rows * columns, 2);
  FeedbackFactor factor =
      feedback::factorOf(h, activationOrder(h.view(), 1), 0.01);
  for (const char *name :
       {"mxfp4", "nvfp4", "mxfp6-e2m3", "mxfp6-e3m2", "mxfp8-e4m3",
        "mxfp8-e5m2", "mxint8", "ternary-g64", "levels.m90.m20.0.30-g64"}) {
    SCOPED_TRACE(name);
    FormatPtr f = format(name);
    Encoded plain = encode(*f, weights, rows, columns, "search");
    Encoded fed = encode(*f, weights, rows, columns, "gptq", nullptr,
                         fastestCodePath(), &factor);
    EXPECT_EQ(plain.tile.scaleBits, fed.tile.scaleBits);
    EXPECT_LT(outputError(*f, fed, weights, rows, h),
              0.3 * outputError(*f, plain, weights, rows, h));
    Encoded portable = encode(*f, weights, rows, columns, "gptq", nullptr,
                              CodePath::Portable, &factor);
    EXPECT_EQ(fed.bytes, portable.bytes);
  }
}

TEST(ElementFormat, RefusesWhatIsNotFinite) {
  std::vector<float> weights(32, 0.0f);
  weights[17] = NAN;
  FormatPtr f = format("mxfp4");
  auto encoder = f->makeEncoder(32, {});
  std::vector<uint8_t> bytes(static_cast<size_t>(f->places(1, 32)->tileBytes));
  ErrorSums sums;
  std::optional<Defect> defect =
      encoder->encode({weights.data(), 32, 1, 32, 4}, {}, bytes.data(), sums);
  ASSERT_TRUE(defect);
  EXPECT_EQ(defect->kind, Defect::Kind::NonFiniteWeight);
  EXPECT_EQ(defect->row, 4);
  EXPECT_EQ(defect->column, 17);
}
