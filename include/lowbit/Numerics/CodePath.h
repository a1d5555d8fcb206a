//===- CodePath.h - Which compilation of a loop runs ------------*- C++ -*-===//
//
// The inner loops of this room are compiled more than once, for wider vectors.
// All compilations give the same bytes; tests compare them.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_CODEPATH_H
#define LOWBIT_NUMERICS_CODEPATH_H

#include <cstdint>

namespace lowbit {

/// Portable runs on every CPU that the program runs on.
enum class CodePath : uint8_t { Portable, AVX2 };

/// The fastest path that this CPU has.
CodePath fastestCodePath();

} // namespace lowbit

#endif // LOWBIT_NUMERICS_CODEPATH_H
