//===- Checked.h - Integer arithmetic on numbers from files -----*- C++ -*-===//
//
// Every sum and product of numbers that a file holds goes through these: raw
// `+` and `*` wrap, and a wrapped size is how readers are broken.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_CHECKED_H
#define LOWBIT_CHECKPOINT_CHECKED_H

#include <cstdint>
#include <optional>

namespace lowbit {

/// a + b, or nothing where it does not fit.
inline std::optional<uint64_t> checkedAdd(uint64_t a, uint64_t b) {
  uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum))
    return std::nullopt;
  return sum;
}

/// a · b, or nothing where it does not fit.
inline std::optional<uint64_t> checkedMul(uint64_t a, uint64_t b) {
  uint64_t product;
  if (__builtin_mul_overflow(a, b, &product))
    return std::nullopt;
  return product;
}

/// The smallest multiple of `unit` (> 0) that is at least a, or nothing.
inline std::optional<uint64_t> checkedRoundUp(uint64_t a, uint64_t unit) {
  uint64_t rest = a % unit;
  return rest == 0 ? std::optional<uint64_t>(a) : checkedAdd(a, unit - rest);
}

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_CHECKED_H
