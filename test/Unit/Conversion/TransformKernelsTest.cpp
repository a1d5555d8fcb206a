//===- TransformKernelsTest.cpp - Rows behind transforms --------*- C++ -*-===//
//
// Family transform_rows, and the quantizers that take transforms in, against
// loops written from Spec.md, section 3, "Transforms", to the bit: orders that
// are powers of two, Paley orders and their multiples, blocks of every kind in
// rows that are no whole vectors.
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"
#include "NaiveSteps.h"
#include "lowbit/Numerics/Hadamard.h"
#include "llvm/Support/FormatVariadic.h"
#include <functional>
#include <gtest/gtest.h>

using namespace lowbit;
using namespace lowbit::test;
using llvm::formatv;

namespace {

using Row = std::vector<float>;

/// A chain of one or more transforms, as the kernel's parameters have it.
struct Chain {
  std::string name;
  int64_t columns;
  /// Elements of the lists `transforms` and `transform_types`.
  std::string kinds, types;
  std::vector<Row> matrices;
  std::function<Row(Row)> apply;
};

Row randomRow(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-2, 2);
  Row row(static_cast<size_t>(count));
  for (float &x : row)
    x = uniform(random);
  return row;
}

/// One block of n = m · width, one scalar at a time.
void naiveHadamard(float *x, int64_t n, const std::vector<int8_t> &signs,
                   bool transposed) {
  HadamardOrder order = *hadamardOrder(n);
  int64_t m = order.core, width = int64_t(1) << order.power;
  for (int64_t i = 0; i < n && !transposed; ++i)
    x[i] = signs[i] < 0 ? -x[i] : x[i];
  for (int64_t stride = 1; stride < width; stride *= 2)
    for (int64_t i = 0; i < n; ++i)
      if ((i & stride) == 0 && i % width + stride < width) {
        float a = x[i], b = x[i + stride];
        x[i] = a + b;
        x[i + stride] = a - b;
      }
  if (m > 1) {
    std::vector<int8_t> core = hadamardCore(m);
    Row y(static_cast<size_t>(n));
    for (int64_t to = 0; to < m; ++to)
      for (int64_t j = 0; j < width; ++j)
        for (int64_t i = 0; i < m; ++i) {
          int8_t sign = transposed ? core[to * m + i] : core[i * m + to];
          float term = sign < 0 ? -x[i * width + j] : x[i * width + j];
          y[to * width + j] = i == 0 ? term : y[to * width + j] + term;
        }
    std::copy(y.begin(), y.end(), x);
  }
  float scale = float(1 / std::sqrt(double(n)));
  for (int64_t i = 0; i < n; ++i) {
    x[i] = x[i] * scale;
    if (transposed && signs[i] < 0)
      x[i] = -x[i];
  }
}

Chain hadamardChain(int64_t n, int64_t blocks, int64_t seed, bool transposed) {
  Chain chain;
  chain.columns = n * blocks;
  chain.name = formatv("hadamard_{0}_{1}_{2}_{3}", n, blocks, seed + 1,
                       transposed ? "t" : "n");
  chain.kinds = formatv("#lowbit.hadamard<block = {0}{1}{2}>", n,
                        seed < 0 ? "" : formatv(", seed = {0}", seed).str(),
                        transposed ? ", transposed" : "");
  std::vector<int8_t> signs(static_cast<size_t>(n), 1);
  if (seed >= 0)
    signs = signsOfSeed(uint64_t(seed), n);
  chain.apply = [=](Row row) {
    for (int64_t block = 0; block < blocks; ++block)
      naiveHadamard(&row[block * n], n, signs, transposed);
    return row;
  };
  return chain;
}

/// Σ of products as a float linear sums them.
template <typename F> float naiveSum(int64_t count, F factors) {
  float total = 0;
  for (int64_t slab = 0; slab < count; slab += 512) {
    float partial = 0;
    for (int64_t i = slab; i < std::min(slab + 512, count); ++i)
      partial = std::fma(factors(i).first, factors(i).second, partial);
    total = total + partial;
  }
  return total;
}

/// y[r · n + j] = Σ_i P[i][j] x[r · n + i].
Row timesMatrix(const Row &x, const Row &p, int64_t n) {
  Row y(x.size());
  for (size_t first = 0; first < x.size(); first += n)
    for (int64_t j = 0; j < n; ++j)
      y[first + j] = naiveSum(
          n, [&](int64_t i) { return std::pair(p[i * n + j], x[first + i]); });
  return y;
}

