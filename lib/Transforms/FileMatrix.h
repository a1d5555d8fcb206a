//===- FileMatrix.h - Learned matrices by reference -------------*- C++ -*-===//
#ifndef LOWBIT_LIB_TRANSFORMS_FILEMATRIX_H
#define LOWBIT_LIB_TRANSFORMS_FILEMATRIX_H

#include "lowbit/Analysis/ModelNumbers.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lowbit {

/// Makes transforms of the tensors of a safetensors file: parameters that name
/// it, so that no numbers are in the IR.
class MatrixFile {
public:
  /// `function`'s weight operations are hoisted; parameters go in front of it.
  MatrixFile(mlir::func::FuncOp function, const ModelNumbers &numbers,
             std::string path)
      : function(function), numbers(numbers), path(std::move(path)) {}

  /// A use of the tensor, or null where the file has none of that name.
  Result<mlir::Value> use(const std::string &name);

  /// The orthogonal matrix next to a tensor `size` × `size`; empty where there
  /// is none of the names. Exit 3 where one is not nearly orthogonal.
  Result<Transform> rotation(const std::vector<std::string> &names,
                             int64_t size);

  /// The transform `name` of `columns` columns: `name.P` (dense), `name.P1` and
  /// `name.P2` (Kronecker), or `name.scale` (diagonal); empty where there is
  /// none of them. `condition` is ‖T‖₁‖T⁻¹‖₁ of one block; exit 3 where it is
  /// above `limit` or the sizes do not fit.
  Result<Transform> transform(const std::string &name, int64_t columns,
                              double limit, double &condition);

private:
  Result<double> conditionOf(mlir::Value matrix, const std::string &name);

  mlir::func::FuncOp function;
  const ModelNumbers &numbers;
  std::string path;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_FILEMATRIX_H
