//===- KernelsTest.cpp - Row-wise kernels against naive loops ---*- C++ -*-===//

#include "KernelHarness.h"
#include "NaiveSteps.h"
#include "llvm/Support/FormatVariadic.h"
#include <gtest/gtest.h>

using namespace lowbit::test;
using llvm::formatv;

/// Columns that reach every tail, and some real ones.
static const int64_t columnCounts[] = {
    1,  2,  3,   7,   8,   15,  16,  17,  31,  32,  33,   63,
    64, 65, 127, 128, 129, 172, 255, 511, 512, 513, 1023, 2048};

/// Text of one kernel for every count of columns, named PREFIX_COUNT.
template <typename F> static std::string forCounts(F text) {
  std::string all;
  for (int64_t columns : columnCounts)
    all += text(columns);
  return all;
}

/// Runs `check(variant, columns)` for everything, counting.
template <typename F> static void forAll(F check) {
  for (uint32_t variant : runnableVariants())
    for (int64_t columns : columnCounts)
      check(variant, columns);
}

TEST(Kernels, Add) {
  KernelHarness kernels(forCounts([](int64_t n) {
    return formatv("lowbit.kernel @k{0} family \"add\" {{columns = {0}, "
                   "a_offset = 3, a_stride = {1}, b_offset = 0, b_stride = "
                   "{2}}\n",
                   n, n + 5, n + 1)
        .str();
  }));
  ASSERT_TRUE(kernels.ok());
  int64_t rows = 5;
  forAll([&](uint32_t variant, int64_t n) {
    Guarded<float> a(randomFloats(rows * (n + 5), n, true));
    Guarded<float> b(randomFloats(rows * (n + 1), n + 1, true));
    Guarded<float> y(rows * n);
    y.poison();
    kernels.run(formatv("k{0}", n).str(), variant,
                {a.data(), b.data(), y.data()}, rows, rows, n);
    std::vector<float> expected(rows * n);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; ++i)
        expected[r * n + i] = a[r * (n + 5) + 3 + i] + b[r * (n + 1) + i];
    EXPECT_TRUE(equalBits(expected.data(), y.data(), rows * n, "add"));
    EXPECT_TRUE(y.intact());
  });
}

TEST(Kernels, AddInPlace) {
  KernelHarness kernels(
      "lowbit.kernel @k family \"add\" {columns = 37, a_offset = 0, a_stride = "
      "37, b_offset = 0, b_stride = 37}");
  ASSERT_TRUE(kernels.ok());
  for (uint32_t variant : runnableVariants()) {
    Guarded<float> a(randomFloats(4 * 37, 1)), b(randomFloats(4 * 37, 2));
    std::vector<float> expected(4 * 37);
    for (size_t i = 0; i < expected.size(); ++i)
      expected[i] = a[i] + b[i];
    kernels.run("k", variant, {a.data(), b.data(), a.data()}, 4, 4);
    EXPECT_TRUE(equalBits(expected.data(), a.data(), expected.size(), "add"));
    EXPECT_TRUE(a.intact());
  }
}

TEST(Kernels, Gate) {
  KernelHarness kernels(forCounts([](int64_t n) {
    return formatv("lowbit.kernel @k{0} family \"gate\" {{columns = {0}, "
                   "gate_offset = 0, gate_stride = {1}, up_offset = {0}, "
                   "up_stride = {1}}\n",
                   n, 2 * n)
        .str();
  }));
  ASSERT_TRUE(kernels.ok());
  int64_t rows = 4;
  forAll([&](uint32_t variant, int64_t n) {
    Guarded<float> x(randomFloats(rows * 2 * n, n, true, 20.0f));
    x[0] = -std::numeric_limits<float>::infinity();
    x[2 * n] = std::numeric_limits<float>::quiet_NaN();
    x[4 * n] = 200.0f;
    Guarded<float> y(rows * n);
    y.poison();
    kernels.run(formatv("k{0}", n).str(), variant,
                {x.data(), x.data(), y.data()}, rows, rows, n);
    std::vector<float> expected(rows * n);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; ++i)
        expected[r * n + i] = naiveGate(x[r * 2 * n + i], x[r * 2 * n + n + i]);
    EXPECT_TRUE(equalBits(expected.data(), y.data(), rows * n, "gate"));
    EXPECT_TRUE(y.intact());
  });
}

