//===- SecondMomentsKernelTest.cpp - H += Σ x xᵀ ----------------*- C++ -*-===//

#include "KernelHarness.h"
#include "NaiveSteps.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace lowbit::test;
using llvm::formatv;

static std::string kernelText(int64_t columns) {
  return formatv("lowbit.kernel @h{0} family \"second_moments\" {{columns = "
                 "{0}, x_offset = 2, x_stride = {1}}\n",
                 columns, columns + 3)
      .str();
}

TEST(SecondMomentsKernel, LowerTriangle) {
  const int64_t counts[] = {1, 7, 15, 16, 17, 33, 64, 100, 529, 1040};
  std::string text;
  for (int64_t columns : counts)
    text += kernelText(columns);
  KernelHarness kernels(text, "x86_64", /*wide=*/true);
  ASSERT_TRUE(kernels.ok());
  for (uint32_t variant : variantsWithWide())
    for (int64_t n : counts)
      // More than one block of rows, and blocks that are cut short.
      for (int64_t rows : {1, 5, 128, 300}) {
        if (n > 500 && rows == 300)
          rows = 131;
        Guarded<float> x(randomFloats(rows * (n + 3), n, true, 1e-3f));
        std::vector<float> start = randomFloats(n * n, n + 1);
        Guarded<float> h(start);
        kernels.run(formatv("h{0}", n).str(), variant, {x.data(), h.data()},
                    rows, (n + 15) / 16, uint64_t(rows));
        bool equal = h.intact();
        for (int64_t i = 0; i < n && equal; ++i) {
          std::vector<float> expected(start.begin() + i * n,
                                      start.begin() + i * n + n);
          // Up to the end of the diagonal tile.
          int64_t end = std::min(n, i / 16 * 16 + 16);
          for (int64_t j = 0; j < end; ++j)
            for (int64_t r = 0; r < rows; ++r) {
              const float *row = &x[r * (n + 3) + 2];
              expected[j] = std::fma(row[i], row[j], expected[j]);
            }
          equal = equalBits(expected.data(), &h[i * n], n,
                            formatv("row {0} of {1}", i, n).str());
        }
        EXPECT_TRUE(equal) << "variant " << variant << ", " << n << " columns, "
                           << rows << " rows";
      }
}
