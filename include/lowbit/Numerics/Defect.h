//===- Defect.h - Numbers that cannot be stored -----------------*- C++ -*-===//
//
// What a tensor may hold that no format can store. Numerics knows rows and
// columns, not names: the caller adds file and tensor and makes the error.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_DEFECT_H
#define LOWBIT_NUMERICS_DEFECT_H

#include <cstdint>
#include <string>

namespace lowbit {

/// One number that was refused, and where it was.
struct [[nodiscard]] Defect {
  enum class Kind : uint8_t {
    /// A weight is NaN or infinite.
    NonFiniteWeight,
    /// An importance is NaN, infinite or negative.
    BadImportance,
    /// A group's scale exceeds its stored type (f16: 65504; E4M3: F is not
    /// finite); `column` is the group's first, `group` and `limit` are set.
    ScaleOverflow,
    /// A given scale, or one read back, is NaN, infinite or signed.
    BadScale,
    /// The factor F is not finite or not positive.
    BadFactor,
    /// A given code exceeds 2^b − 1.
    BadCode,
    /// A given zero point exceeds 2^b − 1.
    BadZero,
  };

  Kind kind = Kind::NonFiniteWeight;
  /// Row in the tensor and column; the first by rows, then by columns. Row is
  /// −1 for an importance, both are −1 for a factor.
  int64_t row = -1;
  int64_t column = -1;
  /// The number that was refused.
  float value = 0;
  /// Number of the group in its row (ScaleOverflow only; else −1), and the
  /// largest value that it could have had.
  int64_t group = -1;
  float limit = 0;
  /// How many like it are in the same tile (NonFiniteWeight only; else 1).
  int64_t count = 1;
};

/// A defect at one place, with neither group nor limit.
Defect defectAt(Defect::Kind kind, int64_t row, int64_t column, float value);

/// One clause for a person: what, where, its value and the limit. For example
/// "weight at row 3, column 17 is nan, must be finite (2 such in this tile)",
/// or "scale at row 3, group 2 is 81920, exceeds 65504, the largest that is
/// stored".
std::string describe(const Defect &defect);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_DEFECT_H
