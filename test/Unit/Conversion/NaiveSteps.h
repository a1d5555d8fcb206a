//===- NaiveSteps.h - Spec.md, section 3, one scalar at a time --*- C++ -*-===//
//
// Written from the page, not from the kernels; tests compare kernels with it to
// the bit.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TEST_UNIT_CONVERSION_NAIVESTEPS_H
#define LOWBIT_TEST_UNIT_CONVERSION_NAIVESTEPS_H

#include "lowbit/Numerics/Float.h"
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace lowbit::test {

/// The tree that ends Sum16: i and i+8, then i+4, i+2, i+1.
inline float naiveTree(float lanes[16]) {
  for (int half = 8; half >= 1; half /= 2)
    for (int i = 0; i < half; ++i)
      lanes[i] = lanes[i] + lanes[i + half];
  return lanes[0];
}

/// Sum16(v).
inline float naiveSum16(const float *v, size_t count) {
  float lanes[16] = {};
  for (size_t i = 0; i < count; ++i)
    lanes[i % 16] = lanes[i % 16] + v[i];
  return naiveTree(lanes);
}

/// Sum16fma(a, b).
inline float naiveSum16Fma(const float *a, const float *b, size_t count) {
  float lanes[16] = {};
  for (size_t i = 0; i < count; ++i)
    lanes[i % 16] = std::fma(a[i], b[i], lanes[i % 16]);
  return naiveTree(lanes);
}

/// exp(x).
inline float naiveExp(float x) {
  if (std::isnan(x))
    return x;
  if (x < -87.33654f)
    return 0.0f;
  x = std::fmin(x, 88.37626f);
  float n = std::rint(x * 1.44269504f);
  float r = std::fma(n, -0.693359375f, x);
  r = std::fma(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                  1.6666665459e-1f, 5.0000001201e-1f})
    p = std::fma(p, r, c);
  float t = p * r;
  t = std::fma(t, r, r);
  return std::ldexp(t + 1.0f, int(n));
}

/// silu(g) · u.
inline float naiveGate(float g, float u) {
  float silu = g / (1.0f + naiveExp(-g));
  return silu * u;
}

/// RMS norm of one row.
inline std::vector<float> naiveRmsNorm(const float *x, const float *gain,
                                       size_t count, float eps) {
  float ms = naiveSum16Fma(x, x, count) / float(count);
  float r = 1.0f / std::sqrt(ms + eps);
  std::vector<float> y(count);
  for (size_t i = 0; i < count; ++i)
    y[i] = (x[i] * r) * gain[i];
  return y;
}

/// Activations to integers: q and the scale, for limit 32639 or 127.
struct NaiveQuantized {
  std::vector<int32_t> q;
  float scale = 0;
};

inline NaiveQuantized naiveQuantize(const float *x, size_t count, float limit) {
  NaiveQuantized result;
  result.q.resize(count);
  float amax = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!std::isfinite(x[i])) {
      result.scale = std::numeric_limits<float>::quiet_NaN();
      return result;
    }
    amax = std::fmax(amax, std::fabs(x[i]));
  }
  float inv = limit / amax;
  if (std::isinf(inv)) // amax is 0, or as good as 0
    return result;
  result.scale = amax / limit;
  for (size_t i = 0; i < count; ++i)
    result.q[i] =
        int32_t(std::fmax(std::fmin(std::rint(x[i] * inv), limit), -limit));
  return result;
}

/// A group of a cache of 4 or 2 bits: codes, the scale as f32 (it is a half
/// already), the zero point.
struct NaiveGrid {
  std::vector<int> codes;
  float scale = 0;
  int zero = 0;
};

inline NaiveGrid naiveGrid(const float *x, size_t count, int64_t bits) {
  NaiveGrid grid;
  grid.codes.resize(count);
  float low = 0, high = 0, steps = float((1 << bits) - 1);
  for (size_t i = 0; i < count; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  grid.scale = f16ToFloat(roundToF16((high - low) / steps));
  float inverse = 1.0f / grid.scale;
  if (grid.scale == 0 || std::isinf(grid.scale))
    return grid;
  auto clamp = [&](float v) { return v < 0 ? 0 : v > steps ? steps : v; };
  float zero = clamp(std::rint(-low * inverse));
  grid.zero = int(zero);
  for (size_t i = 0; i < count; ++i)
    grid.codes[i] = int(clamp(std::rint(x[i] * inverse) + zero));
  return grid;
}

/// Numbers for tests: mostly ordinary ones, with zeros, subnormals and large
/// ones among them where `wild`.
inline std::vector<float> randomFloats(size_t count, uint64_t seed,
                                       bool wild = false, float scale = 1.0f) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(count);
  for (float &value : values) {
    value = normal(random);
    if (!wild || random() % 4 != 0)
      continue;
    static const float special[] = {0.0f,   -0.0f,  1e-40f,  -1e-45f,
                                    1e-30f, -60.0f, 87.5f,   -89.0f,
                                    1e5f,   3e-5f,  1.0e10f, -1.0e12f};
    value = special[random() % (sizeof(special) / sizeof(special[0]))];
  }
  return values;
}

} // namespace lowbit::test

#endif // LOWBIT_TEST_UNIT_CONVERSION_NAIVESTEPS_H
