//===- Interpreter.h - What a module means ----------------------*- C++ -*-===//
//
// Evaluates the functions of a module element by element, as docs/Spec.md says:
// the oracle that every transform, kernel and artifact is compared with. It
// takes modules of the stages imported to materialized, and shares no packing,
// decoding or solver code with the room Numerics.
//
//   FolderBytes bytes({"models/books-7m"});
//   Interpreter interpreter(module, bytes, {ReferenceMode::Strict});
//   auto logits = interpreter.forward({ids, rows, select});
//
// Keys and values stay in the interpreter between calls, so that a prompt and
// then one token at a time give the same logits as all tokens at once.
//
// It cannot evaluate `lowbit.quantize` with another solver than `nearest` (the
// packed bytes must exist), nor plans.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_INTERPRETER_H
#define LOWBIT_REFERENCE_INTERPRETER_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Reference/HostTensor.h"
#include "lowbit/Reference/ParameterBytes.h"
#include "lowbit/Reference/Weight.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lowbit {

/// How numbers are computed.
enum class ReferenceMode {
  /// Spec.md, section 3: exact integers, f32 steps in their order. Kernels
  /// equal it to the bit.
  Strict,
  /// The same operations in double, weights decoded exactly; activations and
  /// the KV cache are not rounded. For comparing modules to 1e-9.
  F64,
};

struct InterpreterOptions {
  ReferenceMode mode = ReferenceMode::Strict;
  /// Keep keys and values as they are in Strict mode too: what is left is f32
  /// arithmetic, which parity with other implementations is measured on.
  bool exactCache = false;
  /// Threads that share the rows of an operation; no result depends on it.
  unsigned threads = 1;
  /// Called after each operation of the graph (not of weights) with the rows
  /// that it made; may be empty.
  std::function<void(mlir::Operation *, const HostTensor &)> trace = {};
};

/// The arguments of `@forward`. Row r is token `ids[r]` at `positions[r]` of
/// sequence `sequences[r]`; `select` lists the rows whose logits are wanted.
struct Batch {
  std::vector<int32_t> ids;
  std::vector<int32_t> sequences;
  std::vector<int32_t> positions;
  std::vector<int32_t> select;
};

struct InterpreterState;

/// Evaluates one module. Module and bytes must outlive it; decoded parameters
/// and the KV cache live in it. Not for use by two threads at once.
class Interpreter {
public:
  Interpreter(mlir::ModuleOp module, ParameterBytes &bytes,
              const InterpreterOptions &options = {});
  ~Interpreter();
  Interpreter(const Interpreter &) = delete;
  Interpreter &operator=(const Interpreter &) = delete;

  /// Logits `[select][vocabulary]` of `@forward`: float in Strict mode, double
  /// in F64 mode. Exit 3 for ids, positions or rows out of range, a position
  /// before which the sequence has gaps, or a module without `@forward`; exit 4
  /// for operations that cannot be evaluated.
  Result<HostTensor> forward(const Batch &batch);

  /// Evaluates any function of the module.
  Result<std::vector<HostTensor>>
  call(mlir::func::FuncOp function, const std::vector<HostTensor> &arguments);

  /// The decoded parameter of that name; evaluates its `init` where it has one.
  Result<WeightPtr> parameter(llvm::StringRef name);

  /// Drops all keys and values, as if no token had been seen.
  void clearCache();

  /// What `check` operations found since the last call: a line for each
  /// expectation that failed, and how many elements were compared.
  std::vector<std::string> takeFailures();
  int64_t takeCompared();

private:
  std::unique_ptr<InterpreterState> state;
};

} // namespace lowbit

#endif // LOWBIT_REFERENCE_INTERPRETER_H
