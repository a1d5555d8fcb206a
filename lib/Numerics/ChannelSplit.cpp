//===- ChannelSplit.cpp - Rounding-aware copies of columns ----------------===//

#include "lowbit/Numerics/ChannelSplit.h"
#include "GroupRounding.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/IntegerTile.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;

namespace {

/// Rounds of the search for a step that gives itself; it is monotone, so it
/// ends, in practice after two or three.
constexpr int maxRounds = 64;
/// Distance from a tie, in steps, that copies keep: more than f32 loses of a
/// quotient below 256.
constexpr double margin = 0x1p-12;
/// Below a tie by less than this counts as the tie: w / k is rounded.
constexpr double tieWidth = 0x1p-40;

} // namespace

ChannelSplit::ChannelSplit(const IntegerFormat &format,
                           const std::vector<int64_t> &index)
    : format(format) {
  auto columns = static_cast<int64_t>(index.size());
  int64_t width = format.group == 0 ? columns : format.group;
  for (int64_t first = 0; first < columns; first += width) {
    Group group{first, std::min(width, columns - first), {}};
    for (int64_t i = 0; i < group.count;) {
      int64_t end = i + 1;
      while (end < group.count && index[first + i] >= 0 &&
             index[first + end] == index[first + i])
        ++end;
      if (end - i > 1)
        group.copies.push_back({i, end - i});
      i = end;
    }
    if (!group.copies.empty())
      groups.push_back(std::move(group));
  }
}

/// The step of `nearest` for the weights of a group, as it sees them: f32.
double ChannelSplit::stepOf(const double *weights, int64_t count) const {
  float minimum = 0, maximum = 0;
  for (int64_t i = 0; i < count; ++i) {
    auto value = static_cast<float>(weights[i]);
    minimum = std::min(minimum, value);
    maximum = std::max(maximum, value);
  }
  uint16_t bits = roundToF16(unroundedScale(format, minimum, maximum));
  return scaleValue(ScaleType::F16, bits);
}

/// The group with copies moved apart for `step`.
void ChannelSplit::place(const Group &group, const double *row, double step,
                         double *out) const {
  std::copy_n(row, group.count, out);
  if (step == 0 || std::isinf(step))
    return;
  // Ties of `half` are at whole steps.
  double shift = format.offset == Offset::Half ? 0.0 : 0.5;
  for (const Copies &copies : group.copies) {
    auto k = static_cast<double>(copies.count);
    for (int64_t t = 0; t < copies.count; ++t) {
      double part = (static_cast<double>(t) - (k - 1) / 2) / k;
      out[copies.first + t] = row[copies.first + t] + part * step;
    }
    // Not two copies are near a tie: they are 1/k of a step apart.
    for (int64_t t = 0; t < copies.count; ++t) {
      double position = out[copies.first + t] / step + shift;
      double above = position - std::floor(position);
      double below = 1 - above;
      double move = above < margin      ? (margin - above) * step
                    : below <= tieWidth ? (margin + below) * step
                    : below < margin    ? (below - margin) * step
                                        : 0;
      if (move == 0)
        continue;
      out[copies.first + t] += move;
      out[copies.first + (t + 1) % copies.count] -= move;
      break;
    }
  }
}

void ChannelSplit::spread(double *row) const {
  std::vector<double> placed;
  for (const Group &group : groups) {
    double *weights = row + group.first;
    placed.resize(group.count);
    double step = stepOf(weights, group.count);
    for (int round = 0; round < maxRounds; ++round) {
      place(group, weights, step, placed.data());
      double next = stepOf(placed.data(), group.count);
      if (next == step)
        break;
      step = next;
    }
    std::copy(placed.begin(), placed.end(), weights);
  }
}
