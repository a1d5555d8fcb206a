//===- Attention.cpp - Causal attention over a cache ------------*- C++ -*-===//
//
// Spec.md, section 3, "Attention": keys in blocks of 64, a running maximum.
//
//===----------------------------------------------------------------------===//

#include "Attention.h"
#include "Elements.h"
#include "Parallel.h"
#include "Steps.h"

#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

using namespace lowbit;
using namespace lowbit::reference;

static constexpr int64_t blockKeys = 64;

//===----------------------------------------------------------------------===//
// Writing the cache
//===----------------------------------------------------------------------===//

/// One group of a Grouped cache: writes c − z, returns s.
static float storeGroup(const float *x, int64_t count, int64_t bits,
                        float *stored) {
  float low = 0, high = 0;
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    finite &= std::isfinite(x[i]);
    low = std::fmin(low, x[i]);
    high = std::fmax(high, x[i]);
  }
  std::fill_n(stored, count, 0.0f);
  if (!finite)
    return std::nanf("");
  float steps = static_cast<float>((1 << bits) - 1);
  float s = roundToF16((high - low) / steps);
  float inv = 1 / s;
  if (std::isinf(inv) || std::isinf(s))
    return s;
  auto clamp = [&](float v) { return std::fmax(std::fmin(v, steps), 0.0f); };
  float z = clamp(std::rint(-low * inv));
  for (int64_t i = 0; i < count; ++i)
    stored[i] = clamp(std::rint(x[i] * inv) + z) - z;
  return s;
}

/// Rounds one head to the cache's element; writes its scales where it has some.
static void storeHead(const float *x, const AttentionShape &shape,
                      float *stored, float *scales) {
  int64_t headDim = shape.headDim;
  switch (shape.element) {
  case CacheElement::Exact:
    std::copy_n(x, headDim, stored);
    return;
  case CacheElement::F16:
    std::transform(x, x + headDim, stored, roundToF16);
    return;
  case CacheElement::I8: {
    std::vector<int16_t> q(headDim);
    *scales = quantizeRow(x, headDim, 127, q.data());
    std::copy(q.begin(), q.end(), stored);
    return;
  }
  case CacheElement::Grouped:
    for (int64_t d = 0; d < headDim; d += shape.group)
      *scales++ = storeGroup(x + d, std::min(shape.group, headDim - d),
                             shape.bits, stored + d);
    return;
  }
}

/// F64 mode rounds nothing.
static void storeHead(const double *x, const AttentionShape &shape,
                      double *stored, double *) {
  std::copy_n(x, shape.headDim, stored);
}

/// Stores one row of keys or values as position `position`.
template <typename T>
static void storeRow(const T *x, const AttentionShape &shape, int64_t position,
                     std::vector<T> &stored, std::vector<T> &scales) {
  int64_t columns = shape.kvHeads * shape.headDim;
  int64_t needed = (position + 1) * columns;
  if (static_cast<int64_t>(stored.size()) < needed) {
    stored.resize(needed);
    scales.resize((position + 1) * shape.kvHeads * shape.groups());
  }
  for (int64_t head = 0; head < shape.kvHeads; ++head)
    storeHead(x + head * shape.headDim, shape,
              &stored[position * columns + head * shape.headDim],
              &scales[(position * shape.kvHeads + head) * shape.groups()]);
}

