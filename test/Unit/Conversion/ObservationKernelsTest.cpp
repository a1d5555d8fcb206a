//===- ObservationKernelsTest.cpp - Kernels that only observe ---*- C++ -*-===//

#include "KernelHarness.h"
#include "NaiveSteps.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace lowbit::test;
using llvm::formatv;

TEST(DiagonalMomentsKernel, SumsOfSquares) {
  const int64_t counts[] = {1, 15, 16, 17, 64, 65, 100, 131};
  std::string text;
  for (int64_t columns : counts)
    text += formatv("lowbit.kernel @h{0} family \"diagonal_moments\" {{columns "
                    "= {0}, x_offset = 2, x_stride = {1}}\n",
                    columns, columns + 3)
                .str();
  KernelHarness kernels(text, "x86_64", /*wide=*/true);
  ASSERT_TRUE(kernels.ok());
  for (uint32_t variant : variantsWithWide())
    for (int64_t n : counts)
      for (int64_t rows : {1, 5, 130}) {
        Guarded<float> x(randomFloats(rows * (n + 3), n, true, 1e-3f));
        std::vector<float> expected = randomFloats(n, n + 1);
        Guarded<float> h(expected);
        kernels.run(formatv("h{0}", n).str(), variant, {x.data(), h.data()},
                    rows, (n + 15) / 16, uint64_t(rows));
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t i = 0; i < n; ++i) {
            float value = x[r * (n + 3) + 2 + i];
            expected[i] = std::fma(value, value, expected[i]);
          }
        EXPECT_TRUE(equalBits(expected.data(), h.data(), n,
                              formatv("{0} columns", n).str()));
        EXPECT_TRUE(h.intact());
      }
}

TEST(RotaryKernel, TurnsEveryHead) {
  struct Shape {
    int64_t heads, headDim;
  };
  const Shape shapes[] = {{1, 2}, {3, 12}, {2, 32}, {2, 34}, {1, 128}};
  std::string text;
  for (auto [heads, headDim] : shapes)
    text += formatv("lowbit.kernel @r{0} family \"rotary\" {{columns = {1}, "
                    "head_dim = {0}, x_offset = 1, x_stride = {2}}\n",
                    headDim, heads * headDim, heads * headDim + 5)
                .str();
  KernelHarness kernels(text, "x86_64", /*wide=*/true);
  ASSERT_TRUE(kernels.ok());
  constexpr int64_t rows = 5;
  for (uint32_t variant : variantsWithWide())
    for (auto [heads, headDim] : shapes) {
      int64_t n = heads * headDim, half = headDim / 2, stride = n + 5;
      Guarded<float> x(randomFloats(rows * stride, headDim, true));
      Guarded<float> cos(randomFloats(rows * half, 1)),
          sin(randomFloats(rows * half, 2)), y(rows * n);
      y.poison();
      kernels.run(formatv("r{0}", headDim).str(), variant,
                  {x.data(), cos.data(), sin.data(), y.data()}, rows, rows, 3);
      std::vector<float> expected(rows * n);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t head = 0; head < heads; ++head)
          for (int64_t i = 0; i < half; ++i) {
            const float *in = &x[r * stride + 1 + head * headDim];
            float *out = &expected[r * n + head * headDim];
            float c = cos[r * half + i], s = sin[r * half + i];
            float a = in[i], b = in[i + half];
            out[i] = std::fma(a, c, -(b * s));
            out[i + half] = std::fma(b, c, a * s);
          }
      EXPECT_TRUE(equalBits(expected.data(), y.data(), rows * n,
                            formatv("head_dim {0}", headDim).str()));
      EXPECT_TRUE(y.intact());
    }
}
