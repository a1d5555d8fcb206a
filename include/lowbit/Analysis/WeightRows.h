//===- WeightRows.h - A chain of weight operations, row by row --*- C++ -*-===//
//
// The chain of a parameter in front of its quantization, evaluated for a few
// rows at a time from mapped bytes. Numbers between operations are f64, rounded
// once (Spec.md, section 3). What mixes rows (`dim = 0`) needs them all: it is
// computed at the first read and kept until `release`.
//
//   std::vector<WeightLeaf> leaves;
//   auto rows = makeWeightRows(value, bytes, leaves);
//   (*rows)->readDoubles(0, (*rows)->rows, numbers.data());
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_ANALYSIS_WEIGHTROWS_H
#define LOWBIT_ANALYSIS_WEIGHTROWS_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Numerics/Elements.h"
#include "lowbit/Numerics/RowTransform.h"
#include "lowbit/Reference/ParameterBytes.h"

#include <memory>
#include <string>
#include <vector>

namespace lowbit {

/// A tensor of the checkpoint and the rows of the chain's result that come from
/// it. Matrices of transforms are none.
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
  /// The same as f32: widened, or f64 rounded to nearest even.
  virtual void readFloats(int64_t first, int64_t count, float *out) const = 0;
  /// The same as f64, not rounded.
  virtual void readDoubles(int64_t first, int64_t count, double *out) const = 0;
  /// Bytes of memory that are held between the first read and `release`.
  virtual int64_t heldBytes() const { return 0; }
  /// Drops what is held; reads that follow compute it again.
  virtual void release() const {}

  const ElementType type;
  const int64_t rows, columns;
};

/// Compiles the chain that ends in `value` and appends its leaves. Exit 3 for a
/// matrix without an inverse, exit 4 for operations that rows cannot be read
/// through; errors of `bytes`. `bytes` must outlive the result.
Result<std::unique_ptr<WeightRows>>
makeWeightRows(mlir::Value value, ParameterBytes &bytes,
               std::vector<WeightLeaf> &leaves);

/// The transform of rows of `columns` columns, with its matrices read.
Result<std::unique_ptr<RowTransform>>
makeRowTransform(TransformInterface kind, mlir::ValueRange matrices,
                 int64_t columns, ParameterBytes &bytes);

/// All numbers of a weight, row-major.
Result<std::vector<double>> readWeight(mlir::Value weight,
                                       ParameterBytes &bytes);

} // namespace lowbit

#endif // LOWBIT_ANALYSIS_WEIGHTROWS_H
