//===- EncodedTile.h - One tile through an encoder, for tests ---*- C++ -*-===//
#ifndef LOWBIT_TEST_UNIT_NUMERICS_ENCODEDTILE_H
#define LOWBIT_TEST_UNIT_NUMERICS_ENCODEDTILE_H

#include "FeedbackInputs.h"
#include "lowbit/Numerics/IntegerTile.h"
#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/WeightFormat.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lowbit {

inline FormatPtr format(const std::string &name) {
  std::string why;
  FormatPtr found = findFormat(name, why);
  EXPECT_TRUE(found) << why;
  return found;
}

/// One encoded tile, unpacked to codes.
struct Encoded {
  std::vector<uint8_t> bytes;
  IntegerTile tile;
  TensorFacts facts;
  ErrorSums sums;
};

inline Encoded encode(const WeightFormat &format,
                      const std::vector<float> &weights, int64_t rows,
                      int64_t columns, const EncoderOptions &options) {
  Encoded result;
  TileInput input{weights.data(), columns, rows, columns, 0};
  auto encoder = format.makeEncoder(columns, options);
  TensorScan scan;
  if (format.needsScan())
    EXPECT_FALSE(encoder->scan(input, scan));
  result.facts = format.facts(scan);
  result.bytes.resize(
      static_cast<size_t>(format.places(rows, columns)->tileBytes));
  EXPECT_FALSE(
      encoder->encode(input, result.facts, result.bytes.data(), result.sums));
  EXPECT_FALSE(unpackTile(*format.integers(), rows, columns, 0,
                          result.facts.factor, result.bytes.data(),
                          result.tile));
  return result;
}

/// tr(E H Eᵀ), E what the tile's values differ by from `weights`.
inline double outputError(const WeightFormat &format, const Encoded &encoded,
                          const std::vector<float> &weights, int64_t rows,
                          const feedback::Moments &h) {
  std::vector<float> error(weights.size());
  EXPECT_FALSE(format.decode(encoded.bytes.data(), rows, h.columns, 0,
                             encoded.facts, error.data()));
  for (size_t i = 0; i < error.size(); ++i)
    error[i] = weights[i] - error[i];
  return feedback::outputError(h, error, rows);
}

} // namespace lowbit

#endif // LOWBIT_TEST_UNIT_NUMERICS_ENCODEDTILE_H
