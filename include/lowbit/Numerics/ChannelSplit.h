//===- ChannelSplit.h - Rounding-aware copies of columns --------*- C++ -*-===//
//
// `lowbit.spread` of Spec.md, section 3: copies of a column are moved apart by
// parts of the step that the solver `nearest` will choose, so that the sum of
// their codes is the code of the column rounded half up (Hermite's identity;
// OCS, Zhao et al. 2019, with the offsets of Bit-by-Bit, arXiv 2604.07888).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_CHANNELSPLIT_H
#define LOWBIT_NUMERICS_CHANNELSPLIT_H

#include "lowbit/Numerics/IntegerFormat.h"

#include <cstdint>
#include <vector>

namespace lowbit {

/// See the head of this file. Const calls may run in parallel.
class ChannelSplit {
public:
  /// Most copies of a column.
  static constexpr int64_t maxCopies = 8;

  /// `index` has for each column the original that it is a copy of, or −1;
  /// copies follow each other within one group (spread_c3). `format` is of
  /// integers, at least 2 bits, with f16 scales (spread_c2).
  ChannelSplit(const IntegerFormat &format, const std::vector<int64_t> &index);

  /// Moves the copies of one row of `index.size()` numbers, which hold w / k.
  void spread(double *row) const;

private:
  /// Columns first … first + count − 1 are copies of one, count ≥ 2.
  struct Copies {
    int64_t first, count;
  };
  struct Group {
    int64_t first, count;
    std::vector<Copies> copies;
  };
  double stepOf(const double *weights, int64_t count) const;
  void place(const Group &group, const double *row, double step,
             double *out) const;

  IntegerFormat format;
  std::vector<Group> groups;
};

} // namespace lowbit

#endif // LOWBIT_NUMERICS_CHANNELSPLIT_H
