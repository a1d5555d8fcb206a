//===- CacheFormat.h - How keys and values are kept -------------*- C++ -*-===//
//
// The element type of the KV cache and what it takes in memory: Spec.md,
// sections 3 (Cache) and 5.2. Of one layer a page of 64 positions holds
//
//   K [kv head][R][64][E], V [kv head][64][R][E]   codes or floats
//   K scales, V scales [kv head][group][64]        f32 (i8), f16 (i4, i2)
//   K zeros, V zeros [kv head][group][64]          u8 (i4, i2)
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_IR_CACHEFORMAT_H
#define LOWBIT_IR_CACHEFORMAT_H

#include "lowbit/IR/Lowbit.h"

namespace lowbit {

/// A type of cache; sizes are for heads of `headDim` elements.
struct CacheFormat {
  /// f32, f16, i8, i4 or i2.
  mlir::Type type;
  /// Elements that share a scale; 0: those of a head. i4 and i2 only.
  int64_t group = 0;

  /// The format of that type and group; none where it is not known or the
  /// group does not go with the type.
  static std::optional<CacheFormat> get(mlir::Type type,
                                        std::optional<int64_t> group);
  /// What an attention says.
  static CacheFormat get(AttentionOp op);
  /// Whether elements of `type` are codes with a scale and a zero point for
  /// each group: i4 and i2.
  static bool isGrouped(mlir::Type type);

  /// Bits of an element without its share of scales.
  int64_t bits() const { return type.getIntOrFloatBitWidth(); }
  bool isInteger() const { return type.isInteger(); }
  bool isGrouped() const { return isGrouped(type); }
  /// Scales of a head; 0 for floats.
  int64_t groups(int64_t headDim) const;
  /// Elements of a whole group.
  int64_t groupElements(int64_t headDim) const {
    return group == 0 ? headDim : group;
  }
  /// E: bytes of an element, or of a byte of codes.
  int64_t unitBytes() const { return bits() < 8 ? 1 : bits() / 8; }
  /// R: elements, or bytes of codes, of a head at one position.
  int64_t units(int64_t headDim) const {
    return bits() < 8 ? (headDim * bits() + 7) / 8 : headDim;
  }
  /// Bytes of a scale; 0 for floats.
  int64_t scaleBytes() const { return isGrouped() ? 2 : isInteger() ? 4 : 0; }
  /// Bytes of K (or V) of one head in a page, without scales.
  int64_t headBytes(int64_t headDim) const;
  /// Bytes of a layer in a page.
  int64_t layerBytes(int64_t kvHeads, int64_t headDim) const;
  /// Complete bits of an element, scales and padding included.
  double completeBits(int64_t headDim) const;
  /// `f16`, `i8`, `i4-g64`, `i2-head`.
  std::string getShortName() const;

  bool operator==(const CacheFormat &other) const {
    return type == other.type && group == other.group;
  }
};

} // namespace lowbit

#endif // LOWBIT_IR_CACHEFORMAT_H