/// The spec's exp at many arguments, through the gate with u = 1: silu(g).
TEST(Kernels, ExpOverItsRange) {
  constexpr int64_t columns = 4096;
  KernelHarness kernels(
      "lowbit.kernel @k family \"gate\" {columns = 4096, gate_offset = 0, "
      "gate_stride = 4096, up_offset = 0, up_stride = 4096}");
  ASSERT_TRUE(kernels.ok());
  int64_t rows = 64;
  Guarded<float> gate(rows * columns), up(rows * columns), y(rows * columns);
  std::mt19937_64 random(7);
  for (int64_t i = 0; i < rows * columns; ++i) {
    up[i] = 1.0f;
    uint32_t bits = uint32_t(random()); // any f32 at all
    if (i % 2)
      gate[i] = float(i % 40000) / 200.0f - 100.0f;
    else
      std::memcpy(&gate[i], &bits, 4);
  }
  for (uint32_t variant : runnableVariants()) {
    y.poison();
    kernels.run("k", variant, {gate.data(), up.data(), y.data()}, rows, rows);
    std::vector<float> expected(rows * columns);
    for (size_t i = 0; i < expected.size(); ++i)
      expected[i] = naiveGate(gate[i], 1.0f);
    EXPECT_TRUE(equalBits(expected.data(), y.data(), expected.size(), "silu"));
  }
}

TEST(Kernels, RmsNorm) {
  KernelHarness kernels(forCounts([](int64_t n) {
    return formatv("lowbit.kernel @k{0} family \"rms_norm\" {{columns = {0}, "
                   "eps = 1.0e-5 : f32, x_offset = 2, x_stride = {1}}\n",
                   n, n + 3)
        .str();
  }));
  ASSERT_TRUE(kernels.ok());
  int64_t rows = 4;
  forAll([&](uint32_t variant, int64_t n) {
    Guarded<float> x(randomFloats(rows * (n + 3), n));
    // Rows of zeros, of subnormals (eps decides) and of large numbers.
    for (int64_t i = 0; i < n + 3; ++i) {
      x[n + 3 + i] = 0.0f;
      x[2 * (n + 3) + i] *= 1e-41f;
      x[3 * (n + 3) + i] *= 1e15f;
    }
    Guarded<float> gain(randomFloats(n, n + 9));
    Guarded<float> y(rows * n);
    y.poison();
    kernels.run(formatv("k{0}", n).str(), variant,
                {x.data(), gain.data(), y.data()}, rows, rows, n);
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<float> expected =
          naiveRmsNorm(&x[r * (n + 3) + 2], gain.data(), n, 1.0e-5f);
      EXPECT_TRUE(equalBits(expected.data(), &y[r * n], n, "rms_norm"));
    }
    EXPECT_TRUE(y.intact());
  });
}

TEST(Kernels, SelectRows) {
  KernelHarness kernels(forCounts([](int64_t n) {
    return formatv("lowbit.kernel @k{0} family \"select_rows\" {{columns = "
                   "{0}, x_offset = 1, x_stride = {1}}\n",
                   n, n + 2)
        .str();
  }));
  ASSERT_TRUE(kernels.ok());
  Guarded<int32_t> select(std::vector<int32_t>{6, 0, 6, 3});
  forAll([&](uint32_t variant, int64_t n) {
    Guarded<float> x(randomFloats(7 * (n + 2), n, true));
    Guarded<float> y(4 * n);
    y.poison();
    kernels.run(formatv("k{0}", n).str(), variant,
                {x.data(), select.data(), y.data()}, 4, 4, n);
    for (int64_t r = 0; r < 4; ++r)
      EXPECT_TRUE(
          equalBits(&x[select[r] * (n + 2) + 1], &y[r * n], n, "select"));
    EXPECT_TRUE(y.intact());
  });
}

//===----------------------------------------------------------------------===//
// quantize_rows
//===----------------------------------------------------------------------===//

namespace {
struct QuantizeCase {
  std::string prologue;
  int64_t columns, planes, sumGroup;
  std::string name() const {
    return formatv("{0}_{1}_{2}_{3}", prologue, columns, planes, sumGroup)
        .str();
  }
};
} // namespace

