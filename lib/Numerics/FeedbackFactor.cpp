//===- FeedbackFactor.cpp - The triangular factor of H ----------*- C++ -*-===//
//
// H = R Rᵀ with R upper triangular is the Cholesky factorization L Lᵀ of H with
// its positions reversed. It is computed in f64 by tiles, each tile's sums in
// one order, tiles of a column in any order on any threads.
//
//===----------------------------------------------------------------------===//
#include "MatrixKernels.h"
#include "lowbit/Numerics/ErrorFeedback.h"
#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <numeric>

namespace lowbit {

namespace {

/// The lower triangle of tiles of a symmetric matrix.
class TiledTriangle {
public:
  TiledTriangle(int64_t columns, const ParallelLoop &loop, CodePath path)
      : columns(columns), tiles((columns + factorTile - 1) / factorTile),
        loop(loop), kernels(matrixKernels(path)),
        elements(static_cast<size_t>(tiles * (tiles + 1) / 2 * factorTile *
                                     factorTile)) {}

  double *tile(int64_t i, int64_t j) {
    return elements.data() + (i * (i + 1) / 2 + j) * factorTile * factorTile;
  }

  /// Fills in H + λI, reversed: row a is position K − 1 − a. Beyond K it is the
  /// identity.
  void load(const MomentsView &h, const std::vector<int32_t> &order,
            double lambda, double deadDiagonal) {
    loop(tiles, [&](int64_t i) {
      for (int64_t j = 0; j <= i; ++j)
        loadTile(h, order, lambda, deadDiagonal, i, j);
    });
  }

  /// L in place of the matrix; false where it is not positive definite.
  bool factor() {
    for (int64_t k = 0; k < tiles; ++k) {
      loop(tiles - k, [&](int64_t offset) {
        int64_t i = k + offset;
        for (int64_t j = 0; j < k; ++j)
          kernels.updateTile(tile(i, j), tile(k, j), tile(i, k));
      });
      if (!factorDiagonalTile(tile(k, k)))
        return false;
      loop(tiles - k - 1, [&](int64_t offset) {
        kernels.solveTile(tile(k, k), tile(k + 1 + offset, k));
      });
    }
    return true;
  }

  /// R of position `position` from position 0 on, rounded to f32.
  void storeColumn(int64_t position, float *out) {
    int64_t b = columns - 1 - position;
    for (int64_t i = 0; i <= position; ++i) {
      int64_t a = columns - 1 - i;
      out[i] = static_cast<float>(
          tile(a / factorTile,
               b / factorTile)[b % factorTile * factorTile + a % factorTile]);
    }
  }

private:
  void loadTile(const MomentsView &h, const std::vector<int32_t> &order,
                double lambda, double deadDiagonal, int64_t i, int64_t j) {
    double *out = tile(i, j);
    for (int64_t q = 0; q < factorTile; ++q)
      for (int64_t r = 0; r < factorTile; ++r) {
        int64_t a = i * factorTile + r, b = j * factorTile + q;
        double value = a == b ? 1.0 : 0.0;
        if (a < columns && b < columns)
          value = element(h, order[columns - 1 - a], order[columns - 1 - b],
                          lambda, deadDiagonal);
        out[q * factorTile + r] = value;
      }
  }

  static double element(const MomentsView &h, int64_t a, int64_t b,
                        double lambda, double deadDiagonal) {
    if (a == b)
      return h.diagonal(a) > 0 ? static_cast<double>(h.diagonal(a)) + lambda
                               : deadDiagonal;
    if (!(h.diagonal(a) > 0) || !(h.diagonal(b) > 0))
      return 0;
    return static_cast<double>(h.row(std::max(a, b))[std::min(a, b)]);
  }

