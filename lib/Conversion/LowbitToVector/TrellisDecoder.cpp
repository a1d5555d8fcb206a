//===- TrellisDecoder.cpp - The decode shape `trellis` ----------*- C++ -*-===//

#include "TrellisDecoder.h"
#include "ByteProducts.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lowbit;

int64_t TrellisDecoder::pieceBytes(const TargetInfo &target) {
  return target.vectorBits / 8;
}

Value TrellisDecoder::byteConstant(int value, int64_t bytes) {
  SmallVector<int8_t> lanes(bytes, static_cast<int8_t>(value));
  return k.constant(lanes);
}

Value TrellisDecoder::call(StringRef intrinsic, Value like,
                           ValueRange operands) {
  OpBuilder &builder = k.getBuilder();
  return LLVM::CallIntrinsicOp::create(builder, k.getLoc(), like.getType(),
                                       builder.getStringAttr(intrinsic),
                                       operands)
      .getResult(0);
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

/// `value` with each byte replaced by the one behind it, the last one by 0.
static Value nextBytes(KernelBuilder &k, Value value, int64_t bytes) {
  Type type = value.getType();
  value = k.bitcast(value, k.vectorType(k.getBuilder().getI8Type(), bytes));
  SmallVector<int64_t> lanes =
      llvm::to_vector(llvm::seq<int64_t>(1, bytes + 1));
  Value shifted = vector::ShuffleOp::create(k.getBuilder(), k.getLoc(), value,
                                            k.zero(value.getType()), lanes);
  return k.bitcast(shifted, type);
}

std::array<Value, 4> TrellisDecoder::indices(Value vector, int64_t piece,
                                             bool isLast) {
  OpBuilder &builder = k.getBuilder();
  int64_t bytes = pieceBytes(k.getTarget());
  VectorType words = k.vectorType(builder.getI64Type(), bytes / 8);
  VectorType lanes = k.vectorType(builder.getI8Type(), bytes);
  Value here = k.load(words, k.offset(vector, piece * bytes));
  Value later = isLast && (piece + 1) * bytes == 64
                    ? nextBytes(k, here, bytes)
                    : k.load(words, k.offset(vector, piece * bytes + 1));
  // Group j begins 2j bits into a byte, group 3 two bits before it; M lies
  // where its index does, wrapped within the byte.
  int m = static_cast<int>(code.mask);
  const int masks[4] = {m, m << 2, m << 4, m << 6 | m >> 2};
  std::array<Value, 4> result;
  for (int j = 0; j < 4; ++j) {
    Value mask = k.bitcast(byteConstant(masks[j], bytes), words);
    Value mixed =
        arith::XOrIOp::create(builder, k.getLoc(), here, k.andi(later, mask));
    if (j == 3)
      mixed = k.shl(mixed, 2);
    else if (j > 0)
      mixed = k.shru(mixed, 2 * j);
    result[j] = k.bitcast(mixed, lanes);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Lookup
//===----------------------------------------------------------------------===//

Value TrellisDecoder::entries(int u, int first, int count, int64_t bytes) {
  SmallVector<int8_t> lanes;
  for (int64_t i = 0; i < bytes; ++i)
    lanes.push_back(static_cast<int8_t>(
        code.values[u * trellisEntries + first + i % count] + 128));
  return k.constant(lanes);
}

/// x86 has 16 entries in a lookup: four of them, and the index's bits 4 and 5
/// choose. Where a byte's highest bit is set its choice is the second.
Value TrellisDecoder::lookupNarrow(Value indices, int u, int64_t bytes) {
  OpBuilder &builder = k.getBuilder();
  if (k.getTarget().triple.starts_with("aarch64")) {
    SmallVector<Value> operands;
    for (int i = 0; i < 4; ++i)
      operands.push_back(entries(u, 16 * i, 16, bytes));
    operands.push_back(k.andi(indices, byteConstant(63, bytes)));
    return call("llvm.aarch64.neon.tbl4.v16i8", indices, operands);
  }
  StringRef shuffle =
      bytes == 32 ? "llvm.x86.avx2.pshuf.b" : "llvm.x86.ssse3.pshuf.b.128";
  Value low = k.andi(indices, byteConstant(15, bytes));
  VectorType words = k.vectorType(builder.getI16Type(), bytes / 2);
  auto choose = [&](int bit, Value a, Value b) {
    Value top =
        k.bitcast(k.shl(k.bitcast(indices, words), 7 - bit), indices.getType());
    Value isSet =
        k.compare(arith::CmpIPredicate::slt, top, k.zero(indices.getType()));
    return k.select(isSet, b, a);
  };
  Value quarters[4];
  for (int i = 0; i < 4; ++i)
    quarters[i] = call(shuffle, indices, {entries(u, 16 * i, 16, bytes), low});
  return choose(5, choose(4, quarters[0], quarters[1]),
                choose(4, quarters[2], quarters[3]));
}

Value TrellisDecoder::lookup(Value indices, int u) {
  OpBuilder &builder = k.getBuilder();
  const TargetInfo &target = k.getTarget();
  int64_t bytes = cast<VectorType>(indices.getType()).getDimSize(0);
  if (bytes == 64 && target.features.contains("+avx512vbmi"))
    return call("llvm.x86.avx512.permvar.qi.512", indices,
                {entries(u, 0, 64, 64), indices});
  int64_t narrow = target.hasAvx2 ? 32 : 16;
  if (bytes == narrow)
    return lookupNarrow(indices, u, narrow);
  SmallVector<Value> parts;
  for (int64_t first = 0; first < bytes; first += narrow) {
    auto lanes = llvm::to_vector(llvm::seq<int64_t>(first, first + narrow));
    Value part =
        vector::ShuffleOp::create(builder, k.getLoc(), indices, indices, lanes);
    parts.push_back(lookupNarrow(part, u, narrow));
  }
  return joinLanes(k, parts);
}
