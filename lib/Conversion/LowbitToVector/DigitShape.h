//===- DigitShape.h - Codes as digits of 32-bit words -----------*- C++ -*-===//
//
// The decode shape `digits`: codes lie as digits of a few bits in the bytes of
// a vector of 16 lanes (rows) of 4 bytes. Kernels walk this description and
// never a format, so a new integer format needs no new kernel.
//
// A block is a sequence of vectors of 64 bytes. Each plane of digits covers all
// columns of the block; digit d of byte b of vector v in a plane of `bits` bits
// belongs to column v · 32/bits + 4d + b. A code is Σ digit · 2^weightLog2 over
// the planes. Codes of 3 bits (Spec.md, section 2):
//
//   columns = 32, planes = {{bits 2, vectors 2, weightLog2 1},
//                           {bits 1, vectors 1, weightLog2 0}}
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_DIGITSHAPE_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_DIGITSHAPE_H

#include "lowbit/IR/Lowbit.h"
#include "llvm/ADT/SmallVector.h"

namespace lowbit {

/// Digits of one width and one significance.
struct DigitPlane {
  /// Bits of a digit: 1, 2, 4 or 8.
  int bits;
  /// Vectors of the block that hold this plane.
  int vectors;
  /// A digit counts 2^weightLog2.
  int weightLog2;
};

/// The digits of 4 consecutive columns of 16 rows: one mask of one vector.
struct DigitStep {
  /// Vector in the block.
  int64_t vector;
  /// Lowest bit of the digit in each byte.
  int position;
  int bits;
  int weightLog2;
  /// First of the 4 columns in the block.
  int64_t column;
};

/// How the codes of a block become numbers.
struct DigitShape {
  /// Columns of a block.
  int64_t columns = 0;
  llvm::SmallVector<DigitPlane, 4> planes;

  /// The shape of a grouped-integer format.
  static DigitShape get(const IntegerFormat &format);

  /// Vectors of a block, of all planes.
  int64_t vectors() const;
  /// Largest code.
  int64_t maxCode() const;
  /// All steps in the order of the bytes.
  llvm::SmallVector<DigitStep> steps() const;
  /// Blocks that `count` columns take.
  int64_t blocks(int64_t count) const {
    return (count + columns - 1) / columns;
  }
};

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_DIGITSHAPE_H
