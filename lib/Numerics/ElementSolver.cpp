//===- ElementSolver.cpp - Codes of tables, small floats --------*- C++ -*-===//
//
// Spec.md, 1.4 and 1.5. Candidates are compared 16 at a time, one to a lane, in
// one walk over the group; only + − × ÷, comparisons and rounding to nearest
// even are used, so no result depends on the width of registers.
//
//===----------------------------------------------------------------------===//
#include "ElementSolver.h"

#include "TileDefects.h"
#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <cassert>
#include <cfloat>
#include <cmath>
#include <cstring>

#define LOWBIT_INLINE [[gnu::always_inline]] static inline

namespace lowbit {

using Floats = float __attribute__((vector_size(64)));
using Words = int32_t __attribute__((vector_size(64)));
constexpr int lanes = 16;
/// Columns whose errors are added in f32 before they go to f64.
constexpr int64_t errorSlab = 512;

ElementGrid::ElementGrid(const IntegerFormat &format) {
  quantum = format.unit();
  if (const SmallFloat *small = format.smallFloat()) {
    isFloat = true;
    least = std::ldexp(1.0f, small->least);
    quantum = std::ldexp(least, -small->mantissaBits);
  }
  // −128 of Int8 is left unused: its grid is symmetric.
  int first = format.element == Element::Int8 ? 1 : 0;
  for (int code = first; code < format.codes(); ++code)
    if (format.isNumber(code))
      largest = std::max(largest, std::fabs(format.tableValue(code)));
  if (format.element != Element::Levels)
    return;
  count = format.levelCount;
  for (int i = 0; i < count; ++i) {
    levels[i] = format.levels[static_cast<size_t>(i)];
    if (i > 0)
      middles[i] = (levels[i - 1] + levels[i]) * 0.5f;
  }
}

//===----------------------------------------------------------------------===//
// Errors of 16 candidates
//===----------------------------------------------------------------------===//

/// The values of 16 quotients.
LOWBIT_INLINE void roundElements(const ElementGrid &grid, const Floats &t,
                                 Floats &q) {
  if (grid.count) {
    q = Floats{} + grid.levels[0];
    for (int i = 1; i < grid.count; ++i)
      q = t > grid.middles[i] ? Floats{} + grid.levels[i] : q;
    return;
  }
  Floats magnitude = t < 0.0f ? -t : t;
  Floats largest = Floats{} + grid.largest;
  magnitude = magnitude < largest ? magnitude : largest;
  Floats quantum = Floats{} + grid.quantum;
  if (grid.isFloat) {
    // The power of two below the magnitude, in units of the smallest normal.
    Floats power = (Floats)((Words)magnitude & 0x7F800000);
    Floats least = Floats{} + grid.least;
    quantum = (power < least ? least : power) * (grid.quantum / grid.least);
  }
  Floats inverse = 1.0f / quantum; // exact: powers of two
  magnitude = __builtin_elementwise_roundeven(magnitude * inverse) * quantum;
  q = t < 0.0f ? -magnitude : magnitude;
}

LOWBIT_INLINE void errorsLoop(const ElementGrid &grid, const float *weights,
                              const float *importances, int64_t count,
                              const float *steps, double *errors) {
  Floats step;
  std::memcpy(&step, steps, sizeof(step));
  Floats inverse = 1.0f / step;
  double totals[lanes] = {};
  for (int64_t slab = 0; slab < count; slab += errorSlab) {
    int64_t end = slab + errorSlab < count ? slab + errorSlab : count;
    Floats sum = {};
    for (int64_t k = slab; k < end; ++k) {
      Floats t = weights[k] * inverse;
      Floats q;
      roundElements(grid, t, q);
      Floats e = t - q;
      sum = sum + (importances[k] * e) * e;
    }
    for (int i = 0; i < lanes; ++i)
      totals[i] += static_cast<double>(sum[i]);
  }
  for (int i = 0; i < lanes; ++i) {
    double width = step[i];
    bool usable = width >= FLT_MIN && width <= FLT_MAX;
    errors[i] = usable ? totals[i] * (width * width) : HUGE_VAL;
  }
}

#define LOWBIT_DEFINE_PATH(path, target)                                       \
  target static void errors##path(                                             \
      const ElementGrid &grid, const float *weights, const float *h,           \
      int64_t count, const float *steps, double *errors) {                     \
    errorsLoop(grid, weights, h, count, steps, errors);                        \
  }

LOWBIT_DEFINE_PATH(Portable, )
#if defined(__x86_64__)
LOWBIT_DEFINE_PATH(AVX2, __attribute__((target("avx2"))))
#endif

