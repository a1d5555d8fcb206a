//===- Hadamard.h - Hadamard matrices and random signs ----------*- C++ -*-===//
//
// H_n = H_m ⊗ H_{2^p} for n = m · 2^p, m as small as possible: m = 1, or the
// order q + 1 of Paley's first construction (prime power q ≡ 3 mod 4), or
// 2(q + 1) of his second (q ≡ 1 mod 4); entries ±1, rows orthogonal (Spec.md,
// section 3, "Transforms"; R. E. A. C. Paley, On orthogonal matrices, 1933).
//
//   HadamardTransform transform(/*block=*/11008, /*seed=*/1, false);
//   transform.apply(row, 11008, scratch); // row · (D · H / √n), in place
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_HADAMARD_H
#define LOWBIT_NUMERICS_HADAMARD_H

#include <cstdint>
#include <optional>
#include <vector>

namespace lowbit {

/// n = core · 2^power.
struct HadamardOrder {
  int64_t core = 1;
  int power = 0;
};

/// Largest core that is built; its matrix has core² entries.
constexpr int64_t maxHadamardCore = 2048;

/// How H_n is built, or nothing where the constructions do not reach n.
std::optional<HadamardOrder> hadamardOrder(int64_t n);

/// The largest divisor of n that is an order (1 at least); n ≥ 1.
int64_t largestHadamardBlock(int64_t n);

/// The ±1 of H_core row by row; `core` is that of a HadamardOrder.
std::vector<int8_t> hadamardCore(int64_t core);

/// `count` signs, ±1: sign k is −1 where bit k mod 64 of word k / 64 is set;
/// word w is SplitMix64's mix of seed + (w + 1) · 0x9E3779B97F4A7C15
/// (S. Vigna, splitmix64.c).
std::vector<int8_t> signsOfSeed(uint64_t seed, int64_t count);

/// x · (D · H_n / √n) or x · (H_nᵀ · D / √n) on blocks of n columns: signs,
/// butterflies of stride 1, 2, 4 … , the core row by row, one multiplication.
/// Steps and their order are those of strict numerics for T = float; for T =
/// double the same in f64.
class HadamardTransform {
public:
  /// `block` is an order (hadamardOrder). No signs without a seed.
  HadamardTransform(int64_t block, std::optional<uint64_t> seed,
                    bool transposed);

  /// Transforms `columns` elements, a multiple of the block, in place.
  /// `scratch` has room for a block.
  void apply(float *row, int64_t columns, float *scratch) const;
  void apply(double *row, int64_t columns, double *scratch) const;

  int64_t block() const { return size; }

private:
  template <typename T> void applyBlock(T *x, T *scratch) const;

  int64_t size;
  HadamardOrder order;
  bool transposed;
  std::vector<int8_t> signs, core;
};

} // namespace lowbit

#endif // LOWBIT_NUMERICS_HADAMARD_H