Chain denseChain(int64_t n, int64_t blocks) {
  Chain chain;
  chain.name = formatv("dense_{0}_{1}", n, blocks);
  chain.columns = n * blocks;
  chain.kinds = "#lowbit.dense<general>";
  chain.types = formatv("tensor<{0}x{0}xf32>", n);
  chain.matrices = {randomRow(n * n, unsigned(n))};
  chain.apply = [=, p = chain.matrices[0]](const Row &row) {
    return timesMatrix(row, p, n);
  };
  return chain;
}

Chain kroneckerChain(int64_t a, int64_t b, int64_t blocks) {
  Chain chain;
  chain.name = formatv("kronecker_{0}_{1}_{2}", a, b, blocks);
  chain.columns = a * b * blocks;
  chain.kinds = "#lowbit.kronecker<general>";
  chain.types = formatv("tensor<{0}x{0}xf32>, tensor<{1}x{1}xf32>", a, b);
  chain.matrices = {randomRow(a * a, 1), randomRow(b * b, 2)};
  chain.apply = [=, p = chain.matrices[0],
                 q = chain.matrices[1]](const Row &row) {
    Row inner = timesMatrix(row, q, b), y(row.size());
    for (size_t first = 0; first < row.size(); first += a * b)
      for (int64_t r = 0; r < a; ++r)
        for (int64_t j = 0; j < b; ++j)
          y[first + r * b + j] = naiveSum(a, [&](int64_t i) {
            return std::pair(p[i * a + r], inner[first + i * b + j]);
          });
    return y;
  };
  return chain;
}

Chain diagonalChain(int64_t n, int64_t blocks) {
  Chain chain;
  chain.name = formatv("diagonal_{0}_{1}", n, blocks);
  chain.columns = n * blocks;
  chain.kinds = "#lowbit.diagonal";
  chain.types = formatv("tensor<{0}xf32>", n);
  chain.matrices = {randomRow(n, 5)};
  chain.apply = [=, s = chain.matrices[0]](Row row) {
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = row[i] * s[i % size_t(n)];
    return row;
  };
  return chain;
}

Chain signsChain(int64_t n, int64_t blocks) {
  Chain chain;
  chain.name = formatv("signs_{0}_{1}", n, blocks);
  chain.columns = n * blocks;
  chain.kinds = formatv("#lowbit.signs<block = {0}, seed = 9>", n);
  chain.apply = [=, signs = signsOfSeed(9, n)](Row row) {
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = signs[i % size_t(n)] < 0 ? -row[i] : row[i];
    return row;
  };
  return chain;
}

/// What `first` makes goes through `second`, which keeps the columns.
Chain both(const Chain &first, const Chain &second) {
  Chain chain = first;
  chain.name += "_" + second.name;
  chain.kinds += ", " + second.kinds;
  if (!chain.types.empty() && !second.types.empty())
    chain.types += ", ";
  chain.types += second.types;
  chain.matrices.insert(chain.matrices.end(), second.matrices.begin(),
                        second.matrices.end());
  chain.apply = [=](const Row &row) { return second.apply(first.apply(row)); };
  return chain;
}

/// Columns 0 … 4, the last one again, and zeros up to 20.
Chain gatherChain() {
  Chain chain;
  chain.name = "gather";
  chain.columns = 5;
  chain.kinds = "#lowbit.gather<columns = 5, runs = [0, 5, 4, 1, -1, 14]>";
  chain.apply = [](Row row) {
    row.push_back(row[4]);
    row.resize(20);
    return row;
  };
  return chain;
}

std::vector<Chain> allChains() {
  std::vector<Chain> chains;
  int64_t next = 0;
  for (int64_t n :
       {1,  2,  4,  8,   12,  16,  20,  24,  28,  32,  36,  44,  48,   60,
        64, 76, 80, 128, 148, 176, 192, 256, 344, 352, 512, 768, 1024, 11008})
    if (hadamardOrder(n)) {
      int64_t blocks = n > 1024 ? 1 : 1 + next % 3;
      chains.push_back(
          hadamardChain(n, blocks, next % 4 == 3 ? -1 : next, next % 2));
      ++next;
    }
  chains.push_back(denseChain(5, 3));
  chains.push_back(denseChain(64, 2));
  chains.push_back(denseChain(520, 1));
  chains.push_back(kroneckerChain(3, 5, 2));
  chains.push_back(kroneckerChain(16, 16, 1));
  chains.push_back(kroneckerChain(8, 20, 2));
  chains.push_back(diagonalChain(7, 5));
  chains.push_back(signsChain(17, 3));
  chains.push_back(gatherChain());
  chains.push_back(both(gatherChain(), hadamardChain(20, 1, 3, false)));
  chains.push_back(both(both(diagonalChain(24, 3), denseChain(6, 12)),
                        hadamardChain(12, 6, 1, true)));
  return chains;
}

