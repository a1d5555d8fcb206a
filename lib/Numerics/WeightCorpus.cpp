//===- WeightCorpus.cpp - Seeded weights to judge methods on ----*- C++ -*-===//
#include "lowbit/Numerics/WeightCorpus.h"

#include <algorithm>
#include <cmath>

namespace lowbit {

namespace {

/// ln x, x > 0 and normal: ln m + e ln 2, ln m = 2 atanh((m − 1) / (m + 1)) by
/// its series, m from √½ to √2. Within 2 ulp; std::log is another number on
/// another machine.
double naturalLog(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752) {
    m *= 2;
    --exponent;
  }
  double t = (m - 1) / (m + 1), square = t * t, sum = 0;
  for (int n = 23; n >= 1; n -= 2)
    sum = sum * square + 1.0 / n;
  return 2 * t * sum + exponent * 0.69314718055994531;
}

/// Random numbers of one seed.
class Numbers {
public:
  explicit Numbers(uint64_t seed) : state(seed) {}

  uint64_t word() {
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }

  /// From 2^-53 to 1 − 2^-53, in steps of 2^-52.
  double uniform() { return (double(word() >> 12) + 0.5) * 0x1p-52; }

  double normal() {
    if (hasSpare) {
      hasSpare = false;
      return spare;
    }
    double u, v, s;
    do {
      u = 2 * uniform() - 1;
      v = 2 * uniform() - 1;
      s = u * u + v * v;
    } while (s >= 1 || s == 0);
    double factor = std::sqrt(-2 * naturalLog(s) / s);
    spare = v * factor;
    hasSpare = true;
    return u * factor;
  }

private:
  uint64_t state;
  double spare = 0;
  bool hasSpare = false;
};

/// What a seed is for: streams of one seed that have nothing in common.
enum Stream : uint64_t { Values = 0, Columns = 1, Left = 2, Right = 3 };

Numbers streamOf(uint64_t seed, Stream stream) {
  return Numbers(Numbers(seed).word() + Numbers(stream).word());
}

std::vector<double> normals(int64_t count, Numbers numbers) {
  std::vector<double> values(static_cast<size_t>(count));
  for (double &value : values)
    value = numbers.normal();
  return values;
}

/// values[i][j] += factor · Σ_k left[i][k] right[k][j], k in order.
void addProduct(std::vector<double> &values, const std::vector<double> &left,
                const std::vector<double> &right, int64_t rank,
                int64_t columns) {
  double factor = 1 / std::sqrt(double(rank));
  int64_t rows = static_cast<int64_t>(left.size()) / rank;
  std::vector<double> sums(static_cast<size_t>(columns));
  for (int64_t i = 0; i < rows; ++i) {
    std::fill(sums.begin(), sums.end(), 0);
    for (int64_t k = 0; k < rank; ++k)
      for (int64_t j = 0; j < columns; ++j)
        sums[j] += left[i * rank + k] * right[k * columns + j];
    for (int64_t j = 0; j < columns; ++j)
      values[i * columns + j] += factor * sums[j];
  }
}

std::vector<float> rounded(const std::vector<double> &values) {
  return std::vector<float>(values.begin(), values.end());
}

/// t = n / sqrt(χ²/4), χ² with 4 degrees of freedom being −2 ln(u₁ u₂).
std::vector<double> studentNumbers(int64_t count, Numbers numbers) {
  std::vector<double> values(static_cast<size_t>(count));
  for (double &value : values) {
    double normal = numbers.normal();
    double u = numbers.uniform(), v = numbers.uniform();
    value = normal / std::sqrt(-0.5 * (naturalLog(u) + naturalLog(v)));
  }
  return values;
}

void growColumns(std::vector<double> &values, int64_t columns,
                 Numbers numbers) {
  int64_t count = std::max<int64_t>(1, columns / 51);
  std::vector<int64_t> order(static_cast<size_t>(columns));
  for (int64_t j = 0; j < columns; ++j)
    order[j] = j;
  for (int64_t i = 0; i < count; ++i) {
    std::swap(order[i],
              order[i + int64_t(numbers.word() % uint64_t(columns - i))]);
    for (size_t at = order[i]; at < values.size(); at += columns)
      values[at] *= 6;
  }
}

int64_t inputRank(int64_t columns) { return std::max<int64_t>(1, columns / 8); }

constexpr double correlation = 0.9;
constexpr double noise = 0.1;

} // namespace

