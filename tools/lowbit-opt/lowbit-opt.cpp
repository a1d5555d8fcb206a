//===- lowbit-opt.cpp - The optimizer driver --------------------*- C++ -*-===//
//
// mlir-opt for the lowbit dialect, with every stock flag. `--recipe` runs the
// pipeline that a recipe stands for; with `--dump-pass-pipeline` it shows it.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/Lowbit.h"
#include "lowbit/Pipelines/Recipe.h"
#include "lowbit/Pipelines/Stage.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace lowbit;

/// Prints the one line of an error; its exit code is the process's.
static int fail(const Error &error) {
  llvm::errs() << "lowbit-opt: error: " << error.message << "\n";
  return static_cast<int>(error.code);
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  mlir::DialectRegistry registry;
  registry
      .insert<LowbitDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect,
              mlir::math::MathDialect, mlir::scf::SCFDialect,
              mlir::vector::VectorDialect, mlir::LLVM::LLVMDialect>();
  mlir::registerTransformsPasses();
  registerCompilerPasses();

  llvm::cl::opt<std::string> recipeName(
      "recipe", llvm::cl::desc("Run the passes of a recipe (a name or a file)"),
      llvm::cl::value_desc("name or file"));
  auto [inputName, outputName] = mlir::registerAndParseCLIOptions(
      argc, argv, "lowbit optimizer driver\n", registry);
  mlir::MlirOptMainConfig config =
      mlir::MlirOptMainConfig::createFromCLOptions();
  std::string pipeline;
  if (!recipeName.empty()) {
    Result<Recipe> recipe = readRecipe(recipeName);
    if (!recipe)
      return fail(recipe.error());
    pipeline = makePipeline(*recipe, Stage::Imported, Stage::LaidOut,
                            /*gates=*/false);
    config.setPassPipelineSetupFn([&](mlir::PassManager &manager) {
      auto passes = mlir::parsePassPipeline(pipeline);
      if (failed(passes))
        return mlir::failure();
      static_cast<mlir::OpPassManager &>(manager) = std::move(*passes);
      return mlir::success();
    });
  }

  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> input =
      mlir::openInputFile(inputName, &message);
  if (!input)
    return fail({ExitCode::BadInput, message});
  std::unique_ptr<llvm::ToolOutputFile> output =
      mlir::openOutputFile(outputName, &message);
  if (!output)
    return fail({ExitCode::IO, message});
  if (failed(
          mlir::MlirOptMain(output->os(), std::move(input), registry, config)))
    return 1;
  output->keep();
  return 0;
}
