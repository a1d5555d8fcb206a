//===- PlanTarget.h - Plan and code of one target ---------------*- C++ -*-===//
#ifndef LOWBIT_LIB_PIPELINES_PLANTARGET_H
#define LOWBIT_LIB_PIPELINES_PLANTARGET_H

#include "lowbit/Pipelines/Compile.h"
#include "lowbit/Runtime/Plan.h"
#include "lowbit/Transforms/Materialize.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace lowbit {

/// What an artifact holds for one target.
struct TargetOutput {
  std::string target;
  /// Canonical JSON of the plan, verified.
  std::string plan;
  /// The linked code object.
  std::string code;
};

/// A copy of a laid-out or materialized module with its graph turned into
/// kernels and the plan of `target`. Exit 4 where the target cannot serve it.
Result<mlir::OwningOpRef<mlir::ModuleOp>>
planTarget(mlir::ModuleOp module, const std::string &target, int64_t context);

/// Turns kernels of a planned module into functions, in place.
Status lowerTarget(mlir::ModuleOp module, const std::string &target);

/// The plan of a planned (or lowered) module, verified. `vocabulary` as in
/// PlanFacts.
Result<Plan> exportVerifiedPlan(mlir::ModuleOp module, int64_t vocabulary);

/// Kernels of a module, or the functions made of them, without anything else:
/// all that code is generated from. Equal texts give equal code.
mlir::OwningOpRef<mlir::ModuleOp> extractKernels(mlir::ModuleOp module);

/// The linked code object of such a module, generated in a child process.
Result<std::string> generateKernels(mlir::ModuleOp kernels,
                                    const std::string &target,
                                    const CompileOptions &options);

/// Exports and verifies the plan of a planned (or lowered) module and generates
/// its code in a child process.
Result<TargetOutput> generateTarget(mlir::ModuleOp module, int64_t vocabulary,
                                    const CompileOptions &options);

/// The name of the target that a planned module is for.
Result<std::string> getPlannedTarget(mlir::ModuleOp module);

} // namespace lowbit

#endif // LOWBIT_LIB_PIPELINES_PLANTARGET_H