  int64_t columns, tiles;
  const ParallelLoop &loop;
  const MatrixKernels &kernels;
  std::vector<double> elements;
};

/// The first element of H that no second moments have.
std::optional<Defect> findBadMoment(const MomentsView &h) {
  for (int64_t i = 0; i < h.columns; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      float value = h.row(i)[j];
      if (!isFiniteFloat(value) || (i == j && value < 0))
        return defectAt(Defect::Kind::BadImportance, -1, i, value);
    }
  return std::nullopt;
}

FeedbackOrder makeOrder(int64_t columns, int64_t step,
                        const std::vector<int64_t> &blocks) {
  FeedbackOrder order;
  for (int64_t block : blocks) {
    order.blocks.push_back(static_cast<int32_t>(order.columns.size()));
    for (int64_t k = block * step; k < std::min(columns, (block + 1) * step);
         ++k)
      order.columns.push_back(static_cast<int32_t>(k));
  }
  order.blocks.push_back(static_cast<int32_t>(columns));
  return order;
}

std::vector<int64_t> countBlocks(int64_t columns, int64_t step) {
  assert(columns >= 1 && step >= 1);
  std::vector<int64_t> blocks((columns + step - 1) / step);
  std::iota(blocks.begin(), blocks.end(), int64_t(0));
  return blocks;
}

} // namespace

void runInOrder(int64_t count, const std::function<void(int64_t)> &body) {
  for (int64_t i = 0; i < count; ++i)
    body(i);
}

FeedbackOrder columnOrder(int64_t columns, int64_t step) {
  return makeOrder(columns, step, countBlocks(columns, step));
}

FeedbackOrder reversedOrder(int64_t columns, int64_t step) {
  std::vector<int64_t> blocks = countBlocks(columns, step);
  std::reverse(blocks.begin(), blocks.end());
  return makeOrder(columns, step, blocks);
}

FeedbackOrder activationOrder(const MomentsView &h, int64_t step) {
  std::vector<int64_t> blocks = countBlocks(h.columns, step);
  std::vector<double> weight(blocks.size());
  for (int64_t k = 0; k < h.columns; ++k)
    weight[k / step] += static_cast<double>(h.diagonal(k));
  std::sort(blocks.begin(), blocks.end(), [&](int64_t a, int64_t b) {
    return weight[a] != weight[b] ? weight[a] > weight[b] : a < b;
  });
  return makeOrder(h.columns, step, blocks);
}

FeedbackFactor FeedbackFactor::identity(FeedbackOrder order) {
  FeedbackFactor result;
  result.roundingOrder = std::move(order);
  int64_t columns = result.columns();
  result.elements.assign(static_cast<size_t>(columns * (columns + 1) / 2), 0);
  for (int64_t k = 0; k < columns; ++k)
    result.elements[k * (k + 1) / 2 + k] = 1.0f;
  return result;
}

std::optional<Defect> FeedbackFactor::compute(const MomentsView &h,
                                              FeedbackOrder order, double damp,
                                              const ParallelLoop &loop,
                                              FeedbackFactor &result,
                                              CodePath path) {
  int64_t columns = h.columns;
  assert(columns >= 1 && damp >= 0 &&
         static_cast<int64_t>(order.columns.size()) == columns &&
         order.blocks.back() == columns);
  if (std::optional<Defect> defect = findBadMoment(h))
    return defect;
  double mean = 0;
  for (int64_t k = 0; k < columns; ++k)
    mean += static_cast<double>(h.diagonal(k));
  mean /= static_cast<double>(columns);
  double dead = mean > 0 ? mean : 1.0;
  TiledTriangle triangle(columns, loop, path);
  double share = damp;
  for (;; share = std::max(share * 10, 1e-6)) {
    triangle.load(h, order.columns, share * mean, dead);
    if (triangle.factor())
      break;
  }
  result.lambda = share * mean;
  result.roundingOrder = std::move(order);
  result.elements.resize(static_cast<size_t>(columns * (columns + 1) / 2));
  loop(columns, [&](int64_t position) {
    triangle.storeColumn(position, result.elements.data() +
                                       position * (position + 1) / 2);
  });
  return std::nullopt;
}

} // namespace lowbit
