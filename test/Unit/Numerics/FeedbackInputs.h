//===- FeedbackInputs.h - Moments and weights for tests ---------*- C++ -*-===//
#ifndef LOWBIT_TEST_UNIT_NUMERICS_FEEDBACKINPUTS_H
#define LOWBIT_TEST_UNIT_NUMERICS_FEEDBACKINPUTS_H

#include "lowbit/Numerics/ErrorFeedback.h"
#include "lowbit/Numerics/WeightCorpus.h"

#include <cmath>
#include <thread>
#include <vector>

namespace lowbit::feedback {

/// A dense symmetric matrix and its packed triangle.
struct Moments {
  int64_t columns = 0;
  std::vector<float> packed;

  explicit Moments(int64_t columns)
      : columns(columns), packed(columns * (columns + 1) / 2) {}
  float &at(int64_t i, int64_t j) {
    return i < j ? at(j, i) : packed[i * (i + 1) / 2 + j];
  }
  float at(int64_t i, int64_t j) const {
    return i < j ? at(j, i) : packed[i * (i + 1) / 2 + j];
  }
  MomentsView view() const { return {packed.data(), columns}; }
};

/// H of an AR(1) process.
inline Moments autoregressive(int64_t columns, double rho) {
  Moments h(columns);
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j <= i; ++j)
      h.at(i, j) = static_cast<float>(std::pow(rho, i - j));
  return h;
}

inline std::vector<float> gaussian(int64_t count, unsigned seed) {
  return normalNumbers(count, seed);
}

/// Σ x xᵀ of `samples` rows, f64 rounded once; columns differ in size.
inline Moments measured(int64_t columns, int64_t samples, unsigned seed) {
  std::vector<float> x = gaussian(columns * samples, seed);
  Moments h(columns);
  // Neighbours share a part, so that there is something to repair.
  for (int64_t s = 0; s < samples; ++s)
    for (int64_t k = 1; k < columns; ++k)
      x[s * columns + k] += 0.8f * x[s * columns + k - 1];
  for (int64_t i = 0; i < samples * columns; ++i)
    x[i] *= 1.0f + 0.5f * static_cast<float>(i % columns % 5);
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t s = 0; s < samples; ++s)
        sum += double(x[s * columns + i]) * double(x[s * columns + j]);
      h.at(i, j) = static_cast<float>(sum);
    }
  return h;
}

/// tr(E H Eᵀ) of row-major rows, in f64.
inline double outputError(const Moments &h, const std::vector<float> &error,
                          int64_t rows) {
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < h.columns; ++i)
      for (int64_t j = 0; j < h.columns; ++j)
        sum += double(error[r * h.columns + i]) * double(h.at(i, j)) *
               double(error[r * h.columns + j]);
  return sum;
}

/// A loop on three threads that takes the last first.
inline void runBackwards(int64_t count,
                         const std::function<void(int64_t)> &body) {
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 3; ++t)
    threads.emplace_back([=, &body] {
      for (int64_t i = count - 1 - t; i >= 0; i -= 3)
        body(i);
    });
  for (std::thread &thread : threads)
    thread.join();
}

inline FeedbackFactor factorOf(const Moments &h, FeedbackOrder order,
                               double damp, CodePath path = fastestCodePath(),
                               const ParallelLoop &loop = runInOrder) {
  FeedbackFactor factor;
  std::optional<Defect> defect = FeedbackFactor::compute(
      h.view(), std::move(order), damp, loop, factor, path);
  if (defect)
    std::abort();
  return factor;
}

} // namespace lowbit::feedback

#endif // LOWBIT_TEST_UNIT_NUMERICS_FEEDBACKINPUTS_H
