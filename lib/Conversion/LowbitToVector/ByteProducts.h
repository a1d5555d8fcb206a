//===- ByteProducts.h - Products of bytes and words, added ------*- C++ -*-===//
//
// The multiply-add instructions that the families of integer sums share, each
// with what stands for it where a target has none.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_BYTEPRODUCTS_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_BYTEPRODUCTS_H

#include "lowbit/Conversion/KernelBuilder.h"

namespace lowbit {

/// sum + Σ₄ u8·s8 of neighbouring bytes, for 16 lanes of i32; both operands are
/// 64 bytes.
Value dotBytes(KernelBuilder &k, Value sum, Value codes, Value activations);

/// The same in words (i16), for any lanes of i32: `codes` are pairs of bytes,
/// `activations` emits the factors of the even or of the odd ones.
Value dotWords(KernelBuilder &k, Value sum, Value codes,
               llvm::function_ref<Value(bool odd)> activations);

/// Σ₂ a·b of neighbouring i16 lanes, i32; any multiple of 8 lanes.
Value multiplyAddWords(KernelBuilder &k, Value a, Value b);

/// Vectors of one type, one after the other; a power of two of them.
Value joinLanes(KernelBuilder &k, llvm::ArrayRef<Value> parts);

/// Lanes first … first + count − 1.
Value takeLanes(KernelBuilder &k, Value vector, int64_t first, int64_t count);

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_BYTEPRODUCTS_H
