//===- RowLoops.h - Rows of f32, 16 columns at a time -----------*- C++ -*-===//
//
// What the row-wise families share: the address of a row, and a loop over its
// columns in vectors of 16 with a shorter one at the end. A short vector is
// loaded whole (buffers have 64 bytes of slack) and its lanes beyond the row
// are made 0, which no sum and no maximum of magnitudes notices.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_ROWLOOPS_H
#define LOWBIT_LIB_CONVERSION_ROWLOOPS_H

#include "KernelParameters.h"
#include "lowbit/Conversion/KernelBuilder.h"
#include "lowbit/Conversion/KernelFamilies.h"

namespace lowbit {

/// Lanes of a vector.
constexpr int64_t vectorLanes = 16;

/// `count` rounded up to a multiple of `step`.
constexpr int64_t roundUp(int64_t count, int64_t step) {
  return (count + step - 1) / step * step;
}

/// Address of the first column of `row` in an f32 buffer.
Value rowPointer(KernelBuilder &k, Value buffer, Value row,
                 const ColumnView &view);

/// 16 elements of `elementType` at `pointer`; lanes from `lanes` on are 0.
Value loadLanes(KernelBuilder &k, mlir::Type elementType, Value pointer,
                int64_t lanes);
/// `vector` with lanes from `lanes` on made 0.
Value maskLanes(KernelBuilder &k, Value vector, int64_t lanes);
/// Stores the first `lanes` lanes; writes nothing beyond.
void storeLanes(KernelBuilder &k, Value vector, Value pointer, int64_t lanes);

/// Calls `body(first column, lanes)` for columns 0, 16, … of a row; `lanes` is
/// 16 but for the last. `unroll` vectors make one iteration.
void forColumns(KernelBuilder &k, int64_t columns, int64_t unroll,
                llvm::function_ref<void(Value, int64_t)> body);

/// The same with carried values.
llvm::SmallVector<Value>
forColumns(KernelBuilder &k, int64_t columns, int64_t unroll,
           mlir::ValueRange initial,
           llvm::function_ref<llvm::SmallVector<Value>(Value, int64_t,
                                                       mlir::ValueRange)>
               body);

/// Lane `i` of a vector.
Value extractLane(KernelBuilder &k, Value vector, int64_t i);
/// Sum of the lanes of an integer vector, in any order.
Value addLanes(KernelBuilder &k, Value vector);
/// Largest lane of a signed integer vector.
Value maxIntegerLanes(KernelBuilder &k, Value vector);
/// The larger, of signed integers, lane by lane.
Value maxInteger(KernelBuilder &k, Value a, Value b);
/// The smaller, of signed integers.
Value minInteger(KernelBuilder &k, Value a, Value b);
/// 16 unsigned integers of `bits` (1 to 8) from a string of bits at
/// `pointer`, i32. Reads whole words, at most 16 bytes.
Value unpackLanes(KernelBuilder &k, Value pointer, int bits);
/// The way back, 2 or 4 bits: one or two i32 of consecutive lanes.
llvm::SmallVector<Value> packLanes(KernelBuilder &k, Value codes, int bits);
/// A 32-bit index at `pointer`, as i64.
Value loadIndex(KernelBuilder &k, Value pointer);

/// The pointer arguments of a kernel, `count` of them.
llvm::SmallVector<Value> loadArguments(KernelBuilder &k,
                                       const KernelArguments &arguments,
                                       int64_t count);

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_ROWLOOPS_H
