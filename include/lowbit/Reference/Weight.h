//===- Weight.h - A decoded parameter ---------------------------*- C++ -*-===//
//
// What the bytes of a parameter mean. Float tensors are widened exactly to f32.
// Formats that are multiplied with integers (Spec.md, section 1) are kept as
// integers and scales, so that the exact sums of strict numerics can be made
// from them: this is all that linear, embedding and check see of a format.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_WEIGHT_H
#define LOWBIT_REFERENCE_WEIGHT_H

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace lowbit {

/// The integers of a weight: w = F · s · (step · unit).
struct IntegerSteps {
  /// `[row][column]`: c − z, or 2·(c − z) = 2c − (2^b − 1) for offset `half`.
  std::vector<int16_t> steps;
  /// What a step counts, a power of two: 1, or ½ for offset `half`.
  float unit = 1;
  /// `[row][group]`: s, widened.
  std::vector<float> scales;
  /// F; 1 where the format has none.
  float factor = 1;
  bool hasFactor = false;
  /// One group for the whole row.
  bool wholeRow = false;
  /// Columns of a full group (all columns where `wholeRow`), groups of a row.
  int64_t group = 0;
  int64_t groups = 0;
};

/// A decoded parameter: a matrix, or a vector (`rows` is 1).
struct Weight {
  int64_t rows = 0;
  int64_t columns = 0;
  bool isVector = false;
  /// `[row][column]`; empty where `integers` is set or the numbers were
  /// computed.
  std::vector<float> values;
  /// `[row][column]` of what weight operations computed in f64, not yet
  /// rounded to f32; else empty.
  std::vector<double> computed;
  /// Set where the type has a format that is multiplied with integers.
  std::optional<IntegerSteps> integers;
  /// What is added to `integers`: the further streams of a trellis code, of
  /// which all have one scale per row and no factor.
  std::vector<IntegerSteps> refinements;

  /// An element by the steps of Spec.md, "Embedding": `(step · unit) · s`,
  /// then `· F` where there is one, each rounded to f32;
  /// refinements are added, each sum rounded. A computed number is rounded
  /// once.
  float strictValue(int64_t row, int64_t column) const;
  /// The same element without rounding (a stored one is exact: at most 37
  /// bits).
  double exactValue(int64_t row, int64_t column) const;
  /// One of the two above, by type.
  template <typename T> T value(int64_t row, int64_t column) const;
};

template <>
inline float Weight::value<float>(int64_t row, int64_t column) const {
  return strictValue(row, column);
}
template <>
inline double Weight::value<double>(int64_t row, int64_t column) const {
  return exactValue(row, column);
}

using WeightPtr = std::shared_ptr<const Weight>;

} // namespace lowbit

#endif // LOWBIT_REFERENCE_WEIGHT_H
