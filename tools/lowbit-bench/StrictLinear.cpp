//===- StrictLinear.cpp - What a linear must give, to the bit -------------===//

#include "StrictLinear.h"
#include "lowbit/Numerics/Packing.h"

#include <cmath>
#include <random>

using namespace lowbit;
using namespace lowbit::bench;

/// Columns after which partial sums are added.
static constexpr int64_t slab = 512;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

namespace {

Status allocate(Memory &memory, int64_t bytes) {
  Result<Memory> made = Memory::allocate(bytes, "activations");
  if (!made)
    return made.error();
  memory = std::move(*made);
  return std::nullopt;
}

} // namespace

Result<Activations> Activations::make(const WeightType &type, int64_t rows,
                                      int64_t columns, int64_t planes) {
  Activations a;
  a.rows = rows;
  a.columns = columns;
  a.planes = planes;
  std::mt19937_64 random(2);
  if (planes == 0) {
    if (Status status = allocate(a.x, rows * columns * 4))
      return *status;
    auto *x = reinterpret_cast<float *>(a.x.data());
    for (int64_t i = 0; i < rows * columns; ++i)
      x[i] = static_cast<float>(static_cast<int32_t>(random())) * 0x1p-31f;
    return a;
  }
  a.sumColumns = type.format->sumColumns();
  int64_t stride = (columns + 63) / 64 * 64 + 64;
  int64_t groups = (columns + a.sumColumns - 1) / a.sumColumns;
  for (auto [memory, bytes] :
       {std::pair{&a.q, rows * planes * stride}, std::pair{&a.scales, rows * 4},
        std::pair{&a.sums, rows * planes * groups * 4}})
    if (Status status = allocate(*memory, bytes))
      return *status;
  auto *q = reinterpret_cast<int8_t *>(a.q.data());
  auto *sums = reinterpret_cast<int32_t *>(a.sums.data());
  auto *scales = reinterpret_cast<float *>(a.scales.data());
  int32_t limit = planes == 2 ? 32639 : 127;
  for (int64_t m = 0; m < rows; ++m) {
    scales[m] = static_cast<float>(1 + random() % 1000) * 1.3e-6f;
    for (int64_t k = 0; k < columns; ++k) {
      auto value = static_cast<int32_t>(random() % (2 * limit + 1)) - limit;
      a.values.push_back(value);
      int32_t hi = planes == 2 ? (value + 128) >> 8 : value;
      int32_t parts[2] = {hi, value - 256 * hi};
      for (int64_t plane = 0; plane < planes; ++plane) {
        q[(m * planes + plane) * stride + k] =
            static_cast<int8_t>(parts[plane]);
        sums[(m * planes + plane) * groups + k / a.sumColumns] += parts[plane];
      }
    }
  }
  return a;
}

std::vector<uint8_t *> Activations::arguments() const {
  if (planes == 0)
    return {x.data()};
  return {q.data(), scales.data(), sums.data()};
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

namespace {

/// `total` of Spec.md, section 3.
float strictTotal(const StepTile &tile, int64_t row, const Activations &a,
                  int64_t token) {
  int64_t columns = a.columns;
  const int16_t *steps = tile.steps.data() + row * columns;
  const float *scales = tile.scales.data() + row * tile.groups;
  const int32_t *values = a.values.data() + token * columns;
  float total = 0;
  for (int64_t first = 0; first < columns; first += slab) {
    int64_t slabEnd = std::min(first + slab, columns);
    float partial = 0;
    for (int64_t k = first; k < slabEnd;) {
      int64_t group = k / tile.groupColumns;
      int64_t end = std::min(slabEnd, (group + 1) * tile.groupColumns);
      int64_t hi = 0, lo = 0;
      for (; k < end; ++k) {
        int32_t high = a.planes == 2 ? (values[k] + 128) >> 8 : 0;
        hi += int64_t(steps[k]) * high;
        lo += int64_t(steps[k]) * (values[k] - 256 * high);
      }
      float f = a.planes == 2 ? std::fma(static_cast<float>(hi), 256.0f,
                                         static_cast<float>(lo))
                              : static_cast<float>(lo);
      partial = tile.isRow ? f : std::fma(f, scales[group], partial);
    }
    total = total + partial;
  }
  return total;
}

/// All parts of a tile and the token's scale.
float strictSteps(const StepTile &tile, int64_t row, float factor,
                  const Activations &a, int64_t token) {
  float sum = strictTotal(tile, row, a, token);
  if (tile.isRow)
    sum = sum * tile.scales[static_cast<size_t>(row)];
  for (const StepTile &part : tile.more)
    sum = std::fma(strictTotal(part, row, a, token),
                   part.scales[static_cast<size_t>(row)], sum);
  auto *tokenScales = reinterpret_cast<const float *>(a.scales.data());
  return sum * (tokenScales[token] * (factor * tile.unit));
}

float strictFloat(const float *weights, const float *x, int64_t columns) {
  float total = 0;
  for (int64_t first = 0; first < columns; first += slab) {
    float partial = 0;
    for (int64_t k = first; k < std::min(first + slab, columns); ++k)
      partial = std::fma(weights[k], x[k], partial);
    total = total + partial;
  }
  return total;
}

} // namespace

Status bench::strictTile(const WeightType &type, const uint8_t *bytes,
                         float factor, int64_t rows,
                         const Activations &activations, int64_t token,
                         float *y) {
  int64_t columns = activations.columns;
  if (type.format && activations.planes > 0) {
    StepTile tile;
    if (auto defect = type.format->unpack(bytes, rows, columns, 0, tile))
      return Error{ExitCode::Internal, describe(*defect)};
    for (int64_t row = 0; row < rows; ++row)
      y[row] = strictSteps(tile, row, factor, activations, token);
    return std::nullopt;
  }
  auto count = static_cast<size_t>(rows * columns);
  std::vector<float> weights(count);
  if (type.format) {
    if (auto defect = type.format->decode(bytes, rows, columns, 0, {factor},
                                          weights.data()))
      return Error{ExitCode::Internal, describe(*defect)};
  } else {
    std::vector<uint8_t> elements(
        count * static_cast<size_t>(elementSize(type.element)));
    unpackFloatTile(type.element, bytes, rows, columns, elements.data(),
                    columns);
    widenElements(type.element, elements.data(), rows * columns,
                  weights.data());
  }
  auto *x = reinterpret_cast<const float *>(activations.x.data());
  for (int64_t row = 0; row < rows; ++row)
    y[row] = strictFloat(weights.data() + row * columns, x + token * columns,
                         columns);
  return std::nullopt;
}
