//===- ParameterOps.h - Evaluate the weight side ----------------*- C++ -*-===//
#ifndef LOWBIT_REFERENCE_PARAMETEROPS_H
#define LOWBIT_REFERENCE_PARAMETEROPS_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Reference/ParameterBytes.h"
#include "lowbit/Reference/Weight.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"

namespace lowbit::reference {

/// The parameters of a module, each decoded or computed once.
class Parameters {
public:
  Parameters(mlir::ModuleOp module, ParameterBytes &bytes)
      : symbols(module), bytes(bytes) {}

  /// Exit 3 where there is no such parameter or its bytes are wrong.
  Result<WeightPtr> get(llvm::StringRef name);

private:
  Result<Weight> read(ParameterOp parameter);
  Result<WeightPtr> compute(ParameterOp parameter);

  mlir::SymbolTable symbols;
  ParameterBytes &bytes;
  /// Null while a parameter is being computed.
  llvm::StringMap<WeightPtr> decoded;
};

/// Evaluates a weight operation (`lowbit.concat`, `lowbit.quantize`) on decoded
/// operands. `name` is for messages.
Result<WeightPtr> evaluateWeightOp(mlir::Operation *op,
                                   llvm::ArrayRef<WeightPtr> operands,
                                   llvm::StringRef name);

/// A dense constant of floats as a weight. Exit 4 for other constants.
Result<WeightPtr> weightOfConstant(mlir::Attribute value);

/// `lowbit.spread`: copies of columns moved apart, in f64.
Weight spread(SpreadOp op, const Weight &input);

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_PARAMETEROPS_H
