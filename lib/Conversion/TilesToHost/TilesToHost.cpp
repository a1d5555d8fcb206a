//===- TilesToHost.cpp - Block programs that run on the host ----*- C++ -*-===//
//
// What a thread of a block does becomes a function of the host, and each op of
// the nvvm dialect a call through the emulator's table (Runtime/EmulatorAbi.h):
// barriers and what lanes do together give up the processor there until the
// others have come. Every access to shared memory is told to the emulator
// first. The kernel itself hands its blocks to the emulator.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Conversion/Passes.h"
#include "lowbit/Runtime/EmulatorAbi.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

namespace lowbit {
#define GEN_PASS_DEF_CONVERTTILESTOHOST
#include "lowbit/Conversion/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

constexpr unsigned sharedSpace = 3;
constexpr llvm::StringLiteral threadsAttr = "lowbit.threads";
constexpr llvm::StringLiteral sharedAttr = "lowbit.shared";
/// Names the function that runs one thread.
constexpr llvm::StringLiteral threadAttr = "lowbit.thread";

/// Calls through the table at `machine`.
class Machine {
public:
  Machine(OpBuilder &builder, Location location, Value machine)
      : builder(builder), location(location), machine(machine),
        pointer(LLVM::LLVMPointerType::get(builder.getContext())) {}

  /// The field of the table, of `type`.
  Value field(EmulatorSlot slot, Type type) {
    Value place = LLVM::GEPOp::create(
        builder, location, pointer, builder.getI8Type(), machine,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(slot) * 8});
    return LLVM::LoadOp::create(builder, location, type, place,
                                /*alignment=*/8);
  }
  /// Calls the function of `slot` with the machine and `operands`; its result
  /// where `result` is given.
  Value call(EmulatorSlot slot, ValueRange operands, Type result = {}) {
    SmallVector<Value> all{field(slot, pointer), machine};
    all.append(operands.begin(), operands.end());
    SmallVector<Type> types;
    for (Value operand : llvm::drop_begin(all))
      types.push_back(operand.getType());
    Type returned =
        result ? result : LLVM::LLVMVoidType::get(builder.getContext());
    auto type = LLVM::LLVMFunctionType::get(returned, types);
    auto call = LLVM::CallOp::create(builder, location, type, all);
    return result ? call.getResult() : Value();
  }
  Value i32(int64_t value) {
    return arith::ConstantOp::create(builder, location,
                                     builder.getI32IntegerAttr(value));
  }
  Value i64(int64_t value) {
    return arith::ConstantOp::create(builder, location,
                                     builder.getI64IntegerAttr(value));
  }

private:
  OpBuilder &builder;
  Location location;
  Value machine;
  Type pointer;
};

/// Turns one block program into a thread's function and a kernel.
class HostKernel {
public:
  HostKernel(func::FuncOp program, OpBuilder &builder)
      : program(program), builder(builder), location(program.getLoc()),
        pointer(LLVM::LLVMPointerType::get(builder.getContext())) {}

  LogicalResult convert();

private:
  func::FuncOp createThread();
  void createKernel(func::FuncOp thread);
  LogicalResult replaceOps(func::FuncOp thread);
  LogicalResult replace(Operation *op, func::FuncOp thread);
  void replaceShuffle(NVVM::ShflOp op, Machine &machine);
  LogicalResult replaceMma(NVVM::MmaOp op, Machine &machine,
                           func::FuncOp thread);
  void announce(Operation *op, Value address, Type type, bool isWrite,
                Machine &machine);

  func::FuncOp program;
  OpBuilder &builder;
  Location location;
  Type pointer;
  /// Room for the operands of a product, made where one is.
  Value registers;
};

} // namespace

