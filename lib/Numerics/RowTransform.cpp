//===- RowTransform.cpp - Rows times a matrix of a known kind ---*- C++ -*-===//

#include "lowbit/Numerics/RowTransform.h"
#include "DoubleKernels.h"
#include "lowbit/Numerics/Hadamard.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;

namespace {

class HadamardRows : public RowTransform {
public:
  HadamardRows(int64_t columns, int64_t block, std::optional<uint64_t> seed,
               bool transposed)
      : RowTransform(columns, columns), transform(block, seed, transposed) {}

  void apply(const double *in, int64_t rows, double *out) const override {
    std::copy_n(in, rows * inColumns, out);
    std::vector<double> scratch(transform.block());
    transform.apply(out, rows * inColumns, scratch.data());
  }

private:
  HadamardTransform transform;
};

class DiagonalRows : public RowTransform {
public:
  DiagonalRows(int64_t columns, std::vector<double> factors)
      : RowTransform(columns, columns), factors(std::move(factors)) {}

  void apply(const double *in, int64_t rows, double *out) const override {
    size_t period = factors.size();
    for (int64_t first = 0; first < rows * inColumns; first += period)
      for (size_t i = 0; i < period; ++i)
        out[first + i] = in[first + i] * factors[i];
  }

private:
  std::vector<double> factors;
};

class KroneckerRows : public RowTransform {
public:
  KroneckerRows(int64_t columns, std::vector<double> first, int64_t firstSize,
                std::vector<double> second, int64_t secondSize, CodePath path)
      : RowTransform(columns, columns), first(std::move(first)),
        second(std::move(second)), a(firstSize), b(secondSize),
        kernels(doubleKernels(path)) {}

  void apply(const double *in, int64_t rows, double *out) const override {
    // A batch is a list of blocks, and a block a list of rows of X.
    int64_t blocks = rows * inColumns / (a * b);
    kernels.multiply(in, blocks * a, second.data(), b, out);
    if (a == 1)
      return;
    std::vector<double> turned(a * b), product(a * b);
    for (int64_t block = 0; block < blocks; ++block) {
      double *x = out + block * a * b;
      for (int64_t i = 0; i < a; ++i)
        for (int64_t j = 0; j < b; ++j)
          turned[j * a + i] = x[i * b + j];
      kernels.multiply(turned.data(), b, first.data(), a, product.data());
      for (int64_t i = 0; i < a; ++i)
        for (int64_t j = 0; j < b; ++j)
          x[i * b + j] = product[j * a + i];
    }
  }

private:
  std::vector<double> first, second;
  int64_t a, b;
  const DoubleKernels &kernels;
};

class GatherRows : public RowTransform {
public:
  GatherRows(int64_t inColumns, int64_t outColumns, std::vector<int64_t> index,
             bool transposed, bool averaged)
      : RowTransform(inColumns, outColumns), index(std::move(index)),
        divisors(transposed ? outColumns : inColumns, 1),
        transposed(transposed) {
    if (!averaged)
      return;
    std::vector<int64_t> copies(divisors.size());
    for (int64_t column : this->index)
      if (column >= 0)
        ++copies[column];
    for (size_t i = 0; i < copies.size(); ++i)
      divisors[i] = static_cast<double>(std::max<int64_t>(1, copies[i]));
  }

  void apply(const double *in, int64_t rows, double *out) const override {
    for (int64_t row = 0; row < rows; ++row) {
      const double *x = in + row * inColumns;
      double *y = out + row * outColumns;
      if (!transposed) {
        for (int64_t j = 0; j < outColumns; ++j)
          y[j] = index[j] < 0 ? 0 : x[index[j]] / divisors[index[j]];
        continue;
      }
      std::fill_n(y, outColumns, 0.0);
      for (int64_t j = 0; j < inColumns; ++j)
        if (index[j] >= 0)
          y[index[j]] = y[index[j]] + x[j];
      for (int64_t i = 0; i < outColumns; ++i)
        y[i] = y[i] / divisors[i];
    }
  }

private:
  std::vector<int64_t> index;
  std::vector<double> divisors;
  bool transposed;
};

} // namespace

