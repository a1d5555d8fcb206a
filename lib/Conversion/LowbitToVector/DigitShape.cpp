//===- DigitShape.cpp - Codes as digits of 32-bit words ---------*- C++ -*-===//

#include "DigitShape.h"
#include <cassert>

using namespace lowbit;

DigitShape DigitShape::get(const IntegerFormat &format) {
  DigitShape shape;
  shape.columns = blockColumns(format.bits);
  if (format.bits == 3)
    shape.planes = {{/*bits=*/2, /*vectors=*/2, /*weightLog2=*/1},
                    {/*bits=*/1, /*vectors=*/1, /*weightLog2=*/0}};
  else
    shape.planes = {{format.bits, /*vectors=*/1, /*weightLog2=*/0}};
  assert(shape.vectors() * 64 == blockBytes(format.bits) &&
         "the planes are the block");
  return shape;
}

int64_t DigitShape::vectors() const {
  int64_t count = 0;
  for (const DigitPlane &plane : planes)
    count += plane.vectors;
  return count;
}

int64_t DigitShape::maxCode() const {
  int64_t code = 0;
  for (const DigitPlane &plane : planes)
    code += ((int64_t(1) << plane.bits) - 1) << plane.weightLog2;
  return code;
}

llvm::SmallVector<DigitStep> DigitShape::steps() const {
  llvm::SmallVector<DigitStep> steps;
  int64_t vector = 0;
  for (const DigitPlane &plane : planes) {
    assert(plane.vectors * 32 / plane.bits == columns &&
           "every plane covers all columns of the block");
    for (int64_t column = 0; column < columns; column += 4) {
      int64_t perVector = 32 / plane.bits;
      int position = column % perVector / 4 * plane.bits;
      steps.push_back({vector + column / perVector, position, plane.bits,
                       plane.weightLog2, column});
    }
    vector += plane.vectors;
  }
  return steps;
}