template <typename T>
static Status writeCache(RowsView<T> key, RowsView<T> value,
                         llvm::ArrayRef<RowPlace> places,
                         const AttentionShape &shape, KeyValueCache<T> &cache) {
  // By position, so that rows of a batch may come in any order.
  std::vector<int64_t> order(places.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return std::make_pair(places[a].position, a) <
           std::make_pair(places[b].position, b);
  });
  for (int64_t row : order) {
    auto [sequence, position] = places[row];
    CachedSequence<T> &cached = cache[{shape.layer, sequence}];
    int64_t length = cached.keys.size() / key.columns;
    if (position < 0 || position > length)
      return badInput("rows", "position of row " + std::to_string(row),
                      "is " + std::to_string(position) + ", sequence " +
                          std::to_string(sequence) + " has positions below " +
                          std::to_string(length));
    storeRow(key.row(row), shape, position, cached.keys, cached.keyScales);
    storeRow(value.row(row), shape, position, cached.values,
             cached.valueScales);
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Attending
//===----------------------------------------------------------------------===//

namespace {
/// One query head of one row, and the keys and values it sees.
template <typename T> struct HeadAttention {
  const AttentionShape &shape;
  const CachedSequence<T> &cached;
  int64_t kvHead;
  const T *query;

  /// Index of (position, kv head) in the scales; · headDim: of its elements.
  int64_t place(int64_t position) const {
    return position * shape.kvHeads + kvHead;
  }
  bool hasScales() const {
    return shape.element == CacheElement::I8 ||
           shape.element == CacheElement::Grouped;
  }

  /// s_j.
  T score(int64_t position) const {
    const T *key = &cached.keys[place(position) * shape.headDim];
    const T *scales = &cached.keyScales[place(position) * shape.groups()];
    T t = 0;
    for (int64_t first = 0; first < shape.headDim; first += shape.group) {
      T u = 0;
      for (int64_t d = first; d < std::min(first + shape.group, shape.headDim);
           ++d)
        u = mulAdd(query[d], key[d], u);
      t = hasScales() ? mulAdd(u, *scales++, t) : u;
    }
    return t * T(shape.scale);
  }

  /// Adds the values of a block, weighted by p.
  void addValues(int64_t first, int64_t count, const T *p, T *o) const {
    for (int64_t j = 0; j < count; ++j) {
      const T *scales = &cached.valueScales[place(first + j) * shape.groups()];
      const T *value = &cached.values[place(first + j) * shape.headDim];
      for (int64_t d = 0; d < shape.headDim; ++d) {
        T w = hasScales() ? p[j] * scales[d / shape.group] : p[j];
        o[d] = mulAdd(w, value[d], o[d]);
      }
    }
  }

  /// Attends to positions 0 … last; writes `headDim` values.
  void attend(int64_t last, T *o) const {
    T m = -std::numeric_limits<T>::infinity(), l = 0;
    std::fill_n(o, shape.headDim, T(0));
    for (int64_t first = 0; first <= last; first += blockKeys) {
      int64_t count = std::min(blockKeys, last + 1 - first);
      T p[blockKeys] = {};
      T blockMax = -std::numeric_limits<T>::infinity();
      for (int64_t j = 0; j < count; ++j) {
        p[j] = score(first + j);
        blockMax = std::max(blockMax, p[j]);
      }
      T newMax = std::max(m, blockMax);
      T corr = first == 0 ? T(0) : exponential(m - newMax);
      for (int64_t j = 0; j < count; ++j)
        p[j] = exponential(p[j] - newMax);
      l = mulAdd(l, corr, sum16(p, blockKeys));
      for (int64_t d = 0; d < shape.headDim; ++d)
        o[d] = o[d] * corr;
      addValues(first, count, p, o);
      m = newMax;
    }
    for (int64_t d = 0; d < shape.headDim; ++d)
      o[d] = o[d] / l;
  }
};
} // namespace

template <typename T>
Result<std::vector<T>>
reference::attention(RowsView<T> query, RowsView<T> key, RowsView<T> value,
                     llvm::ArrayRef<RowPlace> places,
                     const AttentionShape &shape, KeyValueCache<T> &cache,
                     unsigned threads) {
  if (Status failed = writeCache(key, value, places, shape, cache))
    return *failed;
  std::vector<T> y(query.rows * query.columns);
  auto attendRows = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      auto [sequence, position] = places[row];
      const CachedSequence<T> &cached = cache.at({shape.layer, sequence});
      for (int64_t head = 0; head < shape.heads; ++head) {
        HeadAttention<T> attention{shape, cached,
                                   head / (shape.heads / shape.kvHeads),
                                   query.row(row) + head * shape.headDim};
        attention.attend(position,
                         &y[row * query.columns + head * shape.headDim]);
      }
    }
  };
  parallelFor(threads, query.rows, query.rows * query.columns * blockKeys,
              attendRows);
  return y;
}

template Result<std::vector<float>>
reference::attention(RowsView<float>, RowsView<float>, RowsView<float>,
                     llvm::ArrayRef<RowPlace>, const AttentionShape &,
                     KeyValueCache<float> &, unsigned);
template Result<std::vector<double>>
reference::attention(RowsView<double>, RowsView<double>, RowsView<double>,
                     llvm::ArrayRef<RowPlace>, const AttentionShape &,
                     KeyValueCache<double> &, unsigned);
