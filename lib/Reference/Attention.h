//===- Attention.h - Causal attention over a cache --------------*- C++ -*-===//
#ifndef LOWBIT_REFERENCE_ATTENTION_H
#define LOWBIT_REFERENCE_ATTENTION_H

#include "GraphOps.h"

#include "lowbit/Checkpoint/Error.h"

#include <map>
#include <utility>

namespace lowbit::reference {

/// How keys and values are kept: as they are, as halves, as signed bytes with
/// a scale for each head, as codes with a scale and a zero point for each
/// group.
enum class CacheElement { Exact, F16, I8, Grouped };

/// Keys and values of one layer and sequence, position after position, zero
/// points taken off: `[position][kv head][head_dim]`; and, for I8 and Grouped,
/// scales `[position][kv head][group]`.
template <typename T> struct CachedSequence {
  std::vector<T> keys, values;
  std::vector<T> keyScales, valueScales;
};

/// All of them, by (layer, sequence).
template <typename T>
using KeyValueCache = std::map<std::pair<int64_t, int32_t>, CachedSequence<T>>;

/// What an attention is.
struct AttentionShape {
  int64_t layer = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headDim = 0;
  float scale = 1;
  CacheElement element = CacheElement::Exact;
  /// Grouped: bits of a code, elements of a group (I8: head_dim).
  int64_t bits = 0;
  int64_t group = 0;

  int64_t groups() const { return (headDim + group - 1) / group; }
};

/// Writes keys and values of all rows to `cache`, then lets each row attend to
/// the positions of its sequence up to its own. Exit 3 where a row's position
/// is negative or would leave a gap in its sequence.
template <typename T>
Result<std::vector<T>>
attention(RowsView<T> query, RowsView<T> key, RowsView<T> value,
          llvm::ArrayRef<RowPlace> places, const AttentionShape &shape,
          KeyValueCache<T> &cache, unsigned threads);

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_ATTENTION_H
