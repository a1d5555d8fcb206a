//===- MatrixKernels.cpp - Inner loops over matrices ------------*- C++ -*-===//
//
// Written once with vectors of fixed width, like GroupKernels.cpp: each loop is
// inlined into one function for each CodePath.
//
//===----------------------------------------------------------------------===//
#include "MatrixKernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#define LOWBIT_INLINE [[gnu::always_inline]] static inline

namespace lowbit {

using Floats = float __attribute__((vector_size(64)));
using Doubles = double __attribute__((vector_size(64)));
using HalfFloats = float __attribute__((vector_size(32)));

constexpr int64_t doubleLanes = 8;
static_assert(factorTile % doubleLanes == 0 && factorTile % matrixColumns == 0,
              "tiles are whole vectors");

template <typename Vector>
LOWBIT_INLINE void load(const void *source, Vector &vector) {
  std::memcpy(&vector, source, sizeof(Vector));
}
template <typename Vector>
LOWBIT_INLINE void store(void *target, const Vector &vector) {
  std::memcpy(target, &vector, sizeof(Vector));
}

/// totals[0 … 15] += sign · sum, in f64.
LOWBIT_INLINE void addTotals(const Floats &sum, double sign, double *totals) {
  for (int half = 0; half < 2; ++half) {
    HalfFloats part;
    std::memcpy(&part, reinterpret_cast<const char *>(&sum) + 32 * half, 32);
    Doubles total;
    load(totals + doubleLanes * half, total);
    total = total + sign * __builtin_convertvector(part, Doubles);
    store(totals + doubleLanes * half, total);
  }
}

/// addProducts for `width` columns, a constant; or with `isColumns`, also one,
/// subtractColumns.
template <int width, bool isColumns>
LOWBIT_INLINE void productsLoop(const LaneVector &x, const float *const *r,
                                int64_t first, int64_t count, double *totals) {
  Floats sums[width] = {};
  for (int64_t i = 0; i < count; ++i) {
    Floats value;
    load(x.values + i * x.stride, value);
    for (int c = 0; c < width; ++c)
      sums[c] = sums[c] + value * (isColumns ? r[i][first + c] : r[c][i]);
  }
  for (int c = 0; c < width; ++c)
    addTotals(sums[c], isColumns ? -1.0 : 1.0, totals + c * matrixLanes);
}

LOWBIT_INLINE void addProductsLoop(const LaneVector &x, const float *const *r,
                                   int64_t columns, int64_t count,
                                   double *totals) {
  if (columns == matrixColumns)
    return productsLoop<matrixColumns, false>(x, r, 0, count, totals);
  for (int64_t c = 0; c < columns; ++c)
    productsLoop<1, false>(x, r + c, 0, count, totals + c * matrixLanes);
}

LOWBIT_INLINE void updateTileLoop(const double *a, const double *b, double *c) {
  for (int64_t q = 0; q < factorTile; q += matrixColumns)
    for (int64_t r = 0; r < factorTile; r += doubleLanes) {
      Doubles sums[matrixColumns];
      for (int64_t i = 0; i < matrixColumns; ++i)
        load(c + (q + i) * factorTile + r, sums[i]);
      for (int64_t p = 0; p < factorTile; ++p) {
        Doubles value;
        load(a + p * factorTile + r, value);
        for (int64_t i = 0; i < matrixColumns; ++i)
          sums[i] = sums[i] - value * b[p * factorTile + q + i];
      }
      for (int64_t i = 0; i < matrixColumns; ++i)
        store(c + (q + i) * factorTile + r, sums[i]);
    }
}

LOWBIT_INLINE void solveTileLoop(const double *l, double *x) {
  for (int64_t r = 0; r < factorTile; r += doubleLanes)
    for (int64_t q = 0; q < factorTile; ++q) {
      Doubles sum;
      load(x + q * factorTile + r, sum);
      for (int64_t p = 0; p < q; ++p) {
        Doubles value;
        load(x + p * factorTile + r, value);
        sum = sum - value * l[p * factorTile + q];
      }
      store(x + q * factorTile + r, sum / l[q * factorTile + q]);
    }
}

/// addOuterProducts for `height` rows (a constant) and 16 columns.
template <int height>
LOWBIT_INLINE void outerLoop(const float *a, const float *b, int64_t stride,
                             int64_t rows, double *sums) {
  Floats total[height] = {};
  for (int64_t r = 0; r < rows; ++r) {
    Floats value;
    load(b + r * stride, value);
    for (int i = 0; i < height; ++i)
      total[i] = total[i] + value * a[r * stride + i];
  }
  for (int i = 0; i < height; ++i)
    addTotals(total[i], 1.0, sums + i * stride);
}

LOWBIT_INLINE void addOuterProductsLoop(const float *a, const float *b,
                                        int64_t stride, int64_t rows,
                                        int64_t height, int64_t width,
                                        double *sums) {
  int64_t whole = width - width % matrixLanes;
  for (int64_t j = 0; j < whole; j += matrixLanes) {
    int64_t i = 0;
    for (; i + matrixColumns <= height; i += matrixColumns)
      outerLoop<matrixColumns>(a + i, b + j, stride, rows,
                               sums + i * stride + j);
    for (; i < height; ++i)
      outerLoop<1>(a + i, b + j, stride, rows, sums + i * stride + j);
  }
  for (int64_t i = 0; i < height; ++i)
    for (int64_t j = whole; j < width; ++j) {
      float total = 0;
      for (int64_t r = 0; r < rows; ++r)
        total = total + b[r * stride + j] * a[r * stride + i];
      sums[i * stride + j] += static_cast<double>(total);
    }
}

/// One function for each loop, compiled for `path` with the attribute `target`.
#define LOWBIT_DEFINE_PATH(path, target)                                       \
  target static void addProducts##path(const LaneVector &x,                    \
                                       const float *const *r, int64_t columns, \
                                       int64_t count, double *totals) {        \
    addProductsLoop(x, r, columns, count, totals);                             \
  }                                                                            \
  target static void subtractColumns##path(                                    \
      const LaneVector &x, const float *const *r, int64_t first,               \
      int64_t count, double *totals) {                                         \
    productsLoop<matrixColumns, true>(x, r, first, count, totals);             \
  }                                                                            \
  target static void updateTile##path(const double *a, const double *b,        \
                                      double *c) {                             \
    updateTileLoop(a, b, c);                                                   \
  }                                                                            \
  target static void solveTile##path(const double *l, double *x) {             \
    solveTileLoop(l, x);                                                       \
  }                                                                            \
  target static void addOuterProducts##path(                                   \
      const float *a, const float *b, int64_t stride, int64_t rows,            \
      int64_t height, int64_t width, double *sums) {                           \
    addOuterProductsLoop(a, b, stride, rows, height, width, sums);             \
  }                                                                            \
  static constexpr MatrixKernels kernels##path = {                             \
      addProducts##path, subtractColumns##path, updateTile##path,              \
      solveTile##path, addOuterProducts##path};

