//===- InputMoments.cpp - What a linear reads, and should read --*- C++ -*-===//

#include "lowbit/Numerics/InputMoments.h"

#include "MatrixKernels.h"

#include <algorithm>

namespace lowbit {

/// Rows of sums that one thread makes at a time.
constexpr int64_t bandRows = 64;

InputMoments::InputMoments(int64_t columns, CodePath path)
    : columns(columns), path(path),
      momentSums(static_cast<size_t>(columns * columns)),
      driftSums(static_cast<size_t>(columns * columns)) {}

void InputMoments::add(const float *seen, const float *wanted, int64_t rows,
                       const ParallelLoop &loop) {
  const MatrixKernels &kernels = matrixKernels(path);
  missing.resize(static_cast<size_t>(rows * columns));
  loop(rows, [&](int64_t row) {
    for (int64_t k = row * columns; k < (row + 1) * columns; ++k)
      missing[k] = wanted[k] - seen[k];
  });
  loop((columns + bandRows - 1) / bandRows, [&](int64_t band) {
    int64_t first = band * bandRows;
    int64_t end = std::min(columns, first + bandRows);
    kernels.addOuterProducts(seen + first, seen, columns, rows, end - first,
                             end, momentSums.data() + first * columns);
    kernels.addOuterProducts(seen + first, missing.data(), columns, rows,
                             end - first, columns,
                             driftSums.data() + first * columns);
  });
}

std::vector<float> InputMoments::moments() const {
  std::vector<float> result;
  result.reserve(static_cast<size_t>(columns * (columns + 1) / 2));
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j <= i; ++j)
      result.push_back(static_cast<float>(momentSums[i * columns + j]));
  return result;
}

std::vector<float> InputMoments::drift() const {
  return {driftSums.begin(), driftSums.end()};
}

} // namespace lowbit
