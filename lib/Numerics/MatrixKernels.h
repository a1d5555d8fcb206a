//===- MatrixKernels.h - Inner loops over matrices --------------*- C++ -*-===//
//
// The loops of error feedback and of its factor, compiled for each CodePath. No
// fma: products and sums are rounded alone, in one order, so that every
// compilation gives the same bits.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_MATRIXKERNELS_H
#define LOWBIT_LIB_NUMERICS_MATRIXKERNELS_H

#include "lowbit/Numerics/CodePath.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace lowbit {

/// Rows that are computed side by side.
constexpr int64_t matrixLanes = 16;
/// Columns that are computed at once.
constexpr int64_t matrixColumns = 4;
/// Products that are added in f32 before they go to f64.
constexpr int64_t matrixChunk = 128;
/// Rows and columns of the tiles of a factorization; element (r, p) of a tile
/// is at p · factorTile + r.
constexpr int64_t factorTile = 64;

/// Rows in lanes: lane l of element i at values[i · stride + l].
struct LaneVector {
  const float *values;
  int64_t stride;
};

/// The loops of one CodePath.
struct MatrixKernels {
  /// totals[c · 16 + l] += Σ_i x_i[l] · r[c][i], i = 0 … count − 1 added in f32
  /// in this order; for c < columns ≤ 4.
  void (*addProducts)(const LaneVector &x, const float *const *r,
                      int64_t columns, int64_t count, double *totals);

  /// The same with r[i][first + c], for i = 0 … count − 1 and c < 4, and
  /// subtracted.
  void (*subtractColumns)(const LaneVector &x, const float *const *r,
                          int64_t first, int64_t count, double *totals);

  /// Tiles: C[r][q] −= Σ_p A[r][p] · B[q][p], p in order.
  void (*updateTile)(const double *a, const double *b, double *c);
  /// X ← X L⁻ᵀ, L lower triangular.
  void (*solveTile)(const double *l, double *x);

  /// sums[i · stride + j] += Σ_r a[r · stride + i] · b[r · stride + j] for i <
  /// height, j < width: r = 0 … rows − 1 in order, in f32.
  void (*addOuterProducts)(const float *a, const float *b, int64_t stride,
                           int64_t rows, int64_t height, int64_t width,
                           double *sums);
};

/// The loops of `path`, which the CPU must have.
const MatrixKernels &matrixKernels(CodePath path);

/// totals[(j − begin) · lanes + l] = Σ_i x[i · lanes + l] · row(j)[i] for j
/// from `begin` to `end` − 1 and i from chunks[0] to chunks.back() − 1: added
/// in f32 within a chunk, in f64 over chunks.
void sumLaneProducts(const MatrixKernels &kernels, const float *x,
                     int64_t lanes, const std::vector<int64_t> &chunks,
                     int64_t begin, int64_t end,
                     const std::function<const float *(int64_t)> &row,
                     std::vector<double> &totals);

/// totals[l] += Σ_i x[i · lanes + l] · row[i], i = 0 … count − 1 added in f32:
/// the rest of a chunk for one column.
void addLaneProducts(const MatrixKernels &kernels, const float *x,
                     int64_t lanes, const float *row, int64_t count,
                     double *totals);

/// 0, 128, 256, … and `count`.
std::vector<int64_t> evenChunks(int64_t count);

/// The Cholesky factor of the lower triangle of a tile, in place, with zeros
/// above it. False where a pivot is not positive and finite.
bool factorDiagonalTile(double *tile);

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_MATRIXKERNELS_H
