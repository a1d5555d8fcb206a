//===- CachePages.h - Where keys and values lie -----------------*- C++ -*-===//
//
// A page of the cache holds 64 positions (Spec.md, 5.2); what is in it says
// lowbit/IR/CacheFormat.h.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_CACHEPAGES_H
#define LOWBIT_LIB_CONVERSION_CACHEPAGES_H

#include "RowLoops.h"
#include "lowbit/IR/CacheFormat.h"
#include "lowbit/Runtime/Plan.h"

namespace lowbit {

/// Addresses of one KV head in one page.
struct HeadPage {
  Value keys, values;
  /// [group][64]; null for floats.
  Value keyScales, valueScales;
  /// [group][64]; i4 and i2 only.
  Value keyZeros, valueZeros;
};

/// Shape of the heads and of the cache.
struct CachePages {
  /// Reads `heads`, `kv_heads`, `head_dim`, `cache`, `cache_group`,
  /// `page_bytes`, `pages_per_sequence`, and checks that a layer fits in a
  /// page.
  explicit CachePages(KernelParameters &parameters);

  /// Query heads of a KV head.
  int64_t groupHeads() const { return heads / kvHeads; }
  /// Scales of a head; 0 for floats.
  int64_t groups() const { return format.groups(headDim); }
  int64_t groupElements() const { return format.groupElements(headDim); }
  /// Elements of a unit: those of a byte of codes, or one.
  int64_t unitElements() const {
    return format.isGrouped() ? 8 / format.bits() : 1;
  }
  /// Bytes between units of K: one for each position of the page.
  int64_t keyUnitBytes() const { return pagePositions * format.unitBytes(); }
  /// Bytes of V of one head at one position.
  int64_t valueRowBytes() const {
    return format.units(headDim) * format.unitBytes();
  }

  /// Address of the page that holds block `block` (64 positions) of `sequence`.
  Value page(KernelBuilder &k, Value cache, Value pageTable, Value sequence,
             Value block) const;
  /// Addresses of `head` in that page.
  HeadPage head(KernelBuilder &k, Value page, Value head) const;

  int64_t heads = 1, kvHeads = 1, headDim = 1;
  int64_t pageBytes = 0, pagesPerSequence = 1;
  CacheFormat format;
};

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_CACHEPAGES_H
