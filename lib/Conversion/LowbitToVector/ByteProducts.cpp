//===- ByteProducts.cpp - Products of bytes and words, added ----*- C++ -*-===//

#include "ByteProducts.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lowbit;

Value lowbit::joinLanes(KernelBuilder &k, ArrayRef<Value> parts) {
  if (parts.size() == 1)
    return parts[0];
  Value low = joinLanes(k, parts.take_front(parts.size() / 2));
  Value high = joinLanes(k, parts.drop_front(parts.size() / 2));
  int64_t count = cast<VectorType>(low.getType()).getDimSize(0);
  return vector::ShuffleOp::create(
      k.getBuilder(), k.getLoc(), low, high,
      llvm::to_vector(llvm::seq<int64_t>(0, 2 * count)));
}

Value lowbit::takeLanes(KernelBuilder &k, Value vector, int64_t first,
                        int64_t count) {
  return vector::ShuffleOp::create(
      k.getBuilder(), k.getLoc(), vector, vector,
      llvm::to_vector(llvm::seq<int64_t>(first, first + count)));
}

/// Lanes odd, odd + 2, … of i16, as i32.
static Value everySecond(KernelBuilder &k, Value words, int64_t odd) {
  SmallVector<int64_t> lanes;
  int64_t count = cast<VectorType>(words.getType()).getDimSize(0);
  for (int64_t i = odd; i < count; i += 2)
    lanes.push_back(i);
  Value picked = vector::ShuffleOp::create(k.getBuilder(), k.getLoc(), words,
                                           words, lanes);
  return k.extend(picked, k.getBuilder().getI32Type(), /*isSigned=*/true);
}

Value lowbit::multiplyAddWords(KernelBuilder &k, Value a, Value b) {
  OpBuilder &builder = k.getBuilder();
  if (!k.getTarget().triple.starts_with("x86_64"))
    return k.add(k.mul(everySecond(k, a, 0), everySecond(k, b, 0)),
                 k.mul(everySecond(k, a, 1), everySecond(k, b, 1)));
  // pmaddwd of 8 lanes is part of the x86-64 base.
  int64_t count = cast<VectorType>(a.getType()).getDimSize(0);
  int64_t lanes = k.getTarget().hasAvx2 && count % 16 == 0 ? 16 : 8;
  StringRef intrinsic =
      lanes == 16 ? "llvm.x86.avx2.pmadd.wd" : "llvm.x86.sse2.pmadd.wd";
  VectorType sums = k.vectorType(builder.getI32Type(), lanes / 2);
  SmallVector<Value> parts;
  for (int64_t i = 0; i < count; i += lanes)
    parts.push_back(
        LLVM::CallIntrinsicOp::create(
            builder, k.getLoc(), sums, builder.getStringAttr(intrinsic),
            ValueRange{takeLanes(k, a, i, lanes), takeLanes(k, b, i, lanes)})
            .getResult(0));
  return joinLanes(k, parts);
}

Value lowbit::dotWords(KernelBuilder &k, Value sum, Value codes,
                       function_ref<Value(bool odd)> activations) {
  auto words = cast<VectorType>(codes.getType());
  Value lowByte =
      k.bitcast(k.splat(k.i32(0x00ff00ff), words.getDimSize(0) / 2), words);
  Value low = k.andi(codes, lowByte);
  Value even = multiplyAddWords(k, low, activations(false));
  Value high = k.shru(codes, 8);
  Value odd = multiplyAddWords(k, high, activations(true));
  return k.add(sum, k.add(even, odd));
}

Value lowbit::dotBytes(KernelBuilder &k, Value sum, Value codes,
                       Value activations) {
  OpBuilder &builder = k.getBuilder();
  if (!k.getTarget().features.contains("+avx512vnni")) {
    VectorType words = k.vectorType(builder.getI16Type(), 32);
    Value c = k.bitcast(codes, words), x = k.bitcast(activations, words);
    return dotWords(k, sum, c,
                    [&](bool odd) { return k.shrs(odd ? x : k.shl(x, 8), 8); });
  }
  return LLVM::CallIntrinsicOp::create(
             builder, k.getLoc(), sum.getType(),
             builder.getStringAttr("llvm.x86.avx512.vpdpbusd.512"),
             ValueRange{sum, codes, activations})
      .getResult(0);
}
