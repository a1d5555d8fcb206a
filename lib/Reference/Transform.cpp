//===- Transform.cpp - Rows times a matrix of a known kind ------*- C++ -*-===//

#include "Transform.h"
#include "Steps.h"

#include "lowbit/Checkpoint/Message.h"
#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;
using namespace lowbit::reference;

//===----------------------------------------------------------------------===//
// One block of a row
//===----------------------------------------------------------------------===//

/// The numbers of a matrix.
template <typename T> struct Numbers {
  explicit Numbers(const Weight &matrix)
      : rows(matrix.rows), columns(matrix.columns) {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column)
        values.push_back(matrix.value<T>(row, column));
  }
  int64_t rows, columns;
  std::vector<T> values;
};

/// x · P for elements of x that lie `stride` apart; so do the results. Summed
/// in slabs of 512, as a linear does.
template <typename T>
static void product(const T *x, const Numbers<T> &p, int64_t stride, T *y) {
  for (int64_t to = 0; to < p.columns; ++to) {
    T total = 0;
    for (int64_t slab = 0; slab < p.rows; slab += 512) {
      T partial = 0;
      for (int64_t k = slab; k < std::min(slab + 512, p.rows); ++k)
        partial = mulAdd(p.values[k * p.columns + to], x[k * stride], partial);
      total = total + partial;
    }
    y[to * stride] = total;
  }
}

/// Multiplies blocks of n = m · width with H_n / √n or its transpose.
template <typename T> class Hadamard {
public:
  Hadamard(int64_t n, bool transposed) : n(n), transposed(transposed) {
    while (n % (2 * width) == 0)
      width *= 2;
    // The verifier has found an order, so this ends.
    while (!isCore(n / width))
      width /= 2;
    core = hadamardCore(n / width);
  }

  void apply(T *x) const {
    for (int64_t stride = 1; stride < width; stride *= 2)
      for (int64_t k = 0; k < n; ++k)
        if (k / stride % 2 == 0) {
          T a = x[k], b = x[k + stride];
          x[k] = a + b;
          x[k + stride] = a - b;
        }
    int64_t m = n / width;
    std::vector<T> y(x, x + n);
    for (int64_t k = 0; k < n && m > 1; ++k)
      for (int64_t from = 0; from < m; ++from) {
        int64_t to = k / width;
        int sign = transposed ? core[to * m + from] : core[from * m + to];
        T term = T(sign) * x[from * width + k % width];
        y[k] = from == 0 ? term : y[k] + term;
      }
    T scale = T(1 / std::sqrt(double(n)));
    for (int64_t k = 0; k < n; ++k)
      x[k] = y[k] * scale;
  }

private:
  int64_t n, width = 1;
  bool transposed;
  std::vector<int> core;
};

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

template <typename T>
static void flipSigns(std::vector<T> &y, const std::vector<int> &signs) {
  for (size_t i = 0; i < y.size(); ++i)
    if (signs[i % signs.size()] < 0)
      y[i] = -y[i];
}

/// A row's columns are whole blocks, so a batch is a list of blocks.
template <typename T>
static std::vector<T> transformHadamard(RowsView<T> x, HadamardAttr kind) {
  std::vector<T> y(x.data, x.data + x.rows * x.columns);
  int64_t n = kind.getBlock();
  std::vector<int> signs(1, 1);
  if (kind.getSeed())
    signs = signsOfSeed(static_cast<uint64_t>(*kind.getSeed()), n);
  if (!kind.getTransposed())
    flipSigns(y, signs);
  Hadamard<T> blocks(n, kind.getTransposed());
  for (size_t first = 0; first < y.size(); first += n)
    blocks.apply(&y[first]);
  if (kind.getTransposed())
    flipSigns(y, signs);
  return y;
}

