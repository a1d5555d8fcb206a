//===- DoubleKernels.cpp - Inner loops of f64 matrices ----------*- C++ -*-===//

#include "DoubleKernels.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;

// clang-format off
// Rows of x that share a pass over P, and columns that stay in the cache.
#define LOWBIT_DEFINE_PATH(NAME, ATTRIBUTES)                                   \
  ATTRIBUTES static void addMultiple##NAME(                                    \
      double factor, const double *x, int64_t count, double *y) {              \
    for (int64_t i = 0; i < count; ++i)                                        \
      y[i] = __builtin_fma(factor, x[i], y[i]);                                \
  }                                                                            \
  ATTRIBUTES static void multiply##NAME(const double *x, int64_t rows,         \
                                        const double *p, int64_t n,            \
                                        double *y) {                           \
    constexpr int64_t rowBlock = 8, columnBlock = 64, slab = 512;              \
    double partial[rowBlock][columnBlock], total[rowBlock][columnBlock];       \
    for (int64_t r0 = 0; r0 < rows; r0 += rowBlock) {                          \
      int64_t r1 = std::min(rows, r0 + rowBlock);                              \
      for (int64_t j0 = 0; j0 < n; j0 += columnBlock) {                        \
        int64_t width = std::min(columnBlock, n - j0);                         \
        for (auto &sums : total)                                               \
          std::fill_n(sums, columnBlock, 0.0);                                 \
        for (int64_t k0 = 0; k0 < n; k0 += slab) {                             \
          for (auto &sums : partial)                                           \
            std::fill_n(sums, columnBlock, 0.0);                               \
          for (int64_t k = k0; k < std::min(n, k0 + slab); ++k)                \
            for (int64_t r = r0; r < r1; ++r) {                                \
              double factor = x[r * n + k];                                    \
              const double *row = p + k * n + j0;                              \
              double *sums = partial[r - r0];                                  \
              for (int64_t j = 0; j < width; ++j)                              \
                sums[j] = __builtin_fma(row[j], factor, sums[j]);              \
            }                                                                  \
          for (int64_t r = 0; r < rowBlock; ++r)                               \
            for (int64_t j = 0; j < width; ++j)                                \
              total[r][j] = total[r][j] + partial[r][j];                       \
        }                                                                      \
        for (int64_t r = r0; r < r1; ++r)                                      \
          std::copy_n(total[r - r0], width, y + r * n + j0);                   \
      }                                                                        \
    }                                                                          \
  }                                                                            \
  static const DoubleKernels kernels##NAME = {addMultiple##NAME,               \
                                              multiply##NAME};
// clang-format on

LOWBIT_DEFINE_PATH(Portable, )
#if defined(__x86_64__)
LOWBIT_DEFINE_PATH(AVX2, __attribute__((target("avx2,fma"))))
#endif

const DoubleKernels &lowbit::doubleKernels(CodePath path) {
#if defined(__x86_64__)
  if (path == CodePath::AVX2 && __builtin_cpu_supports("fma"))
    return kernelsAVX2;
#endif
  return kernelsPortable;
}