static auto *errorsOf(CodePath path) {
#if defined(__x86_64__)
  if (path == CodePath::AVX2)
    return &errorsAVX2;
#endif
  return &errorsPortable;
}

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

float elementFactor(const IntegerFormat &format, float largest) {
  float factor = largest / (ElementGrid(format).largest * maxE4M3);
  return factor > 0 ? factor : 1.0f;
}

/// E8M0 code of 2^exponent, saturating.
static uint16_t powerCode(int exponent) {
  return static_cast<uint16_t>(std::clamp(exponent + 127, 0, 254));
}

/// Stored bits of the scale that covers |w| ≤ `magnitude`. May be 0, or (f16)
/// infinite.
uint16_t ElementSolver::storedScale(float magnitude, float factor) const {
  if (format.scale == ScaleType::E4M3)
    return roundToE4M3(magnitude / (grid.largest * factor));
  if (format.scale == ScaleType::F16)
    return roundToF16(magnitude / grid.largest);
  if (magnitude == 0)
    return 0;
  // floor(log2 amax) − emax.
  return powerCode(std::ilogb(magnitude) - std::ilogb(grid.largest));
}

uint16_t ElementSolver::search(const float *weights, const float *h,
                               int64_t count, float magnitude, float factor,
                               uint16_t nearest) const {
  uint16_t best = nearest;
  double least = HUGE_VAL;
  auto compare = [&](const uint16_t *bits) {
    float steps[lanes];
    double errors[lanes];
    for (int i = 0; i < lanes; ++i)
      steps[i] = scaleValue(format.scale, bits[i]) * factor;
    errorsOf(path)(grid, weights, h, count, steps, errors);
    int found = -1;
    for (int i = 0; i < lanes; ++i)
      if (errors[i] < least) {
        least = errors[i];
        best = bits[i];
        found = i;
      }
    return found;
  };
  uint16_t bits[lanes];
  std::fill(bits, bits + lanes, nearest);
  if (format.scale == ScaleType::E8M0) {
    bits[1] = static_cast<uint16_t>(std::max(nearest - 1, 0));
    bits[2] = static_cast<uint16_t>(std::max(nearest - 2, 0));
    bits[3] = static_cast<uint16_t>(std::min(nearest + 1, 254));
    compare(bits);
    return best;
  }
  auto store = [&](float scale) {
    uint16_t stored = storedScale(scale, factor);
    return isScale(format.scale, stored) ? stored : nearest;
  };
  for (int i = 1; i < lanes; ++i)
    bits[i] = store(plan.coarse[static_cast<size_t>(i)] * magnitude);
  int coarse = compare(bits);
  float around = coarse < 0 ? 1.0f : plan.coarse[static_cast<size_t>(coarse)];
  for (int i = 0; i < lanes; ++i)
    bits[i] = store((around * plan.fine[static_cast<size_t>(i)]) * magnitude);
  compare(bits);
  return best;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

ElementSolver::ElementSolver(const IntegerFormat &format, int64_t columns,
                             SolverKind kind, const float *importance,
                             CodePath path)
    : format(format), columns(columns), kind(kind), path(path), grid(format),
      plan(searchPlan(format)) {
  assert(!whyInvalid(format) && format.element != Element::Integer);
  while (!format.isNumber(zeroCode) || format.tableValue(zeroCode) != 0)
    ++zeroCode;
  badImportance = reportBadImportance(importance, columns);
  importances.resize(static_cast<size_t>(columns), 1.0f);
  if (importance)
    std::copy_n(importance, columns, importances.begin());
}

/// Code of a magnitude that is a value of the element.
static int floatCode(const SmallFloat &small, const ElementGrid &grid,
                     float magnitude) {
  if (magnitude < grid.least)
    return static_cast<int>(magnitude / grid.quantum);
  // Of an f32's exponent 127 + least − 1 is left off, as is of its mantissa
  // what is 0.
  auto bits =
      static_cast<int>(floatToBits(magnitude) >> (23 - small.mantissaBits));
  return bits - ((126 + small.least) << small.mantissaBits);
}

void ElementSolver::roundColumn(const float *weights, const float *steps,
                                uint8_t *result) const {
  Floats w;
  Floats step;
  std::memcpy(&w, weights, sizeof(w));
  std::memcpy(&step, steps, sizeof(step));
  Floats q;
  roundElements(grid, w / (step == 0.0f ? Floats{} + 1.0f : step), q);
  for (int i = 0; i < lanes; ++i) {
    int code = zeroCode;
    if (steps[i] != 0 && grid.count) {
      code = 0;
      while (grid.levels[code] != q[i])
        ++code;
    } else if (steps[i] != 0 && grid.isFloat) {
      // The sign of a zero is kept.
      code = floatCode(*format.smallFloat(), grid, std::fabs(q[i])) +
             (std::signbit(w[i]) ? format.codes() / 2 : 0);
    } else if (steps[i] != 0) {
      code = 128 + static_cast<int>(q[i] / grid.quantum);
    }
    result[i] = static_cast<uint8_t>(code);
  }
}

std::optional<Defect> ElementSolver::chooseScales(const TileInput &input,
                                                  float factor,
                                                  IntegerTile &tile) {
  if (badImportance)
    return badImportance;
  if (std::optional<Defect> found = reportNonFinite(input))
    return found;
  tile.reset(format, input.rows, columns);
  tile.factor = factor;
  steps.assign(static_cast<size_t>(tileRows * tile.groups), 0.0f);
  int64_t width = groupColumns(format, columns);
  for (int64_t row = 0; row < input.rows; ++row)
    for (int64_t group = 0; group < tile.groups; ++group) {
      int64_t begin = group * width;
      int64_t count = std::min(width, columns - begin);
      const float *weights = input.weights + row * input.stride + begin;
      float magnitude = 0;
      for (int64_t k = 0; k < count; ++k)
        magnitude = std::max(magnitude, std::fabs(weights[k]));
      uint16_t bits = storedScale(magnitude, factor);
      if (!isScale(format.scale, bits) ||
          !isFiniteFloat(scaleValue(format.scale, bits) * factor))
        return reportOverflow(format, input.firstRow + row, group, width,
                              magnitude / grid.largest);
      bool isZero =
          magnitude == 0 || scaleValue(format.scale, bits) * factor == 0;
      if (!isZero && kind == SolverKind::Search)
        bits = search(weights, importances.data() + begin, count, magnitude,
                      factor, bits);
      auto at = static_cast<size_t>(row * tile.groups + group);
      tile.scaleBits[at] = isZero ? 0 : bits;
      tile.scales[at] = scaleValue(format.scale, tile.scaleBits[at]);
      steps[static_cast<size_t>(group * tileRows + row)] =
          isZero ? 0.0f : tile.scales[at] * factor;
      tile.vanishedGroups += isZero && magnitude != 0;
    }
  return std::nullopt;
}

std::array<float, 256> codeValues(const IntegerFormat &format) {
  std::array<float, 256> values = {};
  for (int code = 0; code < format.codes(); ++code)
    if (format.isNumber(code))
      values[static_cast<size_t>(code)] = format.tableValue(code);
  return values;
}

namespace {

/// Rounds single columns to the scales that were chosen for a tile.
class ElementColumns final : public BlockQuantizer {
public:
  ElementColumns(const ElementSolver &solver, const std::vector<float> &steps,
                 IntegerTile &tile)
      : solver(solver), steps(steps), tile(tile),
        width(groupColumns(tile.format, tile.columns)) {
    values = codeValues(tile.format);
  }

  void quantize(const FeedbackBlock &block, float *decoded) override {
    assert(block.count == 1 && block.lanes == tileRows);
    int64_t column = block.columns[0];
    int64_t group = column / width;
    roundColumn(column, block.targets);
    for (int64_t row = 0; row < tile.rows; ++row) {
      uint8_t code =
          tile.codes[static_cast<size_t>(row * tile.columns + column)];
      float scale = tile.scales[static_cast<size_t>(row * tile.groups + group)];
      decoded[row] = (values[code] * scale) * tile.factor;
    }
  }

  /// Stores the codes of a column of 16 weights.
  void roundColumn(int64_t column, const float *weights) {
    uint8_t codes[tileRows];
    solver.roundColumn(
        weights, steps.data() + static_cast<size_t>(column / width * tileRows),
        codes);
    for (int64_t row = 0; row < tile.rows; ++row)
      tile.codes[static_cast<size_t>(row * tile.columns + column)] = codes[row];
  }

private:
  const ElementSolver &solver;
  const std::vector<float> &steps;
  IntegerTile &tile;
  int64_t width;
  std::array<float, 256> values;
};

} // namespace

std::optional<Defect> ElementSolver::solve(const TileInput &input, float factor,
                                           ErrorFeedback *feedback,
                                           IntegerTile &tile) {
  if (std::optional<Defect> defect = chooseScales(input, factor, tile))
    return defect;
  rows.load(input);
  ElementColumns rounding(*this, steps, tile);
  if (feedback)
    feedback->run(rows, rounding);
  else
    for (int64_t k = 0; k < columns; ++k)
      rounding.roundColumn(k, rows.column(k));
  return std::nullopt;
}

} // namespace lowbit
