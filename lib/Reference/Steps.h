//===- Steps.h - The steps that operations are made of ----------*- C++ -*-===//
//
// Spec.md, section 3, letter by letter, for T = float; for T = double the same
// steps without the roundings to f32 (F64 mode).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_STEPS_H
#define LOWBIT_REFERENCE_STEPS_H

#include <cmath>
#include <cstdint>

namespace lowbit::reference {

/// a · b + c with one rounding.
inline float mulAdd(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
inline double mulAdd(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}

/// Adds 16 lanes: i and i + 8, then i and i + 4, i + 2, i + 1.
template <typename T> T sumLanes(T (&lanes)[16]) {
  for (int distance = 8; distance >= 1; distance /= 2)
    for (int i = 0; i < distance; ++i)
      lanes[i] = lanes[i] + lanes[i + distance];
  return lanes[0];
}

/// Sum16(v).
template <typename T> T sum16(const T *v, int64_t count) {
  T lanes[16] = {};
  for (int64_t i = 0; i < count; ++i)
    lanes[i % 16] = lanes[i % 16] + v[i];
  return sumLanes(lanes);
}

/// Sum16fma(a, b).
template <typename T> T sum16Fma(const T *a, const T *b, int64_t count) {
  T lanes[16] = {};
  for (int64_t i = 0; i < count; ++i)
    lanes[i % 16] = mulAdd(a[i], b[i], lanes[i % 16]);
  return sumLanes(lanes);
}

/// exp(x).
inline float exponential(float x) {
  if (std::isnan(x))
    return x;
  if (x < -87.33654f)
    return 0;
  if (x > 88.37626f)
    x = 88.37626f;
  float n = std::rint(x * 1.44269504f);
  float r = mulAdd(n, -0.693359375f, x);
  r = mulAdd(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                  1.6666665459e-1f, 5.0000001201e-1f})
    p = mulAdd(p, r, c);
  float t = p * r;
  t = mulAdd(t, r, r);
  return std::ldexp(t + 1, static_cast<int>(n));
}
inline double exponential(double x) { return std::exp(x); }

/// A row of activations as integers of at most `limit` (127 or 32639).
/// Writes `count` integers and returns the scale.
inline float quantizeRow(const float *x, int64_t count, float limit,
                         int16_t *q) {
  float amax = 0;
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    finite &= std::isfinite(x[i]);
    amax = std::fmax(amax, std::fabs(x[i]));
  }
  for (int64_t i = 0; i < count; ++i)
    q[i] = 0;
  if (!finite)
    return std::nanf("");
  // amax = 0, or so small that inv is infinite: all 0.
  float inv = limit / amax;
  if (std::isinf(inv))
    return 0;
  for (int64_t i = 0; i < count; ++i)
    q[i] = static_cast<int16_t>(
        std::fmin(std::fmax(std::rint(x[i] * inv), -limit), limit));
  return amax / limit;
}

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_STEPS_H