const char *corpusName(CorpusWeights kind) {
  switch (kind) {
  case CorpusWeights::Gaussian:
    return "gaussian";
  case CorpusWeights::StudentT:
    return "student-t4";
  case CorpusWeights::OutlierColumns:
    return "outlier-columns";
  case CorpusWeights::LowRank:
    return "low-rank";
  }
  return "";
}

const char *corpusName(CorpusInputs kind) {
  switch (kind) {
  case CorpusInputs::White:
    return "white";
  case CorpusInputs::Autoregressive:
    return "ar1-0.9";
  case CorpusInputs::LowRank:
    return "low-rank";
  }
  return "";
}

std::vector<float> normalNumbers(int64_t count, uint64_t seed) {
  return rounded(normals(count, streamOf(seed, Values)));
}

std::vector<float> corpusWeights(CorpusWeights kind, int64_t rows,
                                 int64_t columns, uint64_t seed) {
  int64_t count = rows * columns;
  if (kind == CorpusWeights::StudentT)
    return rounded(studentNumbers(count, streamOf(seed, Values)));
  std::vector<double> values = normals(count, streamOf(seed, Values));
  if (kind == CorpusWeights::OutlierColumns)
    growColumns(values, columns, streamOf(seed, Columns));
  if (kind == CorpusWeights::LowRank) {
    int64_t rank = std::max<int64_t>(1, std::min(rows, columns) / 16);
    for (double &value : values)
      value *= 0.25;
    addProduct(values, normals(rows * rank, streamOf(seed, Left)),
               normals(rank * columns, streamOf(seed, Right)), rank, columns);
  }
  return rounded(values);
}

std::vector<float> corpusInputs(CorpusInputs kind, CorpusShape shape,
                                uint64_t kindSeed, uint64_t seed) {
  int64_t rows = shape.rows, columns = shape.columns;
  std::vector<double> values = normals(rows * columns, streamOf(seed, Values));
  if (kind == CorpusInputs::Autoregressive) {
    double share = std::sqrt(1 - correlation * correlation);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t k = 1; k < columns; ++k) {
        double *x = &values[i * columns + k];
        x[0] = correlation * x[-1] + share * x[0];
      }
  }
  if (kind == CorpusInputs::LowRank) {
    int64_t rank = inputRank(columns);
    for (double &value : values)
      value *= noise;
    addProduct(values, normals(rows * rank, streamOf(seed, Left)),
               normals(rank * columns, streamOf(kindSeed, Right)), rank,
               columns);
  }
  return rounded(values);
}

std::vector<float> corpusMoments(CorpusInputs kind, int64_t columns,
                                 uint64_t kindSeed) {
  std::vector<float> h;
  h.reserve(static_cast<size_t>(columns * (columns + 1) / 2));
  std::vector<double> mixing, powers(static_cast<size_t>(columns), 1);
  int64_t rank = inputRank(columns);
  if (kind == CorpusInputs::LowRank)
    mixing = normals(rank * columns, streamOf(kindSeed, Right));
  for (int64_t k = 1; k < columns; ++k)
    powers[k] = correlation * powers[k - 1];
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double value = i == j ? 1 : 0;
      if (kind == CorpusInputs::Autoregressive)
        value = powers[i - j];
      if (kind == CorpusInputs::LowRank) {
        double sum = 0;
        for (int64_t k = 0; k < rank; ++k)
          sum += mixing[k * columns + i] * mixing[k * columns + j];
        value = sum / double(rank) + (i == j ? noise * noise : 0);
      }
      h.push_back(static_cast<float>(value));
    }
  return h;
}

} // namespace lowbit