RowTransform::~RowTransform() = default;

std::unique_ptr<RowTransform>
lowbit::makeHadamardRows(int64_t columns, int64_t block,
                         std::optional<uint64_t> seed, bool transposed) {
  return std::make_unique<HadamardRows>(columns, block, seed, transposed);
}

std::unique_ptr<RowTransform>
lowbit::makeDiagonalRows(int64_t columns, std::vector<double> factors) {
  return std::make_unique<DiagonalRows>(columns, std::move(factors));
}

std::unique_ptr<RowTransform>
lowbit::makeKroneckerRows(int64_t columns, std::vector<double> first,
                          int64_t firstSize, std::vector<double> second,
                          int64_t secondSize, CodePath path) {
  return std::make_unique<KroneckerRows>(columns, std::move(first), firstSize,
                                         std::move(second), secondSize, path);
}

std::unique_ptr<RowTransform> lowbit::makeGatherRows(int64_t columns,
                                                     std::vector<int64_t> index,
                                                     bool transposed,
                                                     bool averaged) {
  auto size = static_cast<int64_t>(index.size());
  return std::make_unique<GatherRows>(transposed ? size : columns,
                                      transposed ? columns : size,
                                      std::move(index), transposed, averaged);
}

bool lowbit::invertMatrix(std::vector<double> &matrix, int64_t n,
                          CodePath path) {
  const DoubleKernels &kernels = doubleKernels(path);
  int64_t width = 2 * n;
  std::vector<double> rows(n * width);
  for (int64_t i = 0; i < n; ++i) {
    std::copy_n(&matrix[i * n], n, &rows[i * width]);
    rows[i * width + n + i] = 1;
  }
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i)
      if (std::fabs(rows[i * width + k]) > std::fabs(rows[pivot * width + k]))
        pivot = i;
    double *row = &rows[k * width];
    if (pivot != k)
      std::swap_ranges(row, row + width, &rows[pivot * width]);
    double value = row[k];
    if (value == 0 || !std::isfinite(value))
      return false;
    for (int64_t j = 0; j < width; ++j)
      row[j] = row[j] / value;
    for (int64_t i = 0; i < n; ++i)
      if (double factor = rows[i * width + k]; i != k && factor != 0)
        kernels.addMultiple(-factor, row, width, &rows[i * width]);
  }
  for (int64_t i = 0; i < n; ++i)
    std::copy_n(&rows[i * width + n], n, &matrix[i * n]);
  return true;
}

void lowbit::orthonormalizeMatrix(std::vector<double> &matrix, int64_t n,
                                  CodePath path) {
  const DoubleKernels &kernels = doubleKernels(path);
  std::vector<double> turned(n * n), gram(n * n), next(n * n);
  for (int step = 0; step < 5; ++step) {
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        turned[j * n + i] = matrix[i * n + j];
    kernels.multiply(turned.data(), n, matrix.data(), n, gram.data());
    for (int64_t i = 0; i < n * n; ++i)
      gram[i] = (i % (n + 1) == 0 ? 1.5 : 0.0) - 0.5 * gram[i];
    kernels.multiply(matrix.data(), n, gram.data(), n, next.data());
    matrix.swap(next);
  }
}

double lowbit::columnSumNorm(const std::vector<double> &matrix, int64_t n) {
  std::vector<double> sums(n);
  for (int64_t i = 0; i < n * n; ++i)
    sums[i % n] += std::fabs(matrix[i]);
  return n == 0 ? 0 : *std::max_element(sums.begin(), sums.end());
}

double lowbit::orthogonalityError(const std::vector<double> &matrix,
                                  int64_t n) {
  double largest = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = i == j ? -1 : 0;
      for (int64_t k = 0; k < n; ++k)
        sum += matrix[i * n + k] * matrix[j * n + k];
      if (std::isnan(sum))
        return sum;
      largest = std::max(largest, std::fabs(sum));
    }
  return largest;
}
