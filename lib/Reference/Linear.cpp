//===- Linear.cpp - Each row times a weight, transposed ---------*- C++ -*-===//
//
// Columns are cut into slabs of 512; Spec.md, section 3, "Linear". Outputs are
// independent, so the loops run over several of them at once.
//
//===----------------------------------------------------------------------===//

#include "Elements.h"
#include "GraphOps.h"
#include "Parallel.h"
#include "Steps.h"

#include <algorithm>
#include <cassert>
#include <cmath>

using namespace lowbit;
using namespace lowbit::reference;

static constexpr int64_t slabColumns = 512;

//===----------------------------------------------------------------------===//
// Float weights
//===----------------------------------------------------------------------===//

/// Outputs that are summed side by side.
static constexpr int64_t panelRows = 32;

/// Sums one input row over a panel of weights `[k][panelRows]`.
template <typename T>
static void sumPanel(const T *panel, const T *x, int64_t columns, T *total) {
  std::fill_n(total, panelRows, T(0));
  for (int64_t first = 0; first < columns; first += slabColumns) {
    int64_t end = std::min(first + slabColumns, columns);
    T partial[panelRows] = {};
    for (int64_t k = first; k < end; ++k)
      for (int64_t n = 0; n < panelRows; ++n)
        partial[n] = mulAdd(panel[k * panelRows + n], x[k], partial[n]);
    for (int64_t n = 0; n < panelRows; ++n)
      total[n] = total[n] + partial[n];
  }
}

template <typename T>
static std::vector<T> linearFloat(RowsView<T> x, const Weight &weight,
                                  unsigned threads) {
  std::vector<T> y(x.rows * weight.rows);
  auto computePanels = [&](int64_t begin, int64_t end) {
    std::vector<T> panel(weight.columns * panelRows);
    for (int64_t first = begin * panelRows; first < end * panelRows;
         first += panelRows) {
      int64_t count = std::min(panelRows, weight.rows - first);
      for (int64_t n = 0; n < count; ++n)
        for (int64_t k = 0; k < weight.columns; ++k)
          panel[k * panelRows + n] = weight.value<T>(first + n, k);
      for (int64_t m = 0; m < x.rows; ++m) {
        T total[panelRows];
        sumPanel(panel.data(), x.row(m), weight.columns, total);
        std::copy_n(total, count, &y[m * weight.rows + first]);
      }
    }
  };
  parallelFor(threads, (weight.rows + panelRows - 1) / panelRows,
              weight.rows * weight.columns * x.rows, computePanels);
  return y;
}

//===----------------------------------------------------------------------===//
// Integer weights, integer activations
//===----------------------------------------------------------------------===//

namespace {
/// Rows of activations as integers: `q = 256 · high + low`, or `low` alone.
struct IntegerRows {
  std::vector<int16_t> high, low;
  std::vector<float> scales;
  /// Grouped activations: `[row][group]`, and columns of a group (else 0).
  std::vector<float> groupScales;
  int64_t group = 0, groups = 0;
};

/// A row of activations as `q` points at, when sums are made.
struct IntegerRow {
  const int16_t *high, *low;
  const float *groupScales;
};

/// Smallest and largest of some elements and 0.
struct Range {
  float low = 0, high = 0;
};
} // namespace

static Range rangeOf(const float *x, int64_t count) {
  Range range;
  for (int64_t i = 0; i < count; ++i) {
    range.low = std::fmin(range.low, x[i]);
    range.high = std::fmax(range.high, x[i]);
  }
  return range;
}

/// One row by groups; writes q and the groups' scales, returns the token's.
static float quantizeGroups(const float *x, int64_t columns, LinearInput input,
                            int16_t *q, float *scales) {
  bool finite = true;
  for (int64_t i = 0; i < columns; ++i)
    finite &= std::isfinite(x[i]);
  std::fill_n(q, columns, int16_t(0));
  float limit = input.isStored ? float((1 << input.bits) - 1)
                               : float((1 << (input.bits - 1)) - 1);
  float largest = 0;
  int64_t groups = (columns + input.group - 1) / input.group;
  for (int64_t g = 0; g < groups; ++g) {
    int64_t first = g * input.group;
    Range range = rangeOf(x + first, std::min(input.group, columns - first));
    scales[g] = (input.isStored ? range.high - range.low
                                : std::fmax(range.high, -range.low)) /
                limit;
    largest = std::fmax(largest, scales[g]);
  }
  float factor = input.isE4M3 ? largest / 448 : 1;
  if (!finite || !std::isfinite(factor))
    return std::nanf("");
  for (int64_t g = 0; g < groups; ++g) {
    if (input.isE4M3)
      scales[g] = factor > 0 ? roundToE4M3(scales[g] / factor) : 0;
    else
      scales[g] = roundToF16(scales[g]);
    float inv = 1 / (factor * scales[g]);
    if (std::isinf(inv))
      inv = 0;
    int64_t first = g * input.group,
            end = std::min(first + input.group, columns);
    Range range = rangeOf(x + first, end - first);
    auto clamp = [&](float v, float low) {
      return std::fmin(std::fmax(v, low), limit);
    };
    float z = input.isStored ? clamp(std::rint(-range.low * inv), 0) : 0;
    for (int64_t i = first; i < end; ++i)
      q[i] = static_cast<int16_t>(
          clamp(std::rint(x[i] * inv) + z, input.isStored ? 0 : -limit) - z);
  }
  return factor;
}