LOWBIT_DEFINE_PATH(Portable, )
#if defined(__x86_64__)
LOWBIT_DEFINE_PATH(AVX2, __attribute__((target("avx2"))))
#endif

const MatrixKernels &matrixKernels(CodePath path) {
#if defined(__x86_64__)
  if (path == CodePath::AVX2)
    return kernelsAVX2;
#endif
  return kernelsPortable;
}

std::vector<int64_t> evenChunks(int64_t count) {
  std::vector<int64_t> chunks;
  for (int64_t i = 0; i < count; i += matrixChunk)
    chunks.push_back(i);
  chunks.push_back(count);
  return chunks;
}

void sumLaneProducts(const MatrixKernels &kernels, const float *x,
                     int64_t lanes, const std::vector<int64_t> &chunks,
                     int64_t begin, int64_t end,
                     const std::function<const float *(int64_t)> &row,
                     std::vector<double> &totals) {
  totals.assign(static_cast<size_t>((end - begin) * lanes), 0.0);
  const float *rows[matrixColumns], *parts[matrixColumns];
  for (int64_t j = begin; j < end; j += matrixColumns) {
    int64_t count = std::min(matrixColumns, end - j);
    for (int64_t i = 0; i < count; ++i)
      rows[i] = row(j + i);
    for (int64_t lane = 0; lane < lanes; lane += matrixLanes) {
      double sum[matrixColumns * matrixLanes] = {};
      for (size_t c = 0; c + 1 < chunks.size(); ++c) {
        for (int64_t i = 0; i < count; ++i)
          parts[i] = rows[i] + chunks[c];
        kernels.addProducts({x + chunks[c] * lanes + lane, lanes}, parts, count,
                            chunks[c + 1] - chunks[c], sum);
      }
      for (int64_t i = 0; i < count; ++i)
        std::copy_n(sum + i * matrixLanes, matrixLanes,
                    totals.begin() + (j - begin + i) * lanes + lane);
    }
  }
}

void addLaneProducts(const MatrixKernels &kernels, const float *x,
                     int64_t lanes, const float *row, int64_t count,
                     double *totals) {
  for (int64_t lane = 0; lane < lanes; lane += matrixLanes)
    kernels.addProducts({x + lane, lanes}, &row, 1, count, totals + lane);
}

bool factorDiagonalTile(double *tile) {
  for (int64_t q = 0; q < factorTile; ++q) {
    double *column = tile + q * factorTile;
    for (int64_t p = 0; p < q; ++p) {
      const double *earlier = tile + p * factorTile;
      for (int64_t r = q; r < factorTile; ++r)
        column[r] -= earlier[r] * earlier[q];
    }
    double pivot = column[q];
    if (!(pivot > 0) || !std::isfinite(pivot))
      return false;
    double root = std::sqrt(pivot);
    for (int64_t r = 0; r < q; ++r)
      column[r] = 0;
    column[q] = root;
    for (int64_t r = q + 1; r < factorTile; ++r)
      column[r] = column[r] / root;
  }
  return true;
}

} // namespace lowbit
