//===- FiniteField.h - GF(p^k) for Paley's constructions --------*- C++ -*-===//
//
// Element number e = Σ c_i p^i stands for the polynomial Σ c_i t^i modulo the
// monic irreducible polynomial of degree k whose coefficients, read the same
// way, are the smallest number.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_FINITEFIELD_H
#define LOWBIT_LIB_NUMERICS_FINITEFIELD_H

#include <cstdint>
#include <optional>
#include <vector>

namespace lowbit {

/// q = prime^degree.
struct PrimePower {
  int64_t prime = 2;
  int degree = 1;
};

/// q as a power of a prime; nothing where it is none (also for q < 2).
std::optional<PrimePower> factorPrimePower(int64_t q);

/// The additive group and the squares of GF(q), q odd.
class FiniteField {
public:
  explicit FiniteField(PrimePower order);

  int64_t size() const { return q; }
  /// Number of the element a − b.
  int64_t subtract(int64_t a, int64_t b) const;
  /// χ: 0 for 0, +1 for other squares, −1 for what is no square.
  int character(int64_t a) const { return characters[a]; }

private:
  using Polynomial = std::vector<int64_t>;
  Polynomial digits(int64_t number, int count) const;
  bool isIrreducible(const Polynomial &polynomial) const;
  void reduce(Polynomial &value, const Polynomial &modulus) const;
  int64_t square(int64_t a) const;

  int64_t p, q = 1;
  int degree;
  Polynomial modulus;
  std::vector<int8_t> characters;
};

} // namespace lowbit

#endif // LOWBIT_LIB_NUMERICS_FINITEFIELD_H
