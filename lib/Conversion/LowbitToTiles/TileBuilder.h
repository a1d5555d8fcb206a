//===- TileBuilder.h - Emits the body of a GPU kernel -----------*- C++ -*-===//
//
// A GPU kernel is a program of one block of threads over tiles: a row, a pair
// of weight tiles, a page of keys. A family says what is computed of a tile;
// which thread holds which part of it is the tile's *layout*, chosen from the
// facts of the chip (TileLayouts.h). This class is the vocabulary on top of
// KernelBuilder: threads, warps, shared memory, loops of a block over a tile,
// and what lanes do together, in ops of the nvvm dialect.
//
//   func.func @gate_768.sm_90a(%gate: !llvm.ptr<1>, …, %rows: i64,
//                              %shared: !llvm.ptr<3>)
//       attributes {lowbit.kernel = "gate_768", lowbit.variant = 0 : i32,
//                   lowbit.threads = 256 : i32, lowbit.shared = 0 : i32}
//
// Block i computes item i. Ops that lanes do together may only be emitted where
// control flow is the same for all lanes of a warp, barriers where it is the
// same for the block: TilesToHost runs the kernels and checks that.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_LOWBITTOTILES_TILEBUILDER_H
#define LOWBIT_LIB_CONVERSION_LOWBITTOTILES_TILEBUILDER_H

#include "lowbit/Conversion/KernelBuilder.h"
#include "lowbit/IR/Lowbit.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lowbit {

/// Lanes of a warp.
constexpr int64_t warpLanes = 32;

/// Address spaces of NVVM.
constexpr unsigned globalSpace = 1;
constexpr unsigned sharedSpace = 3;

class TileBuilder : public KernelBuilder {
public:
  /// Builds at the start of `function`, whose signature is (i64, ptr<3>).
  TileBuilder(mlir::OpBuilder &builder, mlir::func::FuncOp function,
              const TargetInfo &target);

  const GpuInfo &gpu() const { return *getTarget().gpu; }

  //===--- the block ------------------------------------------------------===//
  /// Declares `count` argument pointers and how many threads run; first of all.
  void begin(int64_t arguments, int64_t threadCount);
  Value argument(int64_t i) { return function.getArgument(i); }
  Value rows() { return rowCount; }      ///< i64
  Value item() { return block; }         ///< i64, of this block
  Value thread() { return threadIndex; } ///< i64, in the block
  Value lane() { return laneIndex; }     ///< i64, in the warp
  Value warp() { return warpIndex; }     ///< i64, the same in all its lanes
  int64_t threads() const { return threadCount; }
  int64_t warps() const { return threadCount / warpLanes; }

  /// Takes `bytes` of the block's shared memory; its address.
  Value allocateShared(int64_t bytes);
  int64_t sharedBytes() const { return sharedUsed; }

  //===--- memory: aligned to the element unless said ---------------------===//
  Value load(mlir::Type type, Value pointer, unsigned alignment = 0);
  void store(Value value, Value pointer, unsigned alignment = 0);
  /// A load of bytes that nobody writes while the kernel runs.
  Value loadConstant(mlir::Type type, Value pointer, unsigned alignment = 0);
  Value loadF32(Value pointer, Value i); ///< element i
  void storeF32(Value value, Value pointer, Value i);
  /// Element i of i32, as i64.
  Value loadIndex(Value pointer, Value i);

  //===--- loops of the whole block ---------------------------------------===//
  /// `body(i)` for i = 0 … count − 1, shared out among the threads.
  void forThreads(int64_t count, llvm::function_ref<void(Value)> body);
  /// `body(i)` for i = 0 … count − 1, each by one whole warp.
  void forWarps(int64_t count, llvm::function_ref<void(Value)> body);

  //===--- together -------------------------------------------------------===//
  void barrier();
  void warpBarrier();
  /// The value (i32 or f32) of lane ^ mask.
  Value shuffleXor(Value value, int32_t mask);
  /// The value (i32 or f32) of lane `from` (i32).
  Value shuffleIndex(Value value, Value from);
  /// Reduces over the lanes of a warp; every lane has the result.
  Value warpReduce(Value value, llvm::function_ref<Value(Value, Value)> combine,
                   int64_t lanes = warpLanes);
  /// Σ of the 16 canonical lanes (Spec.md, 3): lane i of the warp, i < 16,
  /// holds lane i; every one of those 16 lanes has the result.
  Value sum16(Value value);
  /// Reduces over all threads by way of shared memory (`slots`: an f32 or i32
  /// for each warp); every thread has the result. Two barriers.
  Value blockReduce(Value value, Value slots,
                    llvm::function_ref<Value(Value, Value)> combine);
  /// m16n8k32 with u8 × s8 → s32: a has 4 registers, b 2, c 4.
  llvm::SmallVector<Value> mma(ValueRange a, ValueRange b, ValueRange c);

  /// Larger and smaller of signed integers.
  Value maxInteger(Value a, Value b);
  Value minInteger(Value a, Value b);
  Value isLess(Value a, Value b); ///< signed integers

private:
  Value shuffle(Value value, Value operand, bool isXor);
  void setAttribute(llvm::StringRef name, int64_t value);

  mlir::func::FuncOp function;
  Value rowCount, shared, block, threadIndex, laneIndex, warpIndex;
  int64_t threadCount = 0, sharedUsed = 0;
};

/// `lowbit.threads` and `lowbit.shared`: what a launch needs.
constexpr llvm::StringLiteral threadsAttr = "lowbit.threads";
constexpr llvm::StringLiteral sharedAttr = "lowbit.shared";

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_LOWBITTOTILES_TILEBUILDER_H
