//===- ErrorFeedback.cpp - Rounding that repairs its own error --*- C++ -*-===//
//
// Positions are taken in chunks of about 128. What earlier chunks leave to
// repair is summed for all columns of a chunk at once, which is where the time
// goes; within a chunk column by column.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/ErrorFeedback.h"

#include "MatrixKernels.h"

#include <algorithm>
#include <cassert>

namespace lowbit {

BlockQuantizer::~BlockQuantizer() = default;

void LaneRows::load(const TileInput &input) {
  rows = input.rows;
  columns = input.columns;
  lanes = (rows + matrixLanes - 1) / matrixLanes * matrixLanes;
  values.assign(static_cast<size_t>(lanes * columns), 0.0f);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < columns; ++k)
      values[static_cast<size_t>(k * lanes + r)] =
          input.weights[r * input.stride + k];
}

/// Positions where chunks begin, and the end: whole blocks of together at most
/// 128 columns, or one longer block.
static std::vector<int64_t> cutIntoChunks(const std::vector<int32_t> &blocks) {
  std::vector<int64_t> chunks = {0};
  for (size_t i = 1; i + 1 < blocks.size(); ++i)
    if (blocks[i + 1] - chunks.back() > matrixChunk)
      chunks.push_back(blocks[i]);
  chunks.push_back(blocks.back());
  return chunks;
}

void ErrorFeedback::run(const LaneRows &weights, BlockQuantizer &quantizer) {
  assert(weights.columns == factor.columns() && weights.rows >= 1);
  const std::vector<int32_t> &blocks = factor.order().blocks;
  lanes = weights.lanes;
  errors.assign(static_cast<size_t>(lanes * weights.columns), 0.0f);
  chunks = cutIntoChunks(blocks);
  size_t block = 0;
  for (size_t i = 0; i + 1 < chunks.size(); ++i) {
    sumLaneProducts(
        matrixKernels(path), errors.data(), lanes,
        {chunks.begin(), chunks.begin() + i + 1}, chunks[i], chunks[i + 1],
        [&](int64_t position) { return factor.column(position); }, totals);
    for (; blocks[block] < chunks[i + 1]; ++block)
      runBlock(weights, static_cast<int64_t>(i), block, quantizer);
  }
}

void ErrorFeedback::repair(const LaneRows &weights, const double *total,
                           int64_t chunk, int64_t known, Positions block,
                           std::vector<float> &out) {
  const MatrixKernels &kernels = matrixKernels(path);
  const int32_t *columns = factor.order().columns.data() + block.begin;
  int64_t count = block.end - block.begin;
  sums.assign(total, total + count * lanes);
  out.resize(static_cast<size_t>(count * lanes));
  for (int64_t j = 0; j < count; ++j) {
    const float *column = factor.column(block.begin + j);
    double *sum = sums.data() + j * lanes;
    addLaneProducts(kernels, errors.data() + chunk * lanes, lanes,
                    column + chunk, known - chunk, sum);
    // Back substitution with R_bb: `sum` becomes what is added to W.
    for (int64_t i = 0; i < j; ++i)
      for (int64_t lane = 0; lane < lanes; ++lane)
        sum[lane] -= sums[i * lanes + lane] *
                     static_cast<double>(column[block.begin + i]);
    double diagonal = static_cast<double>(column[block.begin + j]);
    const float *weight = weights.column(columns[j]);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      sum[lane] = sum[lane] / diagonal;
      out[j * lanes + lane] =
          static_cast<float>(static_cast<double>(weight[lane]) + sum[lane]);
    }
  }
}

void ErrorFeedback::runBlock(const LaneRows &weights, int64_t chunk,
                             size_t block, BlockQuantizer &quantizer) {
  int64_t first = chunks[chunk];
  Positions here = positions(block);
  repair(weights, totals.data() + (here.begin - first) * lanes, first,
         here.begin, here, targets);
  bool hasNext = quantizer.looksAhead() && here.end < weights.columns;
  if (hasNext) {
    Positions next = positions(block + 1);
    const double *total = totals.data() + (next.begin - first) * lanes;
    if (next.begin >= chunks[chunk + 1]) { // beyond the totals
      sumLaneProducts(
          matrixKernels(path), errors.data(), lanes,
          {chunks.begin(), chunks.begin() + chunk + 1}, next.begin, next.end,
          [&](int64_t position) { return factor.column(position); },
          nextTotals);
      total = nextTotals.data();
    }
    repair(weights, total, first, here.begin, next, nextTargets);
  }
  int64_t count = here.end - here.begin;
  const int32_t *columns = factor.order().columns.data() + here.begin;
  values.assign(static_cast<size_t>(count * lanes), 0.0f);
  quantizer.quantize({factor, here.begin, count, columns, weights.rows, lanes,
                      targets.data(), hasNext ? nextTargets.data() : nullptr},
                     values.data());
  for (int64_t j = 0; j < count; ++j) {
    const float *weight = weights.column(columns[j]);
    for (int64_t lane = 0; lane < weights.rows; ++lane)
      errors[(here.begin + j) * lanes + lane] =
          weight[lane] - values[j * lanes + lane];
  }
}

double quadraticForm(const MomentsView &h, const LaneRows &w, CodePath path) {
  assert(h.columns == w.columns);
  const MatrixKernels &kernels = matrixKernels(path);
  std::vector<int64_t> chunks = evenChunks(w.columns);
  std::vector<double> totals;
  double result = 0;
  for (size_t c = 0; c + 1 < chunks.size(); ++c) {
    int64_t begin = chunks[c];
    sumLaneProducts(
        kernels, w.values.data(), w.lanes,
        {chunks.begin(), chunks.begin() + c + 1}, begin, chunks[c + 1],
        [&](int64_t j) { return h.row(j); }, totals);
    for (int64_t j = begin; j < chunks[c + 1]; ++j) {
      double *total = totals.data() + (j - begin) * w.lanes;
      addLaneProducts(kernels, w.column(begin), w.lanes, h.row(j) + begin,
                      j - begin, total);
      // Twice what lies left of the diagonal, once the diagonal.
      double diagonal = static_cast<double>(h.diagonal(j));
      for (int64_t lane = 0; lane < w.lanes; ++lane) {
        double value = static_cast<double>(w.column(j)[lane]);
        result += value * (2 * total[lane] + diagonal * value);
      }
    }
  }
  return result;
}

} // namespace lowbit
