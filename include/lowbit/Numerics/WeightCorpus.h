//===- WeightCorpus.h - Seeded weights to judge methods on ------*- C++ -*-===//
//
// Formats, solvers and transforms are compared on weights of known kinds beside
// real models: what a method gains on Gaussian weights, on heavy tails, on
// outlier columns and on weights with structure, read by inputs whose columns
// are independent, correlated with their neighbours, or of low rank.
//
//   std::vector<float> w =
//       corpusWeights(CorpusWeights::OutlierColumns, 256, 1024, /*seed=*/1);
//   std::vector<float> x =
//       corpusInputs(CorpusInputs::Autoregressive, {4096, 1024}, 1, 2);
//   std::vector<float> h =                   // what x tends to, to be judged
//   by
//       corpusMoments(CorpusInputs::Autoregressive, 1024, 1);
//
// Numbers depend on kind, size and seed alone, on every CPU and compiler: words
// of SplitMix64 (Steele, Lea, Flood 2014), normal numbers by Marsaglia's polar
// method with a logarithm of our own, f64 rounded to f32 once. No other kind of
// random number is drawn from them; they are no model of any real matrix.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_WEIGHTCORPUS_H
#define LOWBIT_NUMERICS_WEIGHTCORPUS_H

#include <cstdint>
#include <vector>

namespace lowbit {

/// Kinds of weights, about unit variance but for outliers.
enum class CorpusWeights : uint8_t {
  /// Independent, N(0, 1).
  Gaussian,
  /// Independent, Student's t with 4 degrees of freedom (variance 2).
  StudentT,
  /// Gaussian; max(1, columns / 51) columns, chosen by the seed, times 6 (20 of
  /// 1024).
  OutlierColumns,
  /// U V / sqrt(r) + N / 4, U, V and N Gaussian, r = max(1, min(rows, columns)
  /// / 16).
  LowRank,
};
constexpr CorpusWeights allCorpusWeights[] = {
    CorpusWeights::Gaussian, CorpusWeights::StudentT,
    CorpusWeights::OutlierColumns, CorpusWeights::LowRank};

/// Kinds of inputs of a linear, each column of unit variance (LowRank: about).
enum class CorpusInputs : uint8_t {
  /// Independent columns.
  White,
  /// x_k = 0.9 x_{k−1} + sqrt(1 − 0.81) n_k.
  Autoregressive,
  /// x = A g / sqrt(r) + n / 10, r = max(1, columns / 8); A is chosen by the
  /// seed of the kind, g and n by that of the rows.
  LowRank,
};
constexpr CorpusInputs allCorpusInputs[] = {
    CorpusInputs::White, CorpusInputs::Autoregressive, CorpusInputs::LowRank};

/// `gaussian`, `student-t4`, `outlier-columns`, `low-rank`.
const char *corpusName(CorpusWeights kind);
/// `white`, `ar1-0.9`, `low-rank`.
const char *corpusName(CorpusInputs kind);

/// `count` numbers N(0, 1).
std::vector<float> normalNumbers(int64_t count, uint64_t seed);

/// [rows][columns]; both at least 1.
std::vector<float> corpusWeights(CorpusWeights kind, int64_t rows,
                                 int64_t columns, uint64_t seed);

/// Rows and columns of inputs.
struct CorpusShape {
  int64_t rows = 0, columns = 0;
};

/// [rows][columns] inputs. `kindSeed` chooses A, `seed` the rows: rows of two
/// seeds are two samples of the same inputs.
std::vector<float> corpusInputs(CorpusInputs kind, CorpusShape shape,
                                uint64_t kindSeed, uint64_t seed);

/// The expectation of x xᵀ: the lower triangle with the diagonal, row by row
/// (MomentsView).
std::vector<float> corpusMoments(CorpusInputs kind, int64_t columns,
                                 uint64_t kindSeed);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_WEIGHTCORPUS_H
