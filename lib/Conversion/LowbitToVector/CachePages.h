//===- CachePages.h - Where keys and values lie -----------------*- C++ -*-===//
//
// A page of the cache holds 64 positions (Spec.md, 5.2). Of one layer:
//
//   K [kv head][head_dim][64], V [kv head][64][head_dim]   f16 or s8
//   K scales, V scales [kv head][64]                       f32, with s8 only
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_CACHEPAGES_H
#define LOWBIT_LIB_CONVERSION_CACHEPAGES_H

#include "RowLoops.h"
#include "lowbit/Runtime/Plan.h"

namespace lowbit {

/// Addresses of one KV head in one page.
struct HeadPage {
  Value keys, values;
  /// Null but for int8.
  Value keyScales, valueScales;
};

/// Shape of the heads and of the cache.
struct CachePages {
  /// Reads `heads`, `kv_heads`, `head_dim`, `cache`, `page_bytes`,
  /// `pages_per_sequence`, and checks that a layer fits in a page.
  explicit CachePages(KernelParameters &parameters);

  /// Query heads of a KV head.
  int64_t groupHeads() const { return heads / kvHeads; }
  int64_t elementBytes() const { return isInteger ? 1 : isFloat32 ? 4 : 2; }
  /// Bytes of K (or V) of one head.
  int64_t headBytes() const { return headDim * pagePositions * elementBytes(); }

  /// Address of the page that holds block `block` (64 positions) of `sequence`.
  Value page(KernelBuilder &k, Value cache, Value pageTable, Value sequence,
             Value block) const;
  /// Addresses of `head` in that page.
  HeadPage head(KernelBuilder &k, Value page, Value head) const;

  int64_t heads = 1, kvHeads = 1, headDim = 1;
  int64_t pageBytes = 0, pagesPerSequence = 1;
  bool isInteger = false, isFloat32 = false; ///< neither: f16
};

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_CACHEPAGES_H
