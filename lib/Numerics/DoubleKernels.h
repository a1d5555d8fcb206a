//===- DoubleKernels.h - Inner loops of f64 matrices ------------*- C++ -*-===//
#ifndef LOWBIT_LIB_NUMERICS_DOUBLEKERNELS_H
#define LOWBIT_LIB_NUMERICS_DOUBLEKERNELS_H

#include "lowbit/Numerics/CodePath.h"

#include <cstdint>

namespace lowbit {

/// Loops that are compiled for each CodePath; all give the same bits.
struct DoubleKernels {
  /// y[i] = fma(factor, x[i], y[i]).
  void (*addMultiple)(double factor, const double *x, int64_t count, double *y);
  /// y = x · P for rows of n elements, P n × n row-major: per slab of 512 rows
  /// of P, from 0, partial = fma(P[k][j], x[k], partial) for k in order; total
  /// = total + partial.
  void (*multiply)(const double *x, int64_t rows, const double *p, int64_t n,
                   double *y);
};

/// The loops of a path; the portable ones where the CPU lacks FMA.
const DoubleKernels &doubleKernels(CodePath path);

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_DOUBLEKERNELS_H
