//===- GroupKernels.h - Inner loops over one group --------------*- C++ -*-===//
//
// The loops that take the time, for one group of one row, compiled for each
// CodePath. Arrays are padded with zeros to a multiple of 16 columns, h
// included, so that padded columns add nothing.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_GROUPKERNELS_H
#define LOWBIT_LIB_NUMERICS_GROUPKERNELS_H

#include "lowbit/Numerics/CodePath.h"

#include <cstdint>

namespace lowbit {

/// Columns to which groups are padded in scratch memory.
constexpr int64_t groupLanes = 16;
/// f64 lanes of each error sum.
constexpr int64_t errorLanes = 8;

/// Smallest and largest weight of a group, 0 included, and whether all are
/// finite (else minimum and maximum mean nothing).
struct GroupRange {
  float minimum = 0;
  float maximum = 0;
  bool finite = true;
};

/// A way to round weights to codes with a known scale and zero point:
///   r = rint(clamp(w / step + shift, low, high)), c = r + base, c − z = r +
///   level
/// which is Spec 1.1 for every offset (clamping to integers before rint or
/// after it is the same).
struct Grid {
  /// F · s, rounded to f32; above 0.
  float step = 0;
  /// z; for `half` −½.
  float shift = 0;
  float low = 0;
  float high = 0;
  /// −z; for `half` ½.
  float level = 0;
  /// 0; for `half` 2^(b−1).
  int base = 0;
};

/// Four sums of the ledger, each in lanes by column mod 8: error, energy,
/// weighted error, weighted energy.
struct ErrorLanes {
  double sums[4][errorLanes] = {};
};

/// A group as stored, for its error: ŵ = ((c − zero) · scale) · factor.
struct CodedGroup {
  const uint8_t *codes;
  float zero;
  float scale;
  float factor;
};

/// The loops of one CodePath.
struct GroupKernels {
  GroupRange (*range)(const float *weights, int64_t count);

  /// Σ h (w − step·(c − z))² · unit², in f32 lanes that are added up every 512
  /// columns in f64. `unit` is a power of two near 1 / step: it keeps the
  /// squares in range.
  double (*error)(const float *weights, const float *importances, int64_t count,
                  const Grid &grid, float unit);

  /// Codes of `count` weights.
  void (*codes)(const float *weights, int64_t count, const Grid &grid,
                uint8_t *codes);

  /// Adds the errors of `count` columns (any number) to `lanes`; column i goes
  /// to lane i mod 8. `importances` may be null (all 1).
  void (*addErrors)(const float *weights, const float *importances,
                    int64_t count, const CodedGroup &group, ErrorLanes &lanes);
};

/// The loops of `path`, which the CPU must have.
const GroupKernels &groupKernels(CodePath path);

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_GROUPKERNELS_H
