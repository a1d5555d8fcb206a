//===- FiniteField.cpp - GF(p^k) for Paley's constructions ------*- C++ -*-===//

#include "FiniteField.h"

#include <algorithm>

using namespace lowbit;

std::optional<PrimePower> lowbit::factorPrimePower(int64_t q) {
  if (q < 2)
    return std::nullopt;
  int64_t prime = q;
  for (int64_t d = 2; d <= q / d; ++d)
    if (q % d == 0) {
      prime = d;
      break;
    }
  PrimePower result{prime, 0};
  for (; q % prime == 0; q /= prime)
    ++result.degree;
  return q == 1 ? std::optional<PrimePower>(result) : std::nullopt;
}

FiniteField::FiniteField(PrimePower order)
    : p(order.prime), degree(order.degree) {
  for (int i = 0; i < degree; ++i)
    q *= p;
  for (int64_t low = 0;; ++low) {
    modulus = digits(low, degree);
    modulus.push_back(1);
    if (isIrreducible(modulus))
      break;
  }
  characters.assign(q, -1);
  characters[0] = 0;
  for (int64_t a = 1; a < q; ++a)
    characters[square(a)] = 1;
}

int64_t FiniteField::subtract(int64_t a, int64_t b) const {
  int64_t result = 0, place = 1;
  for (int i = 0; i < degree; ++i, a /= p, b /= p, place *= p)
    result += (a % p - b % p + p) % p * place;
  return result;
}

FiniteField::Polynomial FiniteField::digits(int64_t number, int count) const {
  Polynomial result(count);
  for (int i = 0; i < count; ++i, number /= p)
    result[i] = number % p;
  return result;
}

/// value mod a monic modulus; the result has as many coefficients as the
/// modulus' degree.
void FiniteField::reduce(Polynomial &value, const Polynomial &by) const {
  size_t size = by.size() - 1;
  for (size_t top = value.size(); top-- > size;) {
    int64_t factor = value[top];
    for (size_t i = 0; i <= size; ++i) {
      int64_t &at = value[top - size + i];
      at = ((at - factor * by[i]) % p + p) % p;
    }
  }
  value.resize(size);
}

/// No monic polynomial of at most half its degree divides it.
bool FiniteField::isIrreducible(const Polynomial &polynomial) const {
  int64_t count = p;
  for (int size = 1; size <= degree / 2; ++size, count *= p)
    for (int64_t low = 0; low < count; ++low) {
      Polynomial divisor = digits(low, size);
      divisor.push_back(1);
      Polynomial rest = polynomial;
      reduce(rest, divisor);
      if (std::all_of(rest.begin(), rest.end(),
                      [](int64_t c) { return c == 0; }))
        return false;
    }
  return true;
}

int64_t FiniteField::square(int64_t a) const {
  Polynomial x = digits(a, degree);
  Polynomial product(2 * degree - 1);
  for (int i = 0; i < degree; ++i)
    for (int j = 0; j < degree; ++j)
      product[i + j] = (product[i + j] + x[i] * x[j]) % p;
  reduce(product, modulus);
  int64_t number = 0;
  for (int i = degree; i-- > 0;)
    number = number * p + product[i];
  return number;
}
