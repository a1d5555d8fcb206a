//===- Avx2Lanes.h - Halves of 16 lanes, 256 bits each ----------*- C++ -*-===//
//
// AVX2 holds 8 of the 16 rows of a tile in a register. These are its two
// multiply-add instructions and the way between halves and 16 lanes.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_AVX2LANES_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_AVX2LANES_H

#include "lowbit/Conversion/KernelBuilder.h"

namespace lowbit {

class Avx2Lanes {
public:
  explicit Avx2Lanes(KernelBuilder &k) : k(k) {}

  mlir::VectorType bytes(); ///< 32 × i8
  mlir::VectorType words(); ///< 16 × i16
  mlir::VectorType sums();  ///< 8 × i32
  /// u8 · s8, neighbours added: i16, saturating (the caller keeps the sums
  /// within ±32767).
  Value multiplyBytes(Value codes, Value activations);
  /// i16 · i16, neighbours added: i32, exact.
  Value multiplyWords(Value a, Value b);
  /// `value` in 16 lanes of i16.
  Value wordConstant(int value);
  /// Rows 0…7 and 8…15 to 16 lanes.
  Value join(Value low, Value high);

private:
  Value intrinsic(llvm::StringRef name, mlir::Type type, ValueRange operands);

  KernelBuilder &k;
};

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_AVX2LANES_H
