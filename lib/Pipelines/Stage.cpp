//===- Stage.cpp - The stages of a compilation and their passes -----------===//

#include "lowbit/Pipelines/Stage.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Pipelines/VerifyNumerics.h"
#include "lowbit/Target/TargetInfo.h"
#include "lowbit/Transforms/Passes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <iterator>

using namespace lowbit;
using llvm::StringRef;

namespace {

constexpr llvm::StringLiteral stageNames[] = {
    "imported",     "transformed", "quantized", "laid-out",
    "materialized", "planned",     "lowered",   "artifact"};

constexpr llvm::StringLiteral layOutPasses =
    "func.func(lowbit-fuse-linears),lowbit-outline-parameters,"
    "lowbit-assign-layouts";

/// An error is one line, whatever MLIR says.
std::string oneLine(StringRef text) {
  llvm::SmallVector<StringRef> lines;
  text.split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  return llvm::join(lines, "; ");
}

} // namespace

StringRef lowbit::stageName(Stage stage) {
  return stageNames[static_cast<size_t>(stage)];
}

std::optional<Stage> lowbit::parseStage(StringRef name) {
  const auto *found = llvm::find(stageNames, name);
  if (found == std::end(stageNames))
    return std::nullopt;
  return static_cast<Stage>(std::distance(std::begin(stageNames), found));
}

std::string lowbit::listStages() {
  return llvm::join(llvm::ArrayRef(stageNames), ", ");
}

std::string lowbit::makePipeline(const Recipe &recipe, Stage from, Stage to,
                                 bool gates) {
  llvm::SmallVector<std::string> passes;
  auto addStage = [&](Stage stage, StringRef stagePasses) {
    if (stage <= from || stage > to)
      return;
    if (!stagePasses.empty())
      passes.push_back(stagePasses.str());
    if (gates)
      passes.push_back(
          ("lowbit-verify-stage{stage=" + stageName(stage) + "}").str());
  };
  addStage(Stage::Transformed, recipe.transform);
  addStage(Stage::Quantized, recipe.quantize);
  addStage(Stage::LaidOut, layOutPasses);
  return "builtin.module(" + llvm::join(passes, ",") + ")";
}

Status lowbit::runPipeline(mlir::ModuleOp module, StringRef pipeline,
                           NumericsVerifier *verifier) {
  std::string problem;
  llvm::raw_string_ostream problemStream(problem);
  mlir::PassManager manager(module.getContext());
  std::string parseErrors;
  llvm::raw_string_ostream parseStream(parseErrors);
  mlir::FailureOr<mlir::OpPassManager> parsed =
      mlir::parsePassPipeline(pipeline, parseStream);
  if (mlir::failed(parsed))
    return Error{ExitCode::Usage, oneLine(parseErrors)};
  static_cast<mlir::OpPassManager &>(manager) = std::move(*parsed);
  if (verifier)
    manager.addInstrumentation(verifier->makeInstrumentation());

  mlir::ScopedDiagnosticHandler handler(
      module.getContext(), [&](mlir::Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error &&
            problem.empty())
          problemStream << diagnostic.str();
        return mlir::success();
      });
  if (mlir::failed(manager.run(module)))
    return Error{ExitCode::Unsupported,
                 problem.empty() ? "pass pipeline failed: " + pipeline.str()
                                 : oneLine(problem)};
  return verifier ? verifier->result() : std::nullopt;
}

std::string lowbit::getLoweringPasses(const std::string &target,
                                      const std::string &variant) {
  llvm::ArrayRef<TargetInfo> variants = getVariants(target);
  if (variants.empty() || !variants.front().isGpu())
    return "convert-lowbit-to-vector{target=" + target +
           (variant.empty() ? "" : " variant=" + variant) + "}";
  assert(variant.empty() && "a GPU target has one variant");
  return "convert-lowbit-to-tiles{target=" + target + "}" +
         (variants.front().isEmulated() ? ",convert-tiles-to-host" : "");
}

bool lowbit::lowerKernelsOf(mlir::ModuleOp module, const EmitOptions &options) {
  if (module.getOps<KernelOp>().empty())
    return true; // A module of the stage lowered.
  std::string variant;
  if (auto only = module->getAttrOfType<mlir::StringAttr>(variantAttr))
    variant = only.str();
  Status status =
      runPipeline(module, "builtin.module(" +
                              getLoweringPasses(options.target, variant) + ")");
  if (status)
    llvm::errs() << status->message << "\n";
  return !status;
}

void lowbit::registerCompilerPasses() {
  registerLowbitTransformsPasses();
  registerLowbitConversionPasses();
}
