//===- WeightRows.h - A chain of weight operations, row by row --*- C++ -*-===//
//
// The chain of a parameter in front of its quantization, evaluated for a few
// rows at a time from mapped bytes.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_WEIGHTROWS_H
#define LOWBIT_LIB_TRANSFORMS_WEIGHTROWS_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Numerics/Elements.h"
#include "lowbit/Reference/ParameterBytes.h"

#include <memory>
#include <string>
#include <vector>

namespace lowbit {

/// A tensor of the checkpoint and the rows of the chain's result that come from
/// it.
struct WeightLeaf {
  /// File and tensor as the source names them.
  std::string file, tensor;
  int64_t firstRow = 0, rows = 0;
};

/// Rows that can be read by any thread. A vector of N has N rows of 1 column.
class WeightRows {
public:
  WeightRows(ElementType type, int64_t rows, int64_t columns)
      : type(type), rows(rows), columns(columns) {}
  virtual ~WeightRows();

  /// Rows first … first + count − 1, row-major, as elements of `type`.
  virtual void readElements(int64_t first, int64_t count, void *out) const = 0;
  /// The same, widened to f32.
  virtual void readFloats(int64_t first, int64_t count, float *out) const = 0;

  const ElementType type;
  const int64_t rows, columns;
};

/// Compiles the chain that ends in `value` and appends its leaves. Exit 4 for
/// operations that rows cannot be read through; errors of `bytes`.
Result<std::unique_ptr<WeightRows>>
makeWeightRows(mlir::Value value, ParameterBytes &bytes,
               std::vector<WeightLeaf> &leaves);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_WEIGHTROWS_H
