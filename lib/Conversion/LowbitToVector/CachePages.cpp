//===- CachePages.cpp - Where keys and values lie ---------------*- C++ -*-===//

#include "CachePages.h"

using namespace lowbit;
using namespace mlir;

/// Most elements of a head: vectors of a head are unrolled, so this bounds the
/// size of the code.
static constexpr int64_t largestHeadDim = 512;
/// Most heads; with the above all products stay far below 2^63.
static constexpr int64_t mostHeads = 4096;

CachePages::CachePages(KernelParameters &parameters)
    : heads(parameters.integer("heads", 1, mostHeads)),
      kvHeads(parameters.integer("kv_heads", 1, mostHeads)),
      headDim(parameters.integer("head_dim", 2, largestHeadDim)),
      pageBytes(parameters.integer("page_bytes", 1)),
      pagesPerSequence(parameters.integer("pages_per_sequence", 1)) {
  Type type = parameters.type("cache");
  std::optional<int64_t> group;
  if (CacheFormat::isGrouped(type))
    group = parameters.integer("cache_group", 0, 64);
  std::optional<CacheFormat> known = CacheFormat::get(type, group);
  if (type && !known)
    parameters.report(
        group ? "cache_group" : "cache",
        llvm::Twine("expected f16, f32, i8, i4 or i2") +
            (group ? ", these two with groups of 32, 64 or 0 (the head)" : ""));
  // What a bad parameter leaves is some legal format.
  format =
      known.value_or(CacheFormat{Float32Type::get(parameters.getContext())});
  if (heads % kvHeads != 0)
    parameters.report("heads", "is no multiple of kv_heads");
  if (headDim % 2 != 0)
    parameters.report("head_dim", "is odd");
  int64_t layerBytes = format.layerBytes(kvHeads, headDim);
  if (!parameters.failed() && pageBytes < layerBytes)
    parameters.report("page_bytes", "is " + llvm::Twine(pageBytes) +
                                        ", one layer takes " +
                                        llvm::Twine(layerBytes));
}

Value CachePages::page(KernelBuilder &k, Value cache, Value pageTable,
                       Value sequence, Value block) const {
  Value entry = k.add(k.mul(sequence, k.index(pagesPerSequence)), block);
  Value physical = loadIndex(k, k.element(pageTable, entry, 4));
  return k.element(cache, physical, pageBytes);
}

HeadPage CachePages::head(KernelBuilder &k, Value page, Value head) const {
  HeadPage result;
  int64_t end = 0; // bytes of the page's parts so far
  // A part holds `bytes` bytes for each KV head.
  auto part = [&](int64_t bytes) {
    Value place = k.element(k.offset(page, end), head, bytes);
    end += kvHeads * bytes;
    return place;
  };
  result.keys = part(format.headBytes(headDim));
  result.values = part(format.headBytes(headDim));
  if (!format.isInteger())
    return result;
  int64_t scales = groups() * pagePositions * format.scaleBytes();
  result.keyScales = part(scales);
  result.valueScales = part(scales);
  if (!format.isGrouped())
    return result;
  result.keyZeros = part(groups() * pagePositions);
  result.valueZeros = part(groups() * pagePositions);
  return result;
}
