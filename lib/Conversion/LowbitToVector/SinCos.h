//===- SinCos.h - Cosines and sines of f64 ----------------------*- C++ -*-===//
//
// Computed without a library and without fma, so that every target gives the
// same bits:
//
//  - n = rint(angle · 2/pi), r = angle - n · pi/2 with pi/2 in two parts of 33
//    bits and a third of 53. Products with n < 2^20 are exact, and so is the
//    first difference; r comes as a sum of two f64 (Cody and Waite 1980; the
//    second iteration of fdlibm's rem_pio2).
//  - the polynomials of degree 13 and 14 of fdlibm's k_sin and k_cos (Sun
//    Microsystems 1993), with errors below 2^-58 on [-pi/4, pi/4].
//
// The result is within 1 ulp of f64 for angles up to 2^20 radians.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_LOWBITTOVECTOR_SINCOS_H
#define LOWBIT_LIB_CONVERSION_LOWBITTOVECTOR_SINCOS_H

#include "lowbit/Conversion/KernelBuilder.h"

namespace lowbit {

/// Largest frequency: positions up to 2^20 then stay below n = 2^20.
constexpr float largestFrequency = 1.5f;

/// cos and sin of an f64, or of each lane of a vector.
class SinCos {
public:
  explicit SinCos(KernelBuilder &k) : k(k) {}
  /// {cos, sin} of `angle`.
  std::pair<Value, Value> emit(Value angle);

private:
  /// `value` in every lane.
  Value c(double value);
  Value i(int32_t value);
  Value like(Value scalar);
  /// c0 + z · (c1 + z · (…)).
  Value polynomial(Value z, llvm::ArrayRef<double> coefficients);
  std::pair<Value, Value> reduce(Value angle, Value n);
  Value sine(Value x, Value y);
  Value cosine(Value x, Value y);

  KernelBuilder &k;
  /// Of a vector; 0 for a scalar.
  int64_t lanes = 0;
};

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_LOWBITTOVECTOR_SINCOS_H
