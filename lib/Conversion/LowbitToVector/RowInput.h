//===- RowInput.h - A row as a quantizer sees it ----------------*- C++ -*-===//
//
// Prologue (Prologue.h) and transforms (RowTransforms.h) of one row, for
// families that look at its elements twice. What is computed is kept in scratch
// between the two passes; a plain row is read twice.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_ROWINPUT_H
#define LOWBIT_LIB_CONVERSION_ROWINPUT_H

#include "Prologue.h"
#include "RowTransforms.h"

namespace lowbit {

class RowInput {
public:
  /// Reads `prologue`, its parameters, `columns` (of the prologue) and the
  /// transforms.
  explicit RowInput(KernelParameters &parameters)
      : inputColumns(parameters.integer("columns", 1)),
        source(parameters.string("prologue"), inputColumns, parameters),
        transforms(parameters, inputColumns) {}

  /// Columns behind the transforms.
  int64_t columns() const { return transforms.resultColumns(); }
  /// How many of the kernel's first arguments it reads.
  int64_t argumentCount() const {
    return source.argumentCount() + transforms.argumentCount();
  }
  bool isPlain() const { return source.isPlain() && transforms.empty(); }
  int64_t scratchBytes() const {
    int64_t rows = !transforms.empty() ? 2 : source.isPlain() ? 0 : 1;
    return rows * transforms.rowElements() * 4;
  }

  /// What holds for all rows; where the loops begin.
  void prepare(KernelBuilder &k, Value newScratch) {
    scratch = newScratch;
    transforms.prepare(k);
  }
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
  RowTransforms transforms;
  /// Where rows are kept; where this one is.
  Value scratch, kept;
};

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_ROWINPUT_H