template <typename T>
static std::vector<T> transformKronecker(RowsView<T> x, const Numbers<T> &first,
                                         const Numbers<T> &second) {
  int64_t a = first.rows, b = second.rows;
  std::vector<T> y(x.rows * x.columns), z(a * b);
  for (size_t block = 0; block < y.size(); block += a * b) {
    for (int64_t i = 0; i < a; ++i)
      product(x.data + block + i * b, second, 1, &z[i * b]);
    for (int64_t j = 0; j < b; ++j)
      product(&z[j], first, b, &y[block + j]);
  }
  return y;
}

template <typename T>
static std::vector<T> transformGather(RowsView<T> x, GatherAttr kind) {
  std::vector<int64_t> index = kind.getIndex(), copies = kind.getCopies();
  auto divided = [&](T value, int64_t column) {
    return kind.getAveraged() && copies[column] > 1 ? value / T(copies[column])
                                                    : value;
  };
  std::vector<T> y;
  for (int64_t row = 0; row < x.rows; ++row) {
    const T *from = x.row(row);
    if (!kind.getTransposed()) {
      for (int64_t column : index)
        y.push_back(column < 0 ? T(0) : divided(from[column], column));
      continue;
    }
    std::vector<T> sum(kind.getColumns());
    for (size_t i = 0; i < index.size(); ++i)
      if (index[i] >= 0)
        sum[index[i]] = sum[index[i]] + from[i];
    for (size_t column = 0; column < sum.size(); ++column)
      y.push_back(divided(sum[column], column));
  }
  return y;
}

template <typename T>
Result<std::vector<T>>
reference::transformRows(RowsView<T> x, TransformInterface kind,
                         llvm::ArrayRef<WeightPtr> matrices) {
  using Rows = Result<std::vector<T>>;
  return llvm::TypeSwitch<TransformInterface, Rows>(kind)
      .Case([&](HadamardAttr k) { return transformHadamard(x, k); })
      .Case([&](GatherAttr k) { return transformGather(x, k); })
      .Case([&](SignsAttr k) {
        std::vector<T> y(x.data, x.data + x.rows * x.columns);
        std::vector<int8_t> given = k.getSigns();
        flipSigns(y, k.getSeed()
                         ? signsOfSeed(*k.getSeed(), k.getBlock())
                         : std::vector<int>(given.begin(), given.end()));
        return y;
      })
      .Case([&](DiagonalAttr) {
        std::vector<T> y(x.data, x.data + x.rows * x.columns);
        for (size_t i = 0; i < y.size(); ++i)
          y[i] = y[i] * matrices[0]->value<T>(0, i % matrices[0]->columns);
        return y;
      })
      .Case([&](DenseAttr) {
        std::vector<T> y(x.rows * x.columns);
        Numbers<T> matrix(*matrices[0]);
        for (size_t first = 0; first < y.size(); first += matrix.rows)
          product(x.data + first, matrix, 1, &y[first]);
        return y;
      })
      .Case([&](KroneckerAttr) {
        return transformKronecker(x, Numbers<T>(*matrices[0]),
                                  Numbers<T>(*matrices[1]));
      })
      .Default([](TransformInterface other) -> Rows {
        return unsupported("module", "",
                           "has a transform that the interpreter does not "
                           "know");
      });
}

template Result<std::vector<float>>
    reference::transformRows(RowsView<float>, TransformInterface,
                             llvm::ArrayRef<WeightPtr>);
template Result<std::vector<double>>
    reference::transformRows(RowsView<double>, TransformInterface,
                             llvm::ArrayRef<WeightPtr>);

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// A weight of computed numbers.
static Weight computedWeight(int64_t rows, int64_t columns, bool isVector,
                             std::vector<double> numbers) {
  Weight result;
  result.rows = rows;
  result.columns = columns;
  result.isVector = isVector;
  result.computed = std::move(numbers);
  return result;
}