/// thread(args, rows, block, thread, machine): the program's body.
func::FuncOp HostKernel::createThread() {
  Type i64 = builder.getI64Type();
  auto thread = func::FuncOp::create(
      builder, location, (program.getSymName() + ".thread").str(),
      builder.getFunctionType({pointer, i64, i64, i64, pointer}, {}));
  Block *body = thread.addEntryBlock();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(body);
  Machine machine(builder, location, body->getArgument(4));
  IRMapping mapping;
  unsigned count = program.getNumArguments();
  for (unsigned i = 0; i < count; ++i) {
    Value argument = program.getArgument(i), given;
    if (i + 2 == count) {
      given = body->getArgument(1);
    } else if (i + 1 == count) {
      given = machine.field(EmulatorSlot::Shared, argument.getType());
    } else {
      Value place = LLVM::GEPOp::create(
          builder, location, pointer, builder.getI8Type(), body->getArgument(0),
          ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(8 * i)});
      given = LLVM::LoadOp::create(builder, location, argument.getType(), place,
                                   /*alignment=*/8);
    }
    mapping.map(argument, given);
  }
  for (Operation &op : program.getBody().front())
    builder.clone(op, mapping);
  return thread;
}

/// kernel(args, rows, begin, end, machine): hands blocks to the machine.
void HostKernel::createKernel(func::FuncOp thread) {
  Type i64 = builder.getI64Type();
  auto kernel = func::FuncOp::create(
      builder, location, program.getSymName(),
      builder.getFunctionType({pointer, i64, i64, i64, pointer}, {}));
  for (llvm::StringRef name : {"lowbit.kernel", "lowbit.variant"})
    kernel->setAttr(name, program->getAttr(name));
  kernel->setAttr(threadAttr, FlatSymbolRefAttr::get(thread));
  Block *body = kernel.addEntryBlock();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(body);
  Machine machine(builder, location, body->getArgument(4));
  Value function = func::ConstantOp::create(
      builder, location, thread.getFunctionType(), thread.getSymName());
  Value address =
      UnrealizedConversionCastOp::create(builder, location, pointer, function)
          .getResult(0);
  auto number = [&](llvm::StringRef name) {
    return machine.i64(program->getAttrOfType<IntegerAttr>(name).getInt());
  };
  machine.call(EmulatorSlot::Launch,
               {address, body->getArgument(0), body->getArgument(1),
                body->getArgument(2), body->getArgument(3), number(threadsAttr),
                number(sharedAttr)});
  func::ReturnOp::create(builder, location);
}

void HostKernel::replaceShuffle(NVVM::ShflOp op, Machine &machine) {
  Type i32 = builder.getI32Type(), type = op.getVal().getType();
  Value bits = op.getVal();
  if (type != i32)
    bits = arith::BitcastOp::create(builder, op.getLoc(), i32, bits);
  auto kind = op.getKind() == NVVM::ShflKind::bfly ? EmulatedShuffle::Xor
                                                   : EmulatedShuffle::Index;
  Value result = machine.call(
      EmulatorSlot::Shuffle,
      {machine.i32(static_cast<int32_t>(kind)), bits, op.getOffset()}, i32);
  if (type != i32)
    result = arith::BitcastOp::create(builder, op.getLoc(), type, result);
  op.replaceAllUsesWith(result);
  op.erase();
}

LogicalResult HostKernel::replaceMma(NVVM::MmaOp op, Machine &machine,
                                     func::FuncOp thread) {
  auto shape = op.getShape();
  if (shape.getM() != 16 || shape.getN() != 8 || shape.getK() != 32 ||
      op.getMultiplicandAPtxType() != NVVM::MMATypes::u8 ||
      op.getMultiplicandBPtxType() != NVVM::MMATypes::s8)
    return op.emitOpError() << "is not emulated: of matrix products only "
                               "m16n8k32 with u8 x s8 is";
  constexpr int64_t registerCount = 10;
  if (!registers) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&thread.getBody().front());
    Machine here(builder, location, thread.getArgument(4));
    registers =
        LLVM::AllocaOp::create(builder, location, pointer, builder.getI32Type(),
                               here.i64(registerCount));
  }
  auto place = [&](int64_t i) -> Value {
    return LLVM::GEPOp::create(builder, op.getLoc(), pointer,
                               builder.getI32Type(), registers,
                               ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
  };
  int64_t next = 0;
  for (Value operand : op.getOperands())
    LLVM::StoreOp::create(builder, op.getLoc(), operand, place(next++), 4);
  machine.call(
      EmulatorSlot::Mma,
      {machine.i32(static_cast<int32_t>(EmulatedMma::U8S8)), registers});
  Value result =
      LLVM::PoisonOp::create(builder, op.getLoc(), op.getRes().getType());
  for (int64_t i = 0; i < 4; ++i) {
    Value sum = LLVM::LoadOp::create(builder, op.getLoc(), builder.getI32Type(),
                                     place(6 + i), 4);
    result = LLVM::InsertValueOp::create(builder, op.getLoc(), result, sum, i);
  }
  op.replaceAllUsesWith(result);
  op.erase();
  return success();
}