static std::vector<QuantizeCase> quantizeCases() {
  std::vector<QuantizeCase> cases;
  int64_t groups[] = {32, 64, 128, 512};
  size_t next = 0;
  for (int64_t columns : {1, 7, 16, 17, 31, 33, 64, 65, 127, 129, 172, 513})
    for (int64_t planes : {1, 2})
      for (const char *prologue : {"none", "rms_norm", "gate"})
        cases.push_back({prologue, columns, planes, groups[next++ % 4]});
  // Every prologue with every group, several groups and a ragged one.
  for (int64_t group : groups)
    for (const char *prologue : {"none", "rms_norm", "gate"})
      cases.push_back({prologue, 1100, 2, group});
  return cases;
}

static std::string kernelText(const QuantizeCase &c) {
  std::string parameters;
  if (c.prologue == "gate")
    parameters = formatv("gate_offset = 0, gate_stride = {0}, up_offset = {1}, "
                         "up_stride = {0}",
                         2 * c.columns, c.columns);
  else
    parameters = formatv("x_offset = 1, x_stride = {0}", c.columns + 1);
  if (c.prologue == "rms_norm")
    parameters += ", eps = 1.0e-6 : f32";
  return formatv(
      "lowbit.kernel @{0} family \"quantize_rows\" {{prologue = "
      "\"{1}\", {2}, columns = {3}, planes = {4}, sum_group = {5}}\n",
      c.name(), c.prologue, parameters, c.columns, c.planes, c.sumGroup);
}

/// The rows that are to be quantized, by the naive prologue.
static std::vector<float> prologueRow(const QuantizeCase &c,
                                      const Guarded<float> &x,
                                      const Guarded<float> &gain, int64_t row) {
  int64_t n = c.columns;
  std::vector<float> values(n);
  if (c.prologue == "gate") {
    for (int64_t i = 0; i < n; ++i)
      values[i] = naiveGate(x[row * 2 * n + i], x[row * 2 * n + n + i]);
    return values;
  }
  const float *start = &x[row * (n + 1) + 1];
  if (c.prologue == "rms_norm")
    return naiveRmsNorm(start, gain.data(), n, 1.0e-6f);
  return {start, start + n};
}

static void checkQuantizeRows(KernelHarness &kernels, const QuantizeCase &c,
                              uint32_t variant) {
  int64_t n = c.columns, rows = 5;
  int64_t padded = (n + 63) / 64 * 64 + 64;
  int64_t groups = (n + c.sumGroup - 1) / c.sumGroup;
  int64_t stride = c.prologue == "gate" ? 2 * n : n + 1;
  Guarded<float> x(randomFloats(rows * stride, n + c.planes));
  Guarded<float> gain(randomFloats(n, 3));
  // Row 1: zeros; row 2: as good as zeros; row 3: something not finite.
  for (int64_t i = 0; i < stride; ++i) {
    x[stride + i] = 0.0f;
    x[2 * stride + i] *= 1e-40f;
  }
  x[4 * stride - 1 - (c.prologue == "gate" ? n : 0)] =
      n % 2 ? std::numeric_limits<float>::quiet_NaN()
            : std::numeric_limits<float>::infinity();
  Guarded<int8_t> q(rows * c.planes * padded);
  Guarded<float> scales(rows);
  Guarded<int32_t> sums(rows * c.planes * groups);
  q.poison();
  scales.poison();
  sums.poison();
  std::vector<const void *> args{x.data()};
  if (c.prologue != "none")
    args.push_back(c.prologue == "gate" ? x.data() : gain.data());
  for (const void *result :
       {(const void *)q.data(), (const void *)scales.data(),
        (const void *)sums.data()})
    args.push_back(result);
  kernels.run(c.name(), variant, args, rows, rows, n);

  for (int64_t row = 0; row < rows; ++row) {
    std::vector<float> values = prologueRow(c, x, gain, row);
    NaiveQuantized expected =
        naiveQuantize(values.data(), n, c.planes == 2 ? 32639.0f : 127.0f);
    EXPECT_TRUE(equalBits(&expected.scale, &scales[row], 1, c.name()));
    if (std::isnan(expected.scale))
      continue;
    std::vector<int8_t> bytes(c.planes * padded);
    std::vector<int32_t> planeSums(c.planes * groups);
    for (int64_t i = 0; i < n; ++i) {
      int32_t value = expected.q[i];
      int32_t hi = (value + 128) >> 8;
      int32_t parts[2] = {c.planes == 2 ? hi : value, value - 256 * hi};
      for (int64_t plane = 0; plane < c.planes; ++plane) {
        bytes[plane * padded + i] = int8_t(parts[plane]);
        planeSums[plane * groups + i / c.sumGroup] += parts[plane];
      }
    }
    EXPECT_TRUE(equalBytes(bytes.data(), &q[row * c.planes * padded],
                           bytes.size(), c.name() + " q"));
    EXPECT_TRUE(equalBytes(planeSums.data(), &sums[row * c.planes * groups],
                           planeSums.size() * 4, c.name() + " sums"));
  }
  EXPECT_TRUE(q.intact() && scales.intact() && sums.intact()) << c.name();
}

