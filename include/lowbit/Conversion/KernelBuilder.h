//===- KernelBuilder.h - Emits the body of a CPU kernel ---------*- C++ -*-===//
//
// A kernel is a function over raw pointers (Spec.md, 5.1) whose body is built
// from `vector`, `arith`, `scf` and LLVM loads and stores. This class is the
// small vocabulary that all families share: pointers, loads, loops, and the
// float steps of Spec.md, section 3, each emitted so that every variant gives
// the same bits.
//
// Vectors have 16 lanes, whatever the target: LLVM splits them to the width of
// the machine.
//
// Example, `y[i] = x[i] * s` for 16 lanes at a time:
//
//   KernelBuilder k(builder, location, target);
//   k.forLoop(k.index(0), count, 16, [&](Value i) {
//     Value x = k.load(k.f32x16(), k.element(xPtr, i, 4));
//     k.store(k.mul(x, k.splat(s)), k.element(yPtr, i, 4));
//   });
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_KERNELBUILDER_H
#define LOWBIT_CONVERSION_KERNELBUILDER_H

#include "lowbit/Target/TargetInfo.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace lowbit {

using mlir::Value;
using mlir::ValueRange;

/// Emits kernel bodies. All integers that count or address are i64.
class KernelBuilder {
public:
  KernelBuilder(mlir::OpBuilder &builder, mlir::Location location,
                const TargetInfo &target);

  /// The facts of the variant that is being emitted.
  const TargetInfo &getTarget() const { return target; }
  /// The builder at the current insertion point, for ops not offered here.
  mlir::OpBuilder &getBuilder() { return builder; }
  /// The location given to every op.
  mlir::Location getLoc() const { return location; }

  //===--- types ----------------------------------------------------------===//
  mlir::VectorType vectorType(mlir::Type element, int64_t lanes = 16);
  mlir::VectorType f32x16() { return vectorType(builder.getF32Type()); }
  mlir::VectorType i32x16() { return vectorType(builder.getI32Type()); }

  //===--- constants ------------------------------------------------------===//
  Value index(int64_t value); ///< i64
  Value i32(int32_t value);
  Value f32(float value);
  Value f64(double value);
  /// `value` (scalar) in every lane.
  Value splat(Value value, int64_t lanes = 16);
  /// A constant vector.
  Value constant(llvm::ArrayRef<int32_t> lanes);
  Value constant(llvm::ArrayRef<int8_t> lanes);
  /// All lanes 0 of `type`, scalar or vector.
  Value zero(mlir::Type type);

  //===--- memory ---------------------------------------------------------===//
  /// Pointer `args[i]`.
  Value loadArgument(Value args, int64_t i);
  /// `pointer + bytes`.
  Value offset(Value pointer, Value bytes);
  Value offset(Value pointer, int64_t bytes);
  /// `pointer + i · elementBytes`.
  Value element(Value pointer, Value i, int64_t elementBytes);
  Value load(mlir::Type type, Value pointer, unsigned alignment = 1);
  void store(Value value, Value pointer, unsigned alignment = 1);
  /// Loads/stores the first `count` lanes (a constant, 1…16); others are 0.
  Value loadTail(mlir::Type elementType, Value pointer, int64_t count);
  void storeTail(Value vector, Value pointer, int64_t count);
  /// Fetches the cache line of `pointer` into L1.
  void prefetch(Value pointer);

  //===--- control --------------------------------------------------------===//
  void forLoop(Value begin, Value end, int64_t step,
               llvm::function_ref<void(Value)> body);
  /// A loop that carries values; the body returns the next ones.
  llvm::SmallVector<Value>
  forLoop(Value begin, Value end, int64_t step, ValueRange initial,
          llvm::function_ref<llvm::SmallVector<Value>(Value, ValueRange)> body);
  void ifThen(Value condition, llvm::function_ref<void()> body);
  void ifElse(Value condition, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise);

  //===--- arithmetic (scalars and vectors alike) -------------------------===//
  Value add(Value a, Value b); ///< integers or floats, by type
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b); ///< floats, or signed integers
  Value rem(Value a, Value b); ///< signed integers
  Value andi(Value a, Value b);
  Value ori(Value a, Value b);
  Value xori(Value a, Value b);
  Value shl(Value a, int64_t bits);
  Value shrs(Value a, int64_t bits); ///< arithmetic
  Value shru(Value a, int64_t bits); ///< logical
  Value compare(mlir::arith::CmpIPredicate predicate, Value a, Value b);
  Value compare(mlir::arith::CmpFPredicate predicate, Value a, Value b);
  Value select(Value condition, Value a, Value b);
  Value minf(Value a, Value b); ///< a < b ? a : b
  Value maxf(Value a, Value b); ///< a > b ? a : b
  Value neg(Value a);
  Value abs(Value a);
  Value sqrt(Value a);
  Value rint(Value a); ///< to nearest even
  /// a·b + c with one rounding, f32 or f64; f32 is emulated exactly where the
  /// target has no instruction.
  Value fma(Value a, Value b, Value c);

  //===--- conversions ----------------------------------------------------===//
  Value bitcast(Value a, mlir::Type type);
  Value toF32(Value i); ///< signed i32 → f32, to nearest even
  Value toI32(Value f); ///< in-range f32 → i32, truncating
  Value extend(Value a, mlir::Type element, bool isSigned); ///< integers
  Value truncate(Value a, mlir::Type element);              ///< integers
  Value f16ToF32(Value bits);   ///< i16 lanes that hold f16 → f32, exact
  Value f32ToF16(Value f);      ///< f32 → i16 lanes that hold f16, RNE
  Value bf16ToF32(Value bits);  ///< i16 lanes that hold bf16 → f32, exact
  Value e4m3ToF32(Value bytes); ///< i8 lanes, non-negative codes → f32, exact
  Value e8m0ToF32(Value bytes); ///< i8 lanes below 0xFF → f32, 2^(code − 127)
  /// table[index] for each of 16, 32 or 64 i8 lanes. The table has 16, 32, 48
  /// or 64 bytes; an index beyond it gives 0.
  Value lookUp(Value indices, llvm::ArrayRef<uint8_t> table);
  /// table[16 · (i / 16) + index & 15] for lane i: each 16 bytes of the table
  /// (as many as indices, which are below 16) serve the lanes at their place.
  Value lookUp(Value indices, Value table);

  //===--- steps of Spec.md, section 3 ------------------------------------===//
  /// Adds the 16 lanes in the canonical order (8, 4, 2, 1).
  Value sumLanes(Value vector);
  /// Largest lane.
  Value maxLanes(Value vector);
  /// exp as specified, f32 lanes.
  Value exp(Value x);

private:
  mlir::OpBuilder &builder;
  mlir::Location location;
  const TargetInfo &target;
};

} // namespace lowbit

#endif // LOWBIT_CONVERSION_KERNELBUILDER_H
