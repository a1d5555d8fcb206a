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
  isInteger = type && type.isInteger(8);
  isFloat32 = type && type.isF32();
  if (type && !isInteger && !isFloat32 && !type.isF16())
    parameters.report("cache", "expected f16, f32 or i8");
  if (heads % kvHeads != 0)
    parameters.report("heads", "is no multiple of kv_heads");
  if (headDim % 2 != 0)
    parameters.report("head_dim", "is odd");
  int64_t layerBytes =
      2 * kvHeads * (headBytes() + (isInteger ? 4 * pagePositions : 0));
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
  Value place = k.mul(head, k.index(headBytes()));
  result.keys = k.offset(page, place);
  result.values = k.offset(result.keys, kvHeads * headBytes());
  if (!isInteger)
    return result;
  int64_t scalesBytes = 4 * pagePositions;
  Value scales = k.offset(page, 2 * kvHeads * headBytes());
  result.keyScales = k.element(scales, head, scalesBytes);
  result.valueScales = k.offset(result.keyScales, kvHeads * scalesBytes);
  return result;
}