/// Tells the machine of an access to shared memory before `op`.
void HostKernel::announce(Operation *op, Value address, Type type, bool isWrite,
                          Machine &machine) {
  if (cast<LLVM::LLVMPointerType>(address.getType()).getAddressSpace() !=
      sharedSpace)
    return;
  int64_t bits = 0;
  if (auto vector = dyn_cast<VectorType>(type))
    bits = vector.getNumElements() * vector.getElementTypeBitWidth();
  else
    bits = type.getIntOrFloatBitWidth();
  Value generic =
      LLVM::AddrSpaceCastOp::create(builder, op->getLoc(), pointer, address);
  machine.call(EmulatorSlot::Access,
               {generic, machine.i64(bits / 8), machine.i32(isWrite)});
}

LogicalResult HostKernel::replace(Operation *op, func::FuncOp thread) {
  builder.setInsertionPoint(op);
  Machine machine(builder, op->getLoc(), thread.getArgument(4));
  auto replaceIndex = [&](Operation *index, unsigned argument) {
    Value narrow =
        arith::TruncIOp::create(builder, op->getLoc(), builder.getI32Type(),
                                thread.getArgument(argument));
    index->getResult(0).replaceAllUsesWith(narrow);
    index->erase();
    return success();
  };
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](NVVM::ThreadIdXOp op) { return replaceIndex(op, 3); })
      .Case([&](NVVM::BlockIdXOp op) { return replaceIndex(op, 2); })
      .Case([&](NVVM::Barrier0Op op) {
        machine.call(EmulatorSlot::Barrier, {});
        op.erase();
        return success();
      })
      .Case([&](NVVM::SyncWarpOp op) {
        machine.call(EmulatorSlot::WarpBarrier, {});
        op.erase();
        return success();
      })
      .Case([&](NVVM::ShflOp op) {
        replaceShuffle(op, machine);
        return success();
      })
      .Case([&](NVVM::MmaOp op) { return replaceMma(op, machine, thread); })
      .Case([&](LLVM::LoadOp op) {
        announce(op, op.getAddr(), op.getType(), false, machine);
        return success();
      })
      .Case([&](LLVM::StoreOp op) {
        announce(op, op.getAddr(), op.getValue().getType(), true, machine);
        return success();
      })
      .Default([&](Operation *op) -> LogicalResult {
        if (!isa_and_nonnull<NVVM::NVVMDialect>(op->getDialect()))
          return success();
        return op->emitOpError() << "is not emulated";
      });
}

LogicalResult HostKernel::replaceOps(func::FuncOp thread) {
  SmallVector<Operation *> ops;
  thread.walk([&](Operation *op) { ops.push_back(op); });
  for (Operation *op : ops)
    if (failed(replace(op, thread)))
      return failure();
  return success();
}

LogicalResult HostKernel::convert() {
  for (llvm::StringRef name :
       {llvm::StringRef("lowbit.kernel"), llvm::StringRef("lowbit.variant"),
        llvm::StringRef(threadsAttr), llvm::StringRef(sharedAttr)})
    if (!program->hasAttr(name))
      return program.emitOpError()
             << "is no block program: it has no attribute '" << name << "'";
  builder.setInsertionPoint(program);
  func::FuncOp thread = createThread();
  createKernel(thread);
  program.erase();
  return replaceOps(thread);
}

namespace {

struct ConvertTilesToHost
    : lowbit::impl::ConvertTilesToHostBase<ConvertTilesToHost> {
  void runOnOperation() override {
    OpBuilder builder(&getContext());
    for (func::FuncOp program :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (failed(HostKernel(program, builder).convert()))
        return signalPassFailure();
  }
};

} // namespace
