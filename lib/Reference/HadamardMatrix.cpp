//===- HadamardMatrix.cpp - Paley's matrices by their definition *- C++ -*-===//

#include "Transform.h"

#include <cassert>
#include <set>

using namespace lowbit;
using namespace lowbit::reference;

namespace {

/// A polynomial over GF(p), lowest coefficient first.
using Polynomial = std::vector<int64_t>;

/// The polynomial of `size` coefficients that number `e` stands for.
Polynomial polynomialOf(int64_t e, int64_t p, int64_t size) {
  Polynomial result;
  for (; size > 0; --size, e /= p)
    result.push_back(e % p);
  return result;
}

int64_t numberOf(const Polynomial &polynomial, int64_t p) {
  int64_t e = 0;
  for (size_t i = polynomial.size(); i > 0; --i)
    e = e * p + polynomial[i - 1];
  return e;
}

Polynomial multiply(const Polynomial &a, const Polynomial &b, int64_t p) {
  Polynomial result(a.size() + b.size() - 1);
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j)
      result[i + j] = (result[i + j] + a[i] * b[j]) % p;
  return result;
}

/// The rest of a division by t^k + `low` (k coefficients): t^k = −low.
Polynomial restOf(Polynomial value, const Polynomial &low, int64_t p) {
  while (value.size() > low.size()) {
    int64_t top = value.back();
    value.pop_back();
    for (size_t i = 0; i < low.size(); ++i) {
      int64_t &c = value[value.size() - low.size() + i];
      c = (c + (p - top) * low[i]) % p;
    }
  }
  return value;
}

/// Whether t^k + `low` is a product of two monic polynomials.
bool isReducible(const Polynomial &low, int64_t p) {
  auto k = static_cast<int64_t>(low.size());
  Polynomial whole = low;
  whole.push_back(1);
  int64_t count = p;
  for (int64_t size = 1; size < k; ++size, count *= p)
    for (int64_t e = 0; e < count; ++e)
      if (numberOf(restOf(whole, polynomialOf(e, p, size), p), p) == 0)
        return true;
  return false;
}

/// χ(e_i − e_j) of GF(q), q = p^k.
std::vector<int> jacobsthal(int64_t p, int64_t k, int64_t q) {
  int64_t e = 0;
  while (isReducible(polynomialOf(e, p, k), p))
    ++e;
  Polynomial low = polynomialOf(e, p, k);
  std::set<int64_t> squares;
  for (int64_t a = 1; a < q; ++a) {
    Polynomial x = polynomialOf(a, p, k);
    squares.insert(numberOf(restOf(multiply(x, x, p), low, p), p));
  }
  std::vector<int> matrix;
  for (int64_t i = 0; i < q; ++i)
    for (int64_t j = 0; j < q; ++j) {
      Polynomial a = polynomialOf(i, p, k), b = polynomialOf(j, p, k);
      for (int64_t c = 0; c < k; ++c)
        a[c] = (a[c] + p - b[c]) % p;
      matrix.push_back(i == j ? 0 : squares.count(numberOf(a, p)) ? 1 : -1);
    }
  return matrix;
}

/// Whether q = p^k for a prime p.
bool isPrimePower(int64_t q, int64_t &p, int64_t &k) {
  for (p = 2; q % p != 0;)
    ++p;
  for (k = 0; q % p == 0; ++k)
    q /= p;
  return q == 1;
}

/// The conference-like matrix [[0, 1], [sign, Q]].
std::vector<int> bordered(const std::vector<int> &q, int64_t size, int sign) {
  std::vector<int> matrix;
  for (int64_t i = 0; i <= size; ++i)
    for (int64_t j = 0; j <= size; ++j)
      matrix.push_back(i == 0 && j == 0 ? 0
                       : i == 0         ? 1
                       : j == 0         ? sign
                                        : q[(i - 1) * size + j - 1]);
  return matrix;
}

} // namespace

bool reference::isCore(int64_t m) {
  int64_t p, k;
  if (m == 1)
    return true;
  return m % 4 == 0 &&
         (((m - 1) % 4 == 3 && isPrimePower(m - 1, p, k)) ||
          ((m / 2 - 1) % 4 == 1 && isPrimePower(m / 2 - 1, p, k)));
}

std::vector<int> reference::hadamardCore(int64_t m) {
  assert(isCore(m) && "hadamard_c1");
  int64_t p, k;
  if (m == 1)
    return {1};
  std::vector<int> h(m * m);
  if ((m - 1) % 4 == 3 && isPrimePower(m - 1, p, k)) {
    std::vector<int> s = bordered(jacobsthal(p, k, m - 1), m - 1, -1);
    for (int64_t i = 0; i < m * m; ++i)
      h[i] = s[i] + (i % (m + 1) == 0 ? 1 : 0);
    return h;
  }
  isPrimePower(m / 2 - 1, p, k);
  std::vector<int> c = bordered(jacobsthal(p, k, m / 2 - 1), m / 2 - 1, 1);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < m; ++j) {
      int64_t row = i / 2, column = j / 2;
      bool lower = i % 2 == 1, right = j % 2 == 1;
      if (row == column)
        h[i * m + j] = lower || right ? -1 : 1;
      else
        h[i * m + j] = c[row * (m / 2) + column] * (lower && right ? -1 : 1);
    }
  return h;
}

std::vector<int> reference::signsOfSeed(uint64_t seed, int64_t count) {
  std::vector<int> signs;
  for (int64_t k = 0; k < count; ++k) {
    uint64_t word = seed + uint64_t(k / 64 + 1) * 0x9E3779B97F4A7C15u;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    word = word ^ (word >> 31);
    signs.push_back((word >> (k % 64)) % 2 == 1 ? -1 : 1);
  }
  return signs;
}