TEST(Kernels, QuantizeRows) {
  std::string text;
  for (const QuantizeCase &c : quantizeCases())
    text += kernelText(c);
  KernelHarness kernels(text);
  ASSERT_TRUE(kernels.ok());
  for (uint32_t variant : runnableVariants())
    for (const QuantizeCase &c : quantizeCases())
      checkQuantizeRows(kernels, c, variant);
}

//===----------------------------------------------------------------------===//
// quantize_groups
//===----------------------------------------------------------------------===//

namespace {
struct GroupsCase {
  QuantizeCase base; ///< planes: bits
  int64_t group;
  bool e4m3, stored;
  std::string name() const {
    return formatv("{0}_g{1}_{2}_{3}", base.name(), group,
                   e4m3 ? "e4m3" : "f16", stored ? "stored" : "integer")
        .str();
  }
};

/// Spec.md, section 3: q, scales and the token's factor of one row.
struct NaiveGroups {
  std::vector<int> q;
  std::vector<float> scales;
  float factor = 1;
};
} // namespace

static NaiveGroups naiveGroups(const std::vector<float> &x,
                               const GroupsCase &c) {
  int64_t n = x.size(), bits = c.base.planes;
  NaiveGroups result;
  result.q.resize(n);
  float steps = float(c.stored ? (1 << bits) - 1 : (1 << (bits - 1)) - 1);
  std::vector<float> lows;
  float largest = 0;
  for (int64_t first = 0; first < n; first += c.group) {
    float low = 0, high = 0;
    for (int64_t i = first; i < std::min(first + c.group, n); ++i) {
      if (!std::isfinite(x[i])) {
        result.factor = std::numeric_limits<float>::quiet_NaN();
        return result;
      }
      low = std::fmin(low, x[i]);
      high = std::fmax(high, x[i]);
    }
    lows.push_back(low);
    result.scales.push_back((c.stored ? high - low : std::fmax(high, -low)) /
                            steps);
    largest = std::fmax(largest, result.scales.back());
  }
  if (c.e4m3)
    result.factor = largest / 448.0f;
  for (size_t g = 0; g < result.scales.size(); ++g) {
    float &s = result.scales[g];
    s = c.e4m3
            ? (result.factor > 0
                   ? lowbit::e4m3ToFloat(lowbit::roundToE4M3(s / result.factor))
                   : 0.0f)
            : lowbit::f16ToFloat(lowbit::roundToF16(s));
    float inverse = 1.0f / (result.factor * s);
    if (std::isinf(inverse))
      inverse = 0;
    auto clamp = [&](float v, float lowest) {
      return std::fmax(std::fmin(v, steps), lowest);
    };
    float z = c.stored ? clamp(std::rint(-lows[g] * inverse), 0) : 0;
    for (int64_t i = g * c.group; i < std::min<int64_t>((g + 1) * c.group, n);
         ++i)
      result.q[i] = int(
          clamp(std::rint(x[i] * inverse) + z, c.stored ? 0.0f : -steps) - z);
  }
  return result;
}

