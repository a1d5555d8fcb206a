//===- Passes.h - Conversions of the lowbit dialect -------------*- C++ -*-===//
#ifndef LOWBIT_CONVERSION_PASSES_H
#define LOWBIT_CONVERSION_PASSES_H

#include "lowbit/IR/Lowbit.h"
#include "lowbit/Runtime/Plan.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace lowbit {

#define GEN_PASS_DECL
#include "lowbit/Conversion/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "lowbit/Conversion/Passes.h.inc"

/// The plan of the runtime that a `lowbit.plan` describes. Weight tensors are
/// named `weights.<parameter>`.
Plan exportPlan(PlanOp plan);

/// Name of the container tensor that holds a parameter.
std::string getWeightTensorName(llvm::StringRef parameter);

} // namespace lowbit

#endif // LOWBIT_CONVERSION_PASSES_H
