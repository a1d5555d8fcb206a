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

/// Columns to which groups are padded in scratch memory, and candidates that
/// are compared at once.
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
///   r = rint(clamp(w / step + shift, low, high)), c = r + base,
///   c − z = r − shift
/// which is Spec 1.1 for every offset (clamping to integers before rint or
/// after it is the same).
struct Grid {
  /// F · s, rounded to f32; above 0.
  float step = 0;
  /// z; for `half` −½.
  float shift = 0;
  float low = 0;
  float high = 0;
  /// 0; for `half` 2^(b−1).
  int base = 0;
};

/// How a scale is stored: s = round(unrounded / factor) to `mantissaBits` bits
/// after the point and no exponent below that of `smallestNormal`, at most
/// `largest`.
struct ScaleRounding {
  float factor = 1;
  float largest = 0;
  float smallestNormal = 0;
  int mantissaBits = 0;
};

/// 16 scales with one zero point that are compared at once: before rounding
/// they are factors[i] · unrounded. The rest is that of Grid; candidate 0 may
/// have another lowest code.
struct CandidateBatch {
  const float *factors;
  float unrounded;
  float shift;
  float firstLow;
  float low;
  float high;
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

/// Grids of 16 rows, and how their codes decode: ŵ = ((c − zero) · scale) ·
/// factor.
struct ColumnGrids {
  float step[groupLanes];
  float shift[groupLanes];
  float low[groupLanes];
  float high[groupLanes];
  float zero[groupLanes];
  float scale[groupLanes];
  int base = 0;
  float factor = 1;
};

/// The loops of one CodePath.
struct GroupKernels {
  GroupRange (*range)(const float *weights, int64_t count);

  /// errors[i] = Σ h (w − step·(c − z))² for candidate i of 16, as step² · Σ h
  /// e² with e = (w · (1/step) + shift) − r: column by column in f32, every 512
  /// columns in f64, times step² in f64. In units of the step the squares stay
  /// in range. (The reciprocal may change c at ties, where both codes are
  /// equally good.) Infinite where the step is no normal number. `count` may be
  /// any number.
  void (*errors)(const float *weights, const float *importances, int64_t count,
                 const ScaleRounding &rounding, const CandidateBatch &batch,
                 double *errors);

  /// Codes of `count` weights.
  void (*codes)(const float *weights, int64_t count, const Grid &grid,
                uint8_t *codes);

  /// Adds the errors of `count` columns (any number) to `lanes`; column i goes
  /// to lane i mod 8. `importances` may be null (all 1).
  void (*addErrors)(const float *weights, const float *importances,
                    int64_t count, const CodedGroup &group, ErrorLanes &lanes);

  /// One column of 16 rows: codes of `weights` as `codes` rounds, and their
  /// values.
  void (*roundColumn)(const float *weights, const ColumnGrids &grids,
                      uint8_t *codes, float *values);
};

/// The loops of `path`, which the CPU must have.
const GroupKernels &groupKernels(CodePath path);

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_GROUPKERNELS_H