static void checkQuantizeGroups(KernelHarness &kernels, const GroupsCase &c,
                                uint32_t variant) {
  int64_t n = c.base.columns, rows = 6, sumGroup = c.base.sumGroup;
  int64_t padded = (n + 63) / 64 * 64 + 64;
  int64_t groups = (n + c.group - 1) / c.group;
  int64_t sumCount = (n + sumGroup - 1) / sumGroup;
  int64_t stride = c.base.prologue == "gate" ? 2 * n : n + 1;
  Guarded<float> x(randomFloats(rows * stride, n + c.group));
  Guarded<float> gain(randomFloats(n, 3));
  // Zeros; as good as zeros; something not finite; one group much larger; one
  // sign.
  for (int64_t i = 0; i < stride; ++i) {
    x[stride + i] = 0.0f;
    x[2 * stride + i] *= 1e-41f;
    if (i > c.group)
      x[4 * stride + i] *= 1e-3f;
    x[5 * stride + i] = std::fabs(x[5 * stride + i]);
  }
  x[4 * stride - 1 - (c.base.prologue == "gate" ? n : 0)] =
      n % 2 ? std::numeric_limits<float>::quiet_NaN()
            : std::numeric_limits<float>::infinity();
  Guarded<int8_t> q(rows * padded);
  Guarded<float> scales(rows), groupScales(rows * groups);
  Guarded<int32_t> sums(rows * sumCount);
  q.poison();
  scales.poison();
  sums.poison();
  groupScales.poison();
  std::vector<const void *> args{x.data()};
  if (c.base.prologue != "none")
    args.push_back(c.base.prologue == "gate" ? x.data() : gain.data());
  for (const void *result :
       {(const void *)q.data(), (const void *)scales.data(),
        (const void *)sums.data(), (const void *)groupScales.data()})
    args.push_back(result);
  kernels.run(c.name(), variant, args, rows, rows, n);
  for (int64_t row = 0; row < rows; ++row) {
    NaiveGroups expected = naiveGroups(prologueRow(c.base, x, gain, row), c);
    EXPECT_TRUE(equalBits(&expected.factor, &scales[row], 1, c.name()));
    if (std::isnan(expected.factor))
      continue;
    std::vector<int8_t> bytes(padded);
    std::vector<int32_t> expectedSums(sumCount);
    for (int64_t i = 0; i < n; ++i) {
      bytes[i] = int8_t(expected.q[i]);
      expectedSums[i / sumGroup] += expected.q[i];
    }
    EXPECT_TRUE(
        equalBytes(bytes.data(), &q[row * padded], padded, c.name() + " q"));
    EXPECT_TRUE(equalBytes(expectedSums.data(), &sums[row * sumCount],
                           sumCount * 4, c.name() + " sums"));
    EXPECT_TRUE(equalBits(expected.scales.data(), &groupScales[row * groups],
                          groups, c.name() + " scales"));
  }
  EXPECT_TRUE(q.intact() && scales.intact() && sums.intact() &&
              groupScales.intact())
      << c.name();
}

TEST(Kernels, QuantizeGroups) {
  std::vector<GroupsCase> cases;
  size_t next = 0;
  const char *prologues[] = {"none", "rms_norm", "gate"};
  for (int64_t columns : {1, 17, 32, 33, 64, 127, 172, 256, 300})
    for (int64_t bits : {4, 2}) {
      int64_t group = int64_t(32) << next % 3;
      int64_t sumGroup = std::max<int64_t>(group >> next % 2, 32);
      cases.push_back({{prologues[next % 3], columns, bits, sumGroup},
                       group,
                       next % 4 < 2,
                       next / 2 % 2 == 0});
      ++next;
    }
  std::string text;
  for (const GroupsCase &c : cases) {
    std::string kernel = kernelText(c.base);
    kernel.replace(kernel.find(c.base.name()), c.base.name().size(), c.name());
    kernel.replace(kernel.find("quantize_rows"), 13, "quantize_groups");
    std::string planes = formatv("planes = {0}", c.base.planes).str();
    kernel.replace(kernel.find(planes), planes.size(),
                   formatv("bits = {0}, group = {1}, scale = {2}, zero_points "
                           "= {3}",
                           c.base.planes, c.group, c.e4m3 ? "f8E4M3FN" : "f16",
                           c.stored ? "true" : "false")
                       .str());
    text += kernel;
  }
  KernelHarness kernels(text);
  ASSERT_TRUE(kernels.ok());
  for (uint32_t variant : runnableVariants())
    for (const GroupsCase &c : cases)
      checkQuantizeGroups(kernels, c, variant);
}
