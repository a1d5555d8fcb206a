//===- Avx2Lanes.cpp - Halves of 16 lanes, 256 bits each --------*- C++ -*-===//

#include "Avx2Lanes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lowbit;

VectorType Avx2Lanes::bytes() {
  return k.vectorType(k.getBuilder().getI8Type(), 32);
}

VectorType Avx2Lanes::words() {
  return k.vectorType(k.getBuilder().getI16Type(), 16);
}

VectorType Avx2Lanes::sums() {
  return k.vectorType(k.getBuilder().getI32Type(), 8);
}

Value Avx2Lanes::intrinsic(StringRef name, Type type, ValueRange operands) {
  OpBuilder &builder = k.getBuilder();
  return LLVM::CallIntrinsicOp::create(builder, k.getLoc(), type,
                                       builder.getStringAttr(name), operands)
      .getResult(0);
}

Value Avx2Lanes::multiplyBytes(Value codes, Value activations) {
  return intrinsic(
      "llvm.x86.avx2.pmadd.ub.sw", words(),
      {k.bitcast(codes, bytes()), k.bitcast(activations, bytes())});
}

Value Avx2Lanes::multiplyWords(Value a, Value b) {
  return intrinsic("llvm.x86.avx2.pmadd.wd", sums(),
                   {k.bitcast(a, words()), k.bitcast(b, words())});
}

Value Avx2Lanes::wordConstant(int value) {
  SmallVector<int32_t> lanes(8, value | value << 16);
  return k.bitcast(k.constant(lanes), words());
}

Value Avx2Lanes::join(Value low, Value high) {
  return vector::ShuffleOp::create(k.getBuilder(), k.getLoc(), low, high,
                                   llvm::to_vector(llvm::seq<int64_t>(0, 16)));
}
