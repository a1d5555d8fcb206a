//===- Hadamard.cpp - Hadamard matrices and random signs --------*- C++ -*-===//

#include "lowbit/Numerics/Hadamard.h"
#include "FiniteField.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;

namespace {

/// Paley I takes q = core − 1, Paley II q = core / 2 − 1; 0 where neither does.
int64_t paleyField(int64_t core, bool &isSecond) {
  if (core < 4 || core % 4 != 0 || core > maxHadamardCore)
    return 0;
  isSecond = false;
  if ((core - 1) % 4 == 3 && factorPrimePower(core - 1))
    return core - 1;
  isSecond = true;
  int64_t q = core / 2 - 1;
  return q % 4 == 1 && factorPrimePower(q) ? q : 0;
}

/// H = I + S, S = [[0, 1], [−1, Q]], Q[i][j] = χ(e_i − e_j), skew.
std::vector<int8_t> paleyFirst(const FiniteField &field) {
  int64_t n = field.size() + 1;
  std::vector<int8_t> h(n * n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      h[i * n + j] = static_cast<int8_t>(
          i == j   ? 1
          : i == 0 ? 1
          : j == 0 ? -1
                   : field.character(field.subtract(i - 1, j - 1)));
  return h;
}

/// H = C ⊗ [[1, 1], [1, −1]] + I ⊗ [[1, −1], [−1, −1]], C = [[0, 1], [1, Q]].
std::vector<int8_t> paleySecond(const FiniteField &field) {
  int64_t half = field.size() + 1, n = 2 * half;
  static constexpr int8_t off[2][2] = {{1, 1}, {1, -1}};
  static constexpr int8_t diagonal[2][2] = {{1, -1}, {-1, -1}};
  std::vector<int8_t> h(n * n);
  for (int64_t i = 0; i < half; ++i)
    for (int64_t j = 0; j < half; ++j) {
      int c = i == j ? 0
              : i == 0 || j == 0
                  ? 1
                  : field.character(field.subtract(i - 1, j - 1));
      for (int a = 0; a < 2; ++a)
        for (int b = 0; b < 2; ++b)
          h[(2 * i + a) * n + 2 * j + b] =
              static_cast<int8_t>(i == j ? diagonal[a][b] : c * off[a][b]);
    }
  return h;
}

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

} // namespace

std::optional<HadamardOrder> lowbit::hadamardOrder(int64_t n) {
  if (n < 1)
    return std::nullopt;
  HadamardOrder order{n, 0};
  while (order.core % 2 == 0) {
    order.core /= 2;
    ++order.power;
  }
  for (; order.power >= 0; order.core *= 2, --order.power) {
    bool isSecond;
    if (order.core == 1 || paleyField(order.core, isSecond))
      return order;
    if (order.core > maxHadamardCore)
      break;
  }
  return std::nullopt;
}

int64_t lowbit::largestHadamardBlock(int64_t n) {
  int64_t best = 1;
  for (int64_t d = 1; d <= n / d; ++d) {
    if (n % d != 0)
      continue;
    for (int64_t divisor : {d, n / d})
      if (divisor > best && hadamardOrder(divisor))
        best = divisor;
  }
  return best;
}

std::vector<int8_t> lowbit::hadamardCore(int64_t core) {
  if (core == 1)
    return {1};
  bool isSecond;
  int64_t q = paleyField(core, isSecond);
  FiniteField field(*factorPrimePower(q));
  return isSecond ? paleySecond(field) : paleyFirst(field);
}

std::vector<int8_t> lowbit::signsOfSeed(uint64_t seed, int64_t count) {
  std::vector<int8_t> signs(count);
  uint64_t word = 0;
  for (int64_t k = 0; k < count; ++k) {
    if (k % 64 == 0)
      word =
          mix(seed + (static_cast<uint64_t>(k / 64) + 1) * 0x9E3779B97F4A7C15u);
    signs[k] = (word >> (k % 64)) & 1 ? -1 : 1;
  }
  return signs;
}

HadamardTransform::HadamardTransform(int64_t block,
                                     std::optional<uint64_t> seed,
                                     bool transposed)
    : size(block), order(*hadamardOrder(block)), transposed(transposed) {
  if (seed)
    signs = signsOfSeed(*seed, block);
  if (order.core > 1)
    core = hadamardCore(order.core);
}

template <typename T>
void HadamardTransform::applyBlock(T *x, T *scratch) const {
  if (!signs.empty() && !transposed)
    for (int64_t k = 0; k < size; ++k)
      x[k] = signs[k] < 0 ? -x[k] : x[k];
  int64_t width = int64_t(1) << order.power;
  for (int64_t stride = 1; stride < width; stride *= 2)
    for (int64_t first = 0; first < size; first += 2 * stride)
      for (int64_t k = first; k < first + stride; ++k) {
        T a = x[k], b = x[k + stride];
        x[k] = a + b;
        x[k + stride] = a - b;
      }
  if (order.core > 1) {
    int64_t m = order.core;
    for (int64_t to = 0; to < m; ++to) {
      T *sum = scratch + to * width;
      for (int64_t from = 0; from < m; ++from) {
        bool negative =
            (transposed ? core[to * m + from] : core[from * m + to]) < 0;
        const T *part = x + from * width;
        for (int64_t j = 0; j < width; ++j) {
          T value = negative ? -part[j] : part[j];
          sum[j] = from == 0 ? value : sum[j] + value;
        }
      }
    }
    std::copy_n(scratch, size, x);
  }
  T scale = static_cast<T>(1.0 / std::sqrt(static_cast<double>(size)));
  for (int64_t k = 0; k < size; ++k)
    x[k] = x[k] * scale;
  if (!signs.empty() && transposed)
    for (int64_t k = 0; k < size; ++k)
      x[k] = signs[k] < 0 ? -x[k] : x[k];
}

void HadamardTransform::apply(float *row, int64_t columns,
                              float *scratch) const {
  for (int64_t first = 0; first < columns; first += size)
    applyBlock(row + first, scratch);
}

void HadamardTransform::apply(double *row, int64_t columns,
                              double *scratch) const {
  for (int64_t first = 0; first < columns; first += size)
    applyBlock(row + first, scratch);
}
