//===- KernelBuilder.cpp - Types, memory, control ---------------*- C++ -*-===//

#include "lowbit/Conversion/KernelBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lowbit;

KernelBuilder::KernelBuilder(OpBuilder &builder, Location location,
                             const TargetInfo &target)
    : builder(builder), location(location), target(target) {}

VectorType KernelBuilder::vectorType(Type element, int64_t lanes) {
  return VectorType::get({lanes}, element);
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

Value KernelBuilder::index(int64_t value) {
  return arith::ConstantOp::create(builder, location,
                                   builder.getI64IntegerAttr(value));
}

Value KernelBuilder::i32(int32_t value) {
  return arith::ConstantOp::create(builder, location,
                                   builder.getI32IntegerAttr(value));
}

Value KernelBuilder::f32(float value) {
  return arith::ConstantOp::create(builder, location,
                                   builder.getF32FloatAttr(value));
}

Value KernelBuilder::f64(double value) {
  return arith::ConstantOp::create(builder, location,
                                   builder.getF64FloatAttr(value));
}

Value KernelBuilder::splat(Value value, int64_t lanes) {
  return vector::BroadcastOp::create(builder, location,
                                     vectorType(value.getType(), lanes), value);
}

Value KernelBuilder::constant(ArrayRef<int32_t> lanes) {
  auto type = vectorType(builder.getI32Type(), lanes.size());
  return arith::ConstantOp::create(builder, location,
                                   DenseElementsAttr::get(type, lanes));
}

Value KernelBuilder::constant(ArrayRef<int8_t> lanes) {
  auto type = vectorType(builder.getI8Type(), lanes.size());
  return arith::ConstantOp::create(builder, location,
                                   DenseElementsAttr::get(type, lanes));
}

Value KernelBuilder::zero(Type type) {
  return arith::ConstantOp::create(builder, location,
                                   builder.getZeroAttr(type));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelBuilder::loadArgument(Value args, int64_t i) {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  return LLVM::LoadOp::create(builder, location, pointer, offset(args, i * 8),
                              /*alignment=*/8);
}

Value KernelBuilder::offset(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(builder, location, pointer.getType(),
                             builder.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

Value KernelBuilder::offset(Value pointer, int64_t bytes) {
  return bytes == 0 ? pointer : offset(pointer, index(bytes));
}

Value KernelBuilder::element(Value pointer, Value i, int64_t elementBytes) {
  return offset(pointer, mul(i, index(elementBytes)));
}

Value KernelBuilder::load(Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(builder, location, type, pointer, alignment);
}

void KernelBuilder::store(Value value, Value pointer, unsigned alignment) {
  LLVM::StoreOp::create(builder, location, value, pointer, alignment);
}

Value KernelBuilder::loadTail(Type elementType, Value pointer, int64_t count) {
  VectorType type = vectorType(elementType);
  int64_t bytes = elementType.getIntOrFloatBitWidth() / 8;
  Value result = zero(type);
  for (int64_t i = 0; i < count; ++i)
    result = vector::InsertOp::create(
        builder, location, load(elementType, offset(pointer, i * bytes)),
        result, i);
  return result;
}

void KernelBuilder::storeTail(Value vector, Value pointer, int64_t count) {
  auto type = cast<VectorType>(vector.getType());
  int64_t bytes = type.getElementTypeBitWidth() / 8;
  for (int64_t i = 0; i < count; ++i)
    store(vector::ExtractOp::create(builder, location, vector, i),
          offset(pointer, i * bytes));
}

void KernelBuilder::prefetch(Value pointer) {
  LLVM::Prefetch::create(builder, location, pointer, /*rw=*/0, /*hint=*/3,
                         /*cache=*/1);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void KernelBuilder::forLoop(Value begin, Value end, int64_t step,
                            function_ref<void(Value)> body) {
  forLoop(begin, end, step, {}, [&](Value i, ValueRange) -> SmallVector<Value> {
    body(i);
    return {};
  });
}

SmallVector<Value> KernelBuilder::forLoop(
    Value begin, Value end, int64_t step, ValueRange initial,
    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(
      builder, location, begin, end, index(step), initial,
      [&](OpBuilder &nested, Location, Value i, ValueRange carried) {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPoint(nested.getInsertionBlock(),
                                  nested.getInsertionPoint());
        SmallVector<Value> next = body(i, carried);
        scf::YieldOp::create(builder, location, next);
      });
  return SmallVector<Value>(loop.getResults());
}

void KernelBuilder::ifThen(Value condition, function_ref<void()> body) {
  auto branch = scf::IfOp::create(builder, location, condition,
                                  /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  body();
}

void KernelBuilder::ifElse(Value condition, function_ref<void()> then,
                           function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(builder, location, condition,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(branch.thenBlock());
  then();
  builder.setInsertionPointToStart(branch.elseBlock());
  otherwise();
}
