//===- GroupRounding.h - Scale, zero point and grid of a group --*- C++ -*-===//
//
// The formulas of Spec.md, section 1.1, for one group: from a range of values
// to an unrounded scale, a zero point, a stored scale and a grid.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_GROUPROUNDING_H
#define LOWBIT_LIB_NUMERICS_GROUPROUNDING_H

#include "GroupKernels.h"
#include "lowbit/Numerics/IntegerFormat.h"

#include <cstdint>

namespace lowbit {

/// Scale and zero point of one group, and how weights are rounded with them.
struct GroupChoice {
  uint16_t scaleBits = 0;
  float scale = 0;
  uint8_t zero = 0;
  Grid grid;
};

/// Scale of `nearest`, before division by F and rounding, for values in
/// [minimum, maximum], which holds 0.
float unroundedScale(const IntegerFormat &format, float minimum, float maximum);

/// z of `stored`: clamp(rint(−minimum / scale), 0, 2^b − 1), for an unrounded
/// scale above 0; of codes of one bit that quotient times 256, up to 255.
uint8_t storedZero(const IntegerFormat &format, float minimum, float scale);

/// How scales of `format` are rounded.
ScaleRounding scaleRounding(const IntegerFormat &format, float factor);

/// Rounds a scale to its stored type. The result may be 0 or (f16) infinite.
/// `zero` counts for `stored` only; `lowestCode` is the smallest code used.
GroupChoice chooseScale(const IntegerFormat &format, float unrounded,
                        float factor, uint8_t zero, int lowestCode);

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_GROUPROUNDING_H
