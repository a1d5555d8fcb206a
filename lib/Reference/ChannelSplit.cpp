//===- ChannelSplit.cpp - lowbit.spread, as specified -----------*- C++ -*-===//

#include "ParameterOps.h"
#include "StoredWeights.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;
using namespace lowbit::reference;

/// Where copies of one original stand.
static int64_t countCopies(llvm::ArrayRef<int64_t> index, int64_t first) {
  int64_t count = 1;
  while (index[first] >= 0 &&
         first + count < static_cast<int64_t>(index.size()) &&
         index[first + count] == index[first])
    ++count;
  return count;
}

/// One group with its copies moved apart for the step s.
static std::vector<double> moveCopies(llvm::ArrayRef<double> group,
                                      llvm::ArrayRef<int64_t> index, double s,
                                      bool isHalf) {
  std::vector<double> moved(group.begin(), group.end());
  if (s == 0 || !std::isfinite(s))
    return moved;
  const double margin = std::ldexp(1.0, -12), tie = std::ldexp(1.0, -40);
  for (size_t first = 0; first < group.size();) {
    int64_t k = countCopies(index, first);
    for (int64_t t = 0; k > 1 && t < k; ++t)
      moved[first + t] =
          group[first + t] + (double(t) - double(k - 1) / 2) / double(k) * s;
    for (int64_t t = 0; k > 1 && t < k; ++t) {
      double u = moved[first + t] / s + (isHalf ? 0.0 : 0.5);
      double above = u - std::floor(u), below = 1 - above, move = 0;
      if (above < margin)
        move = (margin - above) * s;
      else if (below <= tie)
        move = (margin + below) * s;
      else if (below < margin)
        move = (below - margin) * s;
      if (move == 0)
        continue;
      moved[first + t] += move;
      moved[first + (t + 1) % k] -= move;
      break;
    }
    first += k;
  }
  return moved;
}

Weight reference::spread(SpreadOp op, const Weight &input) {
  Weight result;
  result.rows = input.rows;
  result.columns = input.columns;
  std::vector<int64_t> index = op.getCopies().getIndex();
  IntAttr format = op.getFormat();
  int64_t width = format.getGroup() == 0 ? input.columns : format.getGroup();
  bool isHalf = format.getOffset() == ZeroOffset::Half;
  for (int64_t row = 0; row < input.rows; ++row)
    for (int64_t first = 0; first < input.columns; first += width) {
      int64_t count = std::min(width, input.columns - first);
      std::vector<double> group;
      for (int64_t i = 0; i < count; ++i)
        group.push_back(input.exactValue(row, first + i));
      auto columns = llvm::ArrayRef<int64_t>(index).slice(first, count);
      double s = nearestStep(format, group);
      std::vector<double> moved = moveCopies(group, columns, s, isHalf);
      for (int round = 1; round < 64 && nearestStep(format, moved) != s;
           ++round) {
        s = nearestStep(format, moved);
        moved = moveCopies(group, columns, s, isHalf);
      }
      result.computed.insert(result.computed.end(), moved.begin(), moved.end());
    }
  return result;
}
