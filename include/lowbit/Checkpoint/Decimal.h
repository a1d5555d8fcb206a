//===- Decimal.h - Whole numbers that a person typed ------------*- C++ -*-===//
//
// Flags and files of ids hold numbers in decimal: `010` is ten, `0x10`, `+1`,
// `1e3` and ` 1` are no numbers, and what does not fit is refused, never
// clamped or wrapped.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_DECIMAL_H
#define LOWBIT_CHECKPOINT_DECIMAL_H

#include "lowbit/Checkpoint/Error.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace lowbit {

/// The number that all of `text` spells: an optional minus and decimal digits.
/// Exit 2 where it is none, or not in lowest…highest; the message is without a
/// subject: `is "010x", must be a decimal number from 0 to 9`.
Result<int64_t> parseDecimal(std::string_view text, int64_t lowest,
                             int64_t highest);

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_DECIMAL_H