static IntegerRows quantizeRows(RowsView<float> x, LinearInput input) {
  IntegerRows result;
  result.low.resize(x.rows * x.columns);
  result.scales.resize(x.rows);
  if (input.group != 0) {
    result.group = input.group;
    result.groups = (x.columns + input.group - 1) / input.group;
    result.groupScales.resize(x.rows * result.groups);
    for (int64_t m = 0; m < x.rows; ++m)
      result.scales[m] =
          quantizeGroups(x.row(m), x.columns, input, &result.low[m * x.columns],
                         &result.groupScales[m * result.groups]);
    return result;
  }
  float limit = input.bits == 16 ? 32639 : 127;
  for (int64_t m = 0; m < x.rows; ++m)
    result.scales[m] =
        quantizeRow(x.row(m), x.columns, limit, &result.low[m * x.columns]);
  if (input.bits == 8)
    return result;
  result.high.resize(result.low.size());
  for (size_t i = 0; i < result.low.size(); ++i) {
    int q = result.low[i];
    int high = (q + 128) >> 8;
    result.high[i] = static_cast<int16_t>(high);
    result.low[i] = static_cast<int16_t>(q - 256 * high);
  }
  return result;
}

/// Exact: at most 512 · 255 · 128 < 2^24.
static int32_t dot(const int16_t *a, const int16_t *b, int64_t count) {
  int32_t sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += int32_t(a[i]) * int32_t(b[i]);
  return sum;
}

/// f of Spec.md over columns first … end − 1. `group` is that of the
/// activations, or 0.
static float groupSum(const int16_t *steps, const IntegerRow &row,
                      int64_t group, int64_t first, int64_t end) {
  if (group == 0) {
    float f = float(dot(steps + first, row.low + first, end - first));
    if (row.high)
      f = mulAdd(float(dot(steps + first, row.high + first, end - first)),
                 256.0f, f);
    return f;
  }
  float f = 0;
  while (first < end) {
    int64_t next = std::min(end, (first / group + 1) * group);
    f = mulAdd(float(dot(steps + first, row.low + first, next - first)),
               row.groupScales[first / group], f);
    first = next;
  }
  return f;
}

/// Σ over slabs and groups for output n and one row of activations (`high` is
/// null but for int16): `total` of Spec.md.
static float sumGroups(const IntegerSteps &integers, int64_t columns, int64_t n,
                       const IntegerRow &row, int64_t activationGroup) {
  const int16_t *steps = &integers.steps[n * columns];
  const float *scales = &integers.scales[n * integers.groups];
  int64_t group = integers.wholeRow ? slabColumns : integers.group;
  float total = 0;
  for (int64_t slab = 0; slab < columns; slab += slabColumns) {
    int64_t slabEnd = std::min(slab + slabColumns, columns);
    float partial = 0;
    for (int64_t first = slab; first < slabEnd; first += group) {
      int64_t end = std::min(first + group, slabEnd);
      float f = groupSum(steps, row, activationGroup, first, end);
      partial =
          integers.wholeRow ? f : mulAdd(f, scales[first / group], partial);
    }
    total = total + partial;
  }
  return total;
}

static std::vector<float> linearInteger(RowsView<float> x, const Weight &weight,
                                        LinearInput input, unsigned threads) {
  const IntegerSteps &integers = *weight.integers;
  IntegerRows rows = quantizeRows(x, input);
  float factor = integers.factor * integers.unit;
  std::vector<float> y(x.rows * weight.rows);
  auto computeOutputs = [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t m = 0; m < x.rows; ++m) {
        IntegerRow row{rows.high.empty() ? nullptr : &rows.high[m * x.columns],
                       &rows.low[m * x.columns],
                       rows.group == 0 ? nullptr
                                       : &rows.groupScales[m * rows.groups]};
        float total = sumGroups(integers, x.columns, n, row, rows.group);
        if (integers.wholeRow)
          total = total * integers.scales[n];
        for (const IntegerSteps &more : weight.refinements)
          total = mulAdd(sumGroups(more, x.columns, n, row, rows.group),
                         more.scales[n], total);
        y[m * weight.rows + n] = total * (rows.scales[m] * factor);
      }
  };
  parallelFor(threads, weight.rows, weight.rows * weight.columns * x.rows,
              computeOutputs);
  return y;
}

//===----------------------------------------------------------------------===//
// Both
//===----------------------------------------------------------------------===//

static std::vector<float> product(RowsView<float> x, const Weight &weight,
                                  LinearInput input, unsigned threads) {
  if (input.bits == 32)
    return linearFloat(x, weight, threads);
  assert(weight.integers && "linear_c3");
  return linearInteger(x, weight, input, threads);
}

static std::vector<double> product(RowsView<double> x, const Weight &weight,
                                   LinearInput, unsigned threads) {
  return linearFloat(x, weight, threads);
}

template <typename T>
std::vector<T> reference::linear(RowsView<T> x, const Weight &weight,
                                 const Weight *bias, LinearInput input,
                                 unsigned threads) {
  std::vector<T> y = product(x, weight, input, threads);
  if (bias)
    for (size_t i = 0; i < y.size(); ++i)
      y[i] = y[i] + bias->value<T>(0, i % weight.rows);
  return y;
}

template std::vector<float> reference::linear(RowsView<float>, const Weight &,
                                              const Weight *, LinearInput,
                                              unsigned);
template std::vector<double> reference::linear(RowsView<double>, const Weight &,
                                               const Weight *, LinearInput,
                                               unsigned);
