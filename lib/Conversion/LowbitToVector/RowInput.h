//===- RowInput.h - A row as a quantizer sees it ----------------*- C++ -*-===//
//
// The prologue (Prologue.h) of one row, for families that look at its elements
// twice. What is computed is kept in scratch
// between the two passes; a plain row is read twice.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_ROWINPUT_H
#define LOWBIT_LIB_CONVERSION_ROWINPUT_H

#include "Prologue.h"

namespace lowbit {

class RowInput {
public:
  /// Reads `prologue`, its parameters and `columns`.
  explicit RowInput(KernelParameters &parameters)
      : inputColumns(parameters.integer("columns", 1)),
        source(parameters.string("prologue"), inputColumns, parameters) {}

  int64_t columns() const { return inputColumns; }
  /// How many of the kernel's first arguments it reads.
  int64_t argumentCount() const { return source.argumentCount(); }
  bool isPlain() const { return source.isPlain(); }
  int64_t scratchBytes() const {
    return isPlain() ? 0 : roundUp(inputColumns, vectorLanes) * 4;
  }

  /// What holds for all rows; where the loops begin.
  void prepare(KernelBuilder &k, Value newScratch) { kept = newScratch; }
  /// Takes up a row.
  void begin(KernelBuilder &k, mlir::ValueRange pointers, Value row);
  /// The 16 elements from column `i` on, the first time each is asked for;
  /// those from `lanes` on are 0.
  Value first(KernelBuilder &k, Value i, int64_t lanes);
  /// The same elements once more.
  Value again(KernelBuilder &k, Value i, int64_t lanes);

private:
  int64_t inputColumns;
  RowSource source;
  /// Where rows are kept.
  Value kept;
};

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_ROWINPUT_H