Weight reference::transposeMatrix(const Weight &matrix) {
  std::vector<double> numbers;
  for (int64_t column = 0; column < matrix.columns; ++column)
    for (int64_t row = 0; row < matrix.rows; ++row)
      numbers.push_back(matrix.exactValue(row, column));
  return computedWeight(matrix.columns, matrix.rows, false, std::move(numbers));
}

Result<Weight> reference::transformWeight(const Weight &weight, int64_t dim,
                                          TransformInterface kind,
                                          llvm::ArrayRef<WeightPtr> matrices) {
  // Columns of a matrix are the rows of its transpose.
  bool turn = dim == 0 && !weight.isVector;
  Weight input = turn ? transposeMatrix(weight) : weight;
  std::vector<double> numbers;
  for (int64_t row = 0; row < input.rows; ++row)
    for (int64_t column = 0; column < input.columns; ++column)
      numbers.push_back(input.exactValue(row, column));
  auto result =
      transformRows(RowsView<double>{numbers.data(), input.rows, input.columns},
                    kind, matrices);
  if (!result)
    return result.error();
  int64_t columns = static_cast<int64_t>(result->size()) / input.rows;
  Weight transformed =
      computedWeight(input.rows, columns, weight.isVector, std::move(*result));
  return turn ? transposeMatrix(transformed) : transformed;
}

Result<Weight> reference::invertMatrix(const Weight &matrix,
                                       llvm::StringRef name) {
  int64_t n = matrix.columns;
  if (matrix.isVector) {
    std::vector<double> numbers;
    for (int64_t i = 0; i < n; ++i) {
      double value = matrix.exactValue(0, i);
      if (value == 0 || !std::isfinite(value))
        return badInput(name.str(), "element " + std::to_string(i),
                        "is " + std::to_string(value) + ", has no reciprocal");
      numbers.push_back(1 / value);
    }
    return computedWeight(1, n, true, std::move(numbers));
  }
  // Gauss-Jordan: [A | I] becomes [I | A⁻¹].
  std::vector<std::vector<double>> rows(n, std::vector<double>(2 * n));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j)
      rows[i][j] = matrix.exactValue(i, j);
    rows[i][n + i] = 1;
  }
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i)
      if (std::fabs(rows[i][k]) > std::fabs(rows[pivot][k]))
        pivot = i;
    double value = rows[pivot][k];
    if (value == 0 || !std::isfinite(value))
      return badInput(name.str(), "", "is a matrix without an inverse");
    std::swap(rows[k], rows[pivot]);
    for (double &number : rows[k])
      number = number / value;
    for (int64_t i = 0; i < n; ++i) {
      double factor = rows[i][k];
      if (i == k || factor == 0)
        continue;
      for (int64_t j = 0; j < 2 * n; ++j)
        rows[i][j] = mulAdd(-factor, rows[k][j], rows[i][j]);
    }
  }
  std::vector<double> numbers;
  for (const std::vector<double> &row : rows)
    numbers.insert(numbers.end(), row.begin() + n, row.end());
  return computedWeight(n, n, false, std::move(numbers));
}

Weight reference::orthonormalizeMatrix(const Weight &matrix) {
  int64_t n = matrix.columns;
  Weight x = computedWeight(n, n, false, {});
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      x.computed.push_back(matrix.exactValue(i, j));
  // Row i of a times b, for all i.
  auto multiply = [n](const Weight &a, const Weight &b) {
    Numbers<double> factor(b);
    Weight result = a;
    for (int64_t i = 0; i < n; ++i)
      product(&a.computed[i * n], factor, 1, &result.computed[i * n]);
    return result;
  };
  for (int step = 0; step < 5; ++step) {
    Weight gram = multiply(transposeMatrix(x), x);
    for (int64_t i = 0; i < n * n; ++i)
      gram.computed[i] =
          (i % (n + 1) == 0 ? 1.5 : 0.0) - 0.5 * gram.computed[i];
    x = multiply(x, gram);
  }
  return x;
}
