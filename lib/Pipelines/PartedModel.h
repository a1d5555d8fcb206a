//===- PartedModel.h - A module as parts that run ---------------*- C++ -*-===//
//
// Cuts a module with observers (stage transformed or quantized) into parts and
// makes plan and code of each. Parts with the same kernels share their code.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_PIPELINES_PARTEDMODEL_H
#define LOWBIT_LIB_PIPELINES_PARTEDMODEL_H

#include "lowbit/Pipelines/Compile.h"
#include "lowbit/Pipelines/ObservedModel.h"
#include "lowbit/Transforms/Materialize.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringMap.h"

namespace lowbit {

/// How the parts will run.
struct PartOptions {
  /// The machine that runs them, `x86_64` or `aarch64`.
  std::string target;
  RowLimits limits;
  /// Threads, the program that generates code.
  CompileOptions compile;
};

/// See the head of this file.
class PartedModel {
public:
  /// Takes a module with observers; `bytes`, which must outlive it, are those
  /// of its parameters. Exit 4 where nothing is observed.
  static Result<PartedModel> create(mlir::OwningOpRef<mlir::ModuleOp> module,
                                    ParameterBytes &bytes, PartOptions options);

  int64_t parts() const { return static_cast<int64_t>(seen.size()); }
  const std::vector<Observation> &observations(int64_t part) const {
    return seen[part];
  }
  /// Bytes of the weights of the part that has most.
  int64_t largestWeights() const { return mostWeights; }
  /// As ObservedModel::build.
  Result<ObservedPart> build(int64_t part);

private:
  Status findObservations();
  Result<mlir::OwningOpRef<mlir::ModuleOp>> extract(int64_t part);
  Status makePlan(mlir::ModuleOp module) const;
  Result<const std::string *> generate(mlir::ModuleOp module);

  mlir::OwningOpRef<mlir::ModuleOp> module;
  ParameterBytes *bytes = nullptr;
  PartOptions options;
  std::vector<std::vector<Observation>> seen;
  int64_t mostWeights = 0;
  /// Code objects by the text of their kernels; addresses stay.
  llvm::StringMap<std::unique_ptr<std::string>> code;
};

} // namespace lowbit

#endif // LOWBIT_LIB_PIPELINES_PARTEDMODEL_H
