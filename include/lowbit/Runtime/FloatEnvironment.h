//===- FloatEnvironment.h - Rounding as the numerics require ----*- C++ -*-===//
//
// A host process may have flush-to-zero set or another rounding mode (any
// library built with -ffast-math does that on load). Strict numerics (Spec.md,
// section 3) need rounding to nearest even and subnormals, so every thread sets
// its control register before kernels run and restores it afterwards.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_FLOATENVIRONMENT_H
#define LOWBIT_RUNTIME_FLOATENVIRONMENT_H

#include <cstdint>

namespace lowbit {

/// While it lives, the calling thread rounds to nearest even, keeps subnormals
/// and masks floating-point exceptions; then the register is as before.
class StrictFloatScope {
public:
  StrictFloatScope();
  ~StrictFloatScope();
  StrictFloatScope(const StrictFloatScope &) = delete;
  StrictFloatScope &operator=(const StrictFloatScope &) = delete;

private:
  uint64_t saved;
};

/// Computes 16 known results (ties, subnormals, overflow, division, square
/// root) on the calling thread and says whether all their bits are right.
bool floatsAreStrict();

} // namespace lowbit

#endif // LOWBIT_RUNTIME_FLOATENVIRONMENT_H
