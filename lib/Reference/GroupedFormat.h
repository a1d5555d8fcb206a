//===- GroupedFormat.h - Codes in groups with a scale -----------*- C++ -*-===//
//
// What `#lowbit.int`, `#lowbit.micro`, `#lowbit.levels` and `#lowbit.free` have
// in common: the tiles of Spec.md, section 2, and the meaning of a code.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_GROUPEDFORMAT_H
#define LOWBIT_REFERENCE_GROUPEDFORMAT_H

#include "StoredWeights.h"

#include <vector>

namespace lowbit::reference {

struct GroupedFormat {
  int64_t bits = 0;
  /// Columns of a group; 0 is one for the row.
  int64_t group = 0;
  mlir::Type scale;
  ZeroOffset offset = ZeroOffset::Integer;
  /// Step of each code; empty where codes are plain integers, or floats.
  std::vector<int> table;
  /// Value of each code of a format of floats, NaN where it has none.
  std::vector<float> floats;
  /// Each group of a row has four levels of its own.
  bool isFree = false;
  float unit = 1;

  static GroupedFormat get(FormatInterface format);

  bool hasFactor() const;
  bool hasZeros() const { return offset == ZeroOffset::Stored; }
  /// Bits of a zero point, and the number of codes that it counts.
  int64_t zeroBits() const { return bits == 1 ? 8 : bits; }
  int zerosPerCode() const { return bits == 1 ? 256 : 1; }
  /// Bytes of a scale; its value.
  int64_t scaleBytes() const { return scale.isF16() ? 2 : 1; }
  float decodeScale(const uint8_t *bytes) const;
  /// The step of a code: c − z, 2c − (2^b − 1) for offset `half`, or the
  /// table's; for floats and free levels the code. `zero` counts for `stored`.
  int16_t step(int code, int zero) const;
  /// Whether a code means something.
  bool isKnown(int code) const;
  /// What a code of a table or a float stands for, without scale and factor.
  float value(int code) const;
  /// Steps for a rows x columns matrix, all zero.
  IntegerSteps emptySteps(int64_t rows, int64_t columns) const;
  /// Makes the steps those of `weight`; of floats its values, w = s · value.
  void fill(Weight &weight, IntegerSteps steps) const;
};

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_GROUPEDFORMAT_H
