//===- TileBuilder.cpp - Emits the body of a GPU kernel ---------*- C++ -*-===//

#include "TileBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace lowbit;

TileBuilder::TileBuilder(OpBuilder &builder, func::FuncOp function,
                         const TargetInfo &target)
    : KernelBuilder(builder, function.getLoc(), target), function(function) {}

//===----------------------------------------------------------------------===//
// The block
//===----------------------------------------------------------------------===//

void TileBuilder::setAttribute(llvm::StringRef name, int64_t value) {
  function->setAttr(name, getBuilder().getI32IntegerAttr(value));
}

void TileBuilder::begin(int64_t arguments, int64_t count) {
  assert(count % warpLanes == 0 && count <= 1024 && "whole warps");
  OpBuilder &builder = getBuilder();
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext(), globalSpace);
  for (int64_t i = 0; i < arguments; ++i)
    (void)function.insertArgument(i, pointer, {}, getLoc());
  threadCount = count;
  rowCount = function.getArgument(arguments);
  shared = function.getArgument(arguments + 1);
  Type i32Type = builder.getI32Type(), i64Type = builder.getI64Type();
  Value tid = NVVM::ThreadIdXOp::create(builder, getLoc(), i32Type);
  Value cta = NVVM::BlockIdXOp::create(builder, getLoc(), i32Type);
  threadIndex = extend(tid, i64Type, /*isSigned=*/false);
  block = extend(cta, i64Type, /*isSigned=*/false);
  laneIndex = andi(threadIndex, index(warpLanes - 1));
  warpIndex = shru(threadIndex, 5);
  setAttribute(threadsAttr, count);
  setAttribute(sharedAttr, 0);
}

Value TileBuilder::allocateShared(int64_t bytes) {
  Value result = offset(shared, sharedUsed);
  sharedUsed += (bytes + 15) / 16 * 16;
  setAttribute(sharedAttr, sharedUsed);
  return result;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Natural alignment of a scalar or vector.
static unsigned alignmentOf(Type type) {
  int64_t lanes = 1;
  if (auto vector = dyn_cast<VectorType>(type)) {
    lanes = vector.getNumElements();
    type = vector.getElementType();
  }
  return lanes * type.getIntOrFloatBitWidth() / 8;
}

Value TileBuilder::load(Type type, Value pointer, unsigned alignment) {
  return KernelBuilder::load(type, pointer,
                             alignment ? alignment : alignmentOf(type));
}

void TileBuilder::store(Value value, Value pointer, unsigned alignment) {
  KernelBuilder::store(value, pointer,
                       alignment ? alignment : alignmentOf(value.getType()));
}

Value TileBuilder::loadConstant(Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(getBuilder(), getLoc(), type, pointer,
                              alignment ? alignment : alignmentOf(type),
                              /*isVolatile=*/false,
                              /*isNonTemporal=*/false, /*isInvariant=*/true);
}

Value TileBuilder::loadF32(Value pointer, Value i) {
  return load(getBuilder().getF32Type(), element(pointer, i, 4));
}

void TileBuilder::storeF32(Value value, Value pointer, Value i) {
  store(value, element(pointer, i, 4));
}

Value TileBuilder::loadIndex(Value pointer, Value i) {
  Value narrow = load(getBuilder().getI32Type(), element(pointer, i, 4));
  return extend(narrow, getBuilder().getI64Type(), /*isSigned=*/true);
}

//===----------------------------------------------------------------------===//
// Loops of the whole block
//===----------------------------------------------------------------------===//

void TileBuilder::forThreads(int64_t count, function_ref<void(Value)> body) {
  if (count == threadCount)
    return body(threadIndex);
  if (count < threadCount)
    return ifThen(isLess(threadIndex, index(count)),
                  [&] { body(threadIndex); });
  forLoop(threadIndex, index(count), threadCount, body);
}

void TileBuilder::forWarps(int64_t count, function_ref<void(Value)> body) {
  forLoop(warpIndex, index(count), warps(), body);
}

//===----------------------------------------------------------------------===//
// Together
//===----------------------------------------------------------------------===//

void TileBuilder::barrier() {
  NVVM::Barrier0Op::create(getBuilder(), getLoc());
}

void TileBuilder::warpBarrier() {
  NVVM::SyncWarpOp::create(getBuilder(), getLoc(), i32(-1));
}

Value TileBuilder::shuffle(Value value, Value operand, bool isXor) {
  return NVVM::ShflOp::create(
      getBuilder(), getLoc(), value.getType(), i32(-1), value, operand,
      i32(warpLanes - 1), isXor ? NVVM::ShflKind::bfly : NVVM::ShflKind::idx,
      UnitAttr());
}

Value TileBuilder::shuffleXor(Value value, int32_t mask) {
  return shuffle(value, i32(mask), /*isXor=*/true);
}

Value TileBuilder::shuffleIndex(Value value, Value from) {
  return shuffle(value, from, /*isXor=*/false);
}

Value TileBuilder::warpReduce(Value value,
                              function_ref<Value(Value, Value)> combine,
                              int64_t lanes) {
  for (int64_t mask = lanes / 2; mask > 0; mask /= 2)
    value = combine(value, shuffleXor(value, mask));
  return value;
}

Value TileBuilder::sum16(Value value) {
  return warpReduce(value, [&](Value a, Value b) { return add(a, b); }, 16);
}

Value TileBuilder::blockReduce(Value value, Value slots,
                               function_ref<Value(Value, Value)> combine) {
  value = warpReduce(value, combine);
  Value isFirst = compare(arith::CmpIPredicate::eq, laneIndex, index(0));
  ifThen(isFirst, [&] { store(value, element(slots, warpIndex, 4)); });
  barrier();
  Value result = load(value.getType(), slots);
  for (int64_t i = 1; i < warps(); ++i)
    result = combine(result, load(value.getType(), offset(slots, 4 * i)));
  barrier();
  return result;
}

SmallVector<Value> TileBuilder::mma(ValueRange a, ValueRange b, ValueRange c) {
  OpBuilder &builder = getBuilder();
  Type i32Type = builder.getI32Type();
  Type result = LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                                 SmallVector<Type>(4, i32Type));
  using Types = std::array<NVVM::MMATypes, 2>;
  using Layouts = std::array<NVVM::MMALayout, 2>;
  Value product = NVVM::MmaOp::create(
      builder, getLoc(), result, a, b, c, ArrayRef<int64_t>{16, 8, 32},
      std::nullopt, NVVM::MMAIntOverflow::wrapped,
      Types{NVVM::MMATypes::u8, NVVM::MMATypes::s8},
      Layouts{NVVM::MMALayout::row, NVVM::MMALayout::col});
  SmallVector<Value> sums;
  for (int64_t i = 0; i < 4; ++i)
    sums.push_back(LLVM::ExtractValueOp::create(builder, getLoc(), product, i));
  return sums;
}

Value TileBuilder::maxInteger(Value a, Value b) {
  return arith::MaxSIOp::create(getBuilder(), getLoc(), a, b);
}

Value TileBuilder::minInteger(Value a, Value b) {
  return arith::MinSIOp::create(getBuilder(), getLoc(), a, b);
}

Value TileBuilder::isLess(Value a, Value b) {
  return compare(arith::CmpIPredicate::slt, a, b);
}
