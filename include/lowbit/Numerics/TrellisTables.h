//===- TrellisTables.h - Frozen tables of the trellis codes -----*- C++ -*-===//
//
// A trellis code turns two bits of a stream, and the bits around them, into V
// numbers: entries of V tables of 64 signed bytes (Spec.md, 1.3). The tables
// are part of the format and never change.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_TRELLISTABLES_H
#define LOWBIT_NUMERICS_TRELLISTABLES_H

#include <cstdint>

namespace lowbit {

/// Entries of a table: indices have 6 bits.
constexpr int trellisEntries = 64;

/// Steps of a stream whose index lacks two bits: those with the first and the
/// last bits of a 64-bit word. Numbers of steps modulo 32.
constexpr int trellisHeadStep = 0, trellisTailStep = 31;

/// c of Spec 1.3 at `step`, for M = `mask`: `bits` are those of the stream from
/// the step's own on, at least the window's.
inline int windowIndex(unsigned mask, unsigned bits, int step) {
  unsigned index = (bits ^ (mask & bits >> 8)) & (trellisEntries - 1);
  if (step % 32 == trellisTailStep)
    index &= 15;
  if (step % 32 == trellisHeadStep)
    index &= 60;
  return static_cast<int>(index);
}

/// One code: rate 2/V bits, window of 12 or 10 bits.
struct TrellisCode {
  /// V: numbers of a step, 1, 2 or 4.
  int weightsPerStep;
  /// Bits of the stream that a number depends on: 12 or 10.
  int window;
  /// M: which bits of the later part of the window are xored to the index.
  unsigned mask;
  /// Standard deviation of the numbers that the table is best for, inverted:
  /// entries times `unit` are for unit variance.
  float unit;
  /// Mean squared error on unit Gaussians.
  float error;
  /// Entry c of table u at values[64 · u + c], in [−127, 127].
  const int8_t *values;
};

/// The code of `weightsPerStep` and `window`, or null.
const TrellisCode *findTrellisCode(int weightsPerStep, int window);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_TRELLISTABLES_H
