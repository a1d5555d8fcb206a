//===- CalibratedTarget.cpp - Weights for inputs that moved -----*- C++ -*-===//
//
// With Ĥ + λI = R Rᵀ, X = W D (R Rᵀ)⁻¹ is two triangular systems: Y Rᵀ = W D
// from the last position to the first, X R = Y from the first to the last.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/CalibratedTarget.h"

#include "MatrixKernels.h"

#include <algorithm>
#include <cassert>

namespace lowbit {

void CalibratedTarget::solve(LaneRows &weights) {
  assert(weights.columns == factor.columns() &&
         weights.columns == drift.columns);
  lanes = weights.lanes;
  size_t size = static_cast<size_t>(lanes * weights.columns);
  solved.assign(size, 0.0f);
  sumLaneProducts(
      matrixKernels(path), weights.values.data(), lanes,
      evenChunks(weights.columns), 0, weights.columns,
      [&](int64_t position) {
        return drift.row(factor.order().columns[position]);
      },
      sums);
  solveBackward();
  // What was solved for is the next right-hand side.
  std::copy(solved.begin(), solved.end(), sums.begin());
  solveForward();
  for (int64_t position = 0; position < weights.columns; ++position) {
    float *weight = weights.column(factor.order().columns[position]);
    for (int64_t lane = 0; lane < weights.rows; ++lane)
      weight[lane] = weight[lane] + solved[position * lanes + lane];
  }
}

/// Y Rᵀ = sums: Y_i = (sums_i − Σ_{k > i} Y_k R_ik) / R_ii, into `solved`.
void CalibratedTarget::solveBackward() {
  const MatrixKernels &kernels = matrixKernels(path);
  int64_t columns = factor.columns();
  const float *chunk[matrixChunk];
  for (int64_t end = columns; end > 0;) {
    int64_t begin = (end - 1) / matrixChunk * matrixChunk;
    for (int64_t i = end - 1; i >= begin; --i) {
      const float *column = factor.column(i);
      chunk[i - begin] = column;
      float *own = solved.data() + i * lanes;
      for (int64_t lane = 0; lane < lanes; ++lane)
        own[lane] = static_cast<float>(sums[i * lanes + lane] /
                                       static_cast<double>(column[i]));
      for (int64_t j = begin; j < i; ++j)
        for (int64_t lane = 0; lane < lanes; ++lane)
          sums[j * lanes + lane] -=
              static_cast<double>(own[lane]) * static_cast<double>(column[j]);
    }
    for (int64_t lane = 0; lane < lanes; lane += matrixLanes)
      for (int64_t j = 0; j < begin; j += matrixColumns) {
        double sum[matrixColumns * matrixLanes];
        for (int64_t i = 0; i < matrixColumns; ++i)
          std::copy_n(sums.begin() + (j + i) * lanes + lane, matrixLanes,
                      sum + i * matrixLanes);
        kernels.subtractColumns({solved.data() + begin * lanes + lane, lanes},
                                chunk, j, end - begin, sum);
        for (int64_t i = 0; i < matrixColumns; ++i)
          std::copy_n(sum + i * matrixLanes, matrixLanes,
                      sums.begin() + (j + i) * lanes + lane);
      }
    end = begin;
  }
}

/// X R = sums: X_j = (sums_j − Σ_{i < j} X_i R_ij) / R_jj, into `solved`.
void CalibratedTarget::solveForward() {
  const MatrixKernels &kernels = matrixKernels(path);
  std::vector<int64_t> chunks = evenChunks(factor.columns());
  std::vector<double> totals;
  for (size_t c = 0; c + 1 < chunks.size(); ++c) {
    int64_t begin = chunks[c];
    sumLaneProducts(
        kernels, solved.data(), lanes, {chunks.begin(), chunks.begin() + c + 1},
        begin, chunks[c + 1],
        [&](int64_t position) { return factor.column(position); }, totals);
    for (int64_t j = begin; j < chunks[c + 1]; ++j) {
      const float *column = factor.column(j);
      double *total = totals.data() + (j - begin) * lanes;
      addLaneProducts(kernels, solved.data() + begin * lanes, lanes,
                      column + begin, j - begin, total);
      for (int64_t lane = 0; lane < lanes; ++lane)
        solved[j * lanes + lane] =
            static_cast<float>((sums[j * lanes + lane] - total[lane]) /
                               static_cast<double>(column[j]));
    }
  }
}

} // namespace lowbit
