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

/// Rounds one head to the cache's element; returns its scale (1 but for I8).
static float storeHead(const float *x, int64_t headDim, CacheElement element,
                       float *stored) {
  if (element == CacheElement::I8) {
    std::vector<int16_t> q(headDim);
    float scale = quantizeRow(x, headDim, 127, q.data());
    std::copy(q.begin(), q.end(), stored);
    return scale;
  }
  for (int64_t d = 0; d < headDim; ++d)
    stored[d] = element == CacheElement::F16 ? roundToF16(x[d]) : x[d];
  return 1;
}

/// F64 mode rounds nothing.
static double storeHead(const double *x, int64_t headDim, CacheElement,
                        double *stored) {
  std::copy_n(x, headDim, stored);
  return 1;
}

/// Stores one row of keys or values as position `position`.
template <typename T>
static void storeRow(const T *x, const AttentionShape &shape, int64_t position,
                     std::vector<T> &stored, std::vector<T> &scales) {
  int64_t columns = shape.kvHeads * shape.headDim;
  int64_t needed = (position + 1) * columns;
  if (static_cast<int64_t>(stored.size()) < needed) {
    stored.resize(needed);
    scales.resize((position + 1) * shape.kvHeads);
  }
  for (int64_t head = 0; head < shape.kvHeads; ++head)
    scales[position * shape.kvHeads + head] =
        storeHead(x + head * shape.headDim, shape.headDim, shape.element,
                  &stored[position * columns + head * shape.headDim]);
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
    return shape.element == CacheElement::I8 && sizeof(T) == sizeof(float);
  }

  /// s_j.
  T score(int64_t position) const {
    const T *key = &cached.keys[place(position) * shape.headDim];
    T t = 0;
    for (int64_t d = 0; d < shape.headDim; ++d)
      t = mulAdd(query[d], key[d], t);
    if (hasScales())
      t = t * cached.keyScales[place(position)];
    return t * T(shape.scale);
  }

  /// Adds the values of a block, weighted by p.
  void addValues(int64_t first, int64_t count, const T *p, T *o) const {
    for (int64_t j = 0; j < count; ++j) {
      T w = hasScales() ? p[j] * cached.valueScales[place(first + j)] : p[j];
      const T *value = &cached.values[place(first + j) * shape.headDim];
      for (int64_t d = 0; d < shape.headDim; ++d)
        o[d] = mulAdd(w, value[d], o[d]);
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
