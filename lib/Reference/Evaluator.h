//===- Evaluator.h - Run a function of the module ---------------*- C++ -*-===//
#ifndef LOWBIT_REFERENCE_EVALUATOR_H
#define LOWBIT_REFERENCE_EVALUATOR_H

#include "Attention.h"
#include "ParameterOps.h"

#include "lowbit/Reference/Check.h"
#include "lowbit/Reference/Interpreter.h"
#include "llvm/ADT/DenseMap.h"

#include <variant>

namespace lowbit {

/// What stays between calls.
struct InterpreterState {
  InterpreterState(mlir::ModuleOp module, ParameterBytes &bytes,
                   const InterpreterOptions &options)
      : module(module), options(options), parameters(module, bytes) {}

  mlir::ModuleOp module;
  InterpreterOptions options;
  reference::Parameters parameters;
  /// One of the two is used, by mode.
  reference::KeyValueCache<float> cache;
  reference::KeyValueCache<double> exactCache;
  std::vector<std::string> failures;
  int64_t compared = 0;
};

namespace reference {

/// What an SSA value is: rows or indices, or a decoded weight.
using Slot = std::variant<HostTensor, WeightPtr>;

/// Compares a value with the expected one: no tolerance means equal bits.
/// Returns a line that says where they first differ, or nothing. Adds the
/// number of elements to `compared`.
std::optional<std::string> compareWith(const Slot &value,
                                       mlir::ElementsAttr expected,
                                       std::optional<double> tolerance,
                                       int64_t &compared);

/// Evaluates one function; T is float (Strict) or double (F64).
template <typename T> class Evaluator {
public:
  Evaluator(InterpreterState &state, mlir::func::FuncOp function)
      : state(state), function(function) {}

  Result<std::vector<HostTensor>> run(const std::vector<HostTensor> &arguments);

private:
  Status evaluate(mlir::Operation *op);
  Status evaluateConstant(mlir::Operation *op, mlir::Attribute value);
  Status evaluateWeight(mlir::Operation *op);
  Status evaluateEmbedding(EmbeddingOp op);
  Status evaluateRmsNorm(RmsNormOp op);
  Status evaluateLinear(LinearOp op);
  Status evaluateAttention(AttentionOp op);
  Status evaluateTransform(TransformOp op);
  Status evaluateSelectRows(SelectRowsOp op);
  Status evaluateCheck(mlir::Operation *op, mlir::Value value,
                       mlir::ElementsAttr expected,
                       std::optional<double> tolerance);
  void dropDeadOperands(mlir::Operation *op);

  RowsView<T> rows(mlir::Value value) const;
  llvm::ArrayRef<int32_t> indices(mlir::Value value) const;
  std::vector<RowPlace> places(mlir::Value value) const;
  /// A constant that is used as a weight becomes one.
  Result<WeightPtr> weight(mlir::Value value) const;
  /// Stores rows as the op's result.
  Status set(mlir::Operation *op, std::vector<T> values);
  KeyValueCache<T> &cache();

  InterpreterState &state;
  mlir::func::FuncOp function;
  llvm::DenseMap<mlir::Value, Slot> slots;
};

} // namespace reference
} // namespace lowbit

#endif // LOWBIT_REFERENCE_EVALUATOR_H