/// The two lists, as they stand in a kernel's parameters.
std::string lists(const Chain &chain) {
  return formatv("transforms = [{0}], transform_types = [{1}]", chain.kinds,
                 chain.types);
}

} // namespace

TEST(TransformKernels, RowsOfEveryKind) {
  std::vector<Chain> chains = allChains();
  std::string text;
  for (const Chain &c : chains)
    text += formatv("lowbit.kernel @{0} family \"transform_rows\" {{prologue = "
                    "\"none\", x_offset = 2, x_stride = {1}, columns = {2}, "
                    "{3}}\n",
                    c.name, c.columns + 3, c.columns, lists(c));
  KernelHarness kernels(text);
  ASSERT_TRUE(kernels.ok());
  int64_t rows = 3;
  for (uint32_t variant : runnableVariants())
    for (const Chain &c : chains) {
      int64_t stride = c.columns + 3;
      Guarded<float> x(randomRow(rows * stride, unsigned(c.columns)));
      x[stride + 2] = 3e38f; // A row that overflows.
      size_t outputs = c.apply(Row(size_t(c.columns))).size();
      Guarded<float> y(rows * outputs);
      y.poison();
      std::vector<std::unique_ptr<Guarded<float>>> matrices;
      std::vector<const void *> args{x.data()};
      for (const Row &matrix : c.matrices) {
        matrices.push_back(std::make_unique<Guarded<float>>(matrix));
        args.push_back(matrices.back()->data());
      }
      args.push_back(y.data());
      kernels.run(c.name, variant, args, rows, rows, 1 + variant);
      for (int64_t row = 0; row < rows; ++row) {
        const float *start = &x[row * stride + 2];
        Row expected = c.apply(Row(start, start + c.columns));
        EXPECT_TRUE(
            equalBits(expected.data(), &y[row * outputs], outputs, c.name));
      }
      EXPECT_TRUE(y.intact()) << c.name;
    }
}

/// A norm, then a transform, then 8-bit integers: what R4 and its like become.
TEST(TransformKernels, QuantizersTakeThemIn) {
  std::vector<Chain> chains = {hadamardChain(64, 3, 1, false),
                               hadamardChain(20, 2, 2, true),
                               kroneckerChain(8, 12, 1)};
  std::string text;
  for (const Chain &c : chains)
    text += formatv("lowbit.kernel @{0} family \"quantize_rows\" {{prologue = "
                    "\"rms_norm\", eps = 1.0e-6 : f32, x_offset = 0, x_stride "
                    "= {1}, columns = {1}, planes = 1, sum_group = 512, {2}}\n",
                    c.name, c.columns, lists(c));
  KernelHarness kernels(text);
  ASSERT_TRUE(kernels.ok());
  for (uint32_t variant : runnableVariants())
    for (const Chain &c : chains) {
      int64_t n = c.columns, rows = 4, padded = (n + 63) / 64 * 64 + 64;
      Guarded<float> x(randomRow(rows * n, 7)), gain(randomRow(n, 8));
      Guarded<int8_t> q(rows * padded);
      Guarded<float> scales(rows);
      Guarded<int32_t> sums(rows);
      std::vector<std::unique_ptr<Guarded<float>>> matrices;
      std::vector<const void *> args{x.data(), gain.data()};
      for (const Row &matrix : c.matrices) {
        matrices.push_back(std::make_unique<Guarded<float>>(matrix));
        args.push_back(matrices.back()->data());
      }
      args.insert(args.end(), {q.data(), scales.data(), sums.data()});
      kernels.run(c.name, variant, args, rows, rows, 3);
      for (int64_t row = 0; row < rows; ++row) {
        Row values =
            c.apply(naiveRmsNorm(&x[row * n], gain.data(), n, 1.0e-6f));
        NaiveQuantized expected = naiveQuantize(values.data(), n, 127.0f);
        std::vector<int8_t> bytes(size_t(padded), 0);
        int32_t sum = 0;
        for (int64_t i = 0; i < n; ++i) {
          bytes[i] = int8_t(expected.q[i]);
          sum += expected.q[i];
        }
        EXPECT_TRUE(equalBits(&expected.scale, &scales[row], 1, c.name));
        EXPECT_TRUE(
            equalBytes(bytes.data(), &q[row * padded], bytes.size(), c.name));
        EXPECT_EQ(sum, sums[row]) << c.name;
      }
      EXPECT_TRUE(q.intact() && scales.intact() && sums.intact());
    }
}
