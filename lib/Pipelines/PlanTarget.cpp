//===- PlanTarget.cpp - Plan and code of one target -----------------------===//

#include "PlanTarget.h"
#include "lowbit/Checkpoint/Checked.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/Pipelines/Container.h"
#include "lowbit/Target/CodeGenerator.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

using namespace lowbit;

namespace {

/// The only plan of a module.
Result<PlanOp> findPlan(mlir::ModuleOp module) {
  auto plans = module.getOps<PlanOp>();
  if (std::distance(plans.begin(), plans.end()) != 1)
    return Error{ExitCode::Unsupported,
                 "the module must have one lowbit.plan, it has " +
                     std::to_string(std::distance(plans.begin(), plans.end()))};
  return *plans.begin();
}

} // namespace

Result<mlir::OwningOpRef<mlir::ModuleOp>>
lowbit::planTarget(mlir::ModuleOp module, const std::string &target,
                   int64_t context) {
  mlir::OwningOpRef<mlir::ModuleOp> planned = module.clone();
  std::string pipeline =
      "builtin.module(convert-lowbit-to-plan{target=" + target +
      " context=" + std::to_string(context) +
      "},lowbit-verify-stage{stage=planned})";
  if (Status status = runPipeline(*planned, pipeline))
    return *status;
  return planned;
}

Status lowbit::lowerTarget(mlir::ModuleOp module, const std::string &target) {
  return runPipeline(module, "builtin.module(" + getLoweringPasses(target) +
                                 ",lowbit-verify-stage{stage=lowered})");
}

Result<std::string> lowbit::getPlannedTarget(mlir::ModuleOp module) {
  Result<PlanOp> plan = findPlan(module);
  if (!plan)
    return plan.error();
  return plan->getSymName().str();
}

Result<Plan> lowbit::exportVerifiedPlan(mlir::ModuleOp module,
                                        int64_t vocabulary) {
  Result<PlanOp> planOp = findPlan(module);
  if (!planOp)
    return planOp.error();
  Plan plan = exportPlan(*planOp);
  PlanFacts facts;
  facts.file = "plan." + plan.target;
  facts.vocabulary = vocabulary;
  auto stored = getStoredParameters(module);
  if (!stored)
    return stored.error();
  for (const StoredParameter &parameter : *stored)
    facts.weights[getWeightTensorName(parameter.name)] = parameter.size.bytes;
  // A plan that does not verify is a defect of the compiler.
  if (Status status = verifyPlan(plan, facts))
    return Error{ExitCode::Internal, status->message};
  return plan;
}

mlir::OwningOpRef<mlir::ModuleOp>
lowbit::extractKernels(mlir::ModuleOp module) {
  mlir::OwningOpRef<mlir::ModuleOp> kernels =
      mlir::ModuleOp::create(module.getLoc());
  mlir::OpBuilder builder(module.getContext());
  builder.setInsertionPointToEnd(kernels->getBody());
  for (mlir::Operation &op : *module.getBody())
    if (llvm::isa<KernelOp, mlir::func::FuncOp>(op))
      builder.clone(op);
  return kernels;
}

Result<std::string> lowbit::generateKernels(mlir::ModuleOp kernels,
                                            const std::string &target,
                                            const CompileOptions &options) {
  CodeGeneratorOptions generator;
  generator.emit.target = target;
  generator.emit.jobs = options.jobs;
  generator.emit.ptxas = options.ptxas;
  if (!options.dump.empty())
    generator.emit.dumpDirectory = options.dump + "/kernels." + target;
  generator.program = options.program;
  return generateCode(kernels, generator);
}

Result<TargetOutput> lowbit::generateTarget(mlir::ModuleOp module,
                                            int64_t vocabulary,
                                            const CompileOptions &options) {
  Result<Plan> plan = exportVerifiedPlan(module, vocabulary);
  if (!plan)
    return plan.error();
  mlir::OwningOpRef<mlir::ModuleOp> kernels = extractKernels(module);
  Result<std::string> code = generateKernels(*kernels, plan->target, options);
  if (!code)
    return code.error();
  return TargetOutput{plan->target, writePlan(*plan), std::move(*code)};
}
