//===- lowbit-opt.cpp - The optimizer driver --------------------*- C++ -*-===//
//
// mlir-opt for the lowbit dialect, with every stock flag. `--recipe` runs the
// pipeline that a recipe stands for; with `--dump-pass-pipeline` it shows it.
// `--weights` and `--profile` say where passes find numbers; with
// `--verify-numerics` each pass must keep what it promises of them.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Analysis/ModelNumbers.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Pipelines/Recipe.h"
#include "lowbit/Pipelines/Stage.h"
#include "lowbit/Pipelines/VerifyNumerics.h"
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

  llvm::cl::list<std::string> weights(
      "weights", llvm::cl::CommaSeparated,
      llvm::cl::desc("Folders of the files that parameters name"),
      llvm::cl::value_desc("folder"));
  llvm::cl::opt<std::string> profile(
      "profile", llvm::cl::desc("Profile of a calibration, for passes"),
      llvm::cl::value_desc("file"));
  llvm::cl::opt<bool> verifyNumerics(
      "verify-numerics",
      llvm::cl::desc("After each pass compare the module in f64 with the one "
                     "before, on sample tokens"));
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

  std::vector<std::string> folders(weights.begin(), weights.end());
  if (folders.empty())
    folders.push_back(".");
  Result<NumbersSource> numbers = NumbersSource::open(folders, profile);
  if (!numbers)
    return fail(numbers.error());
  provideNumbers(registry, *numbers);
  NumericsVerifier verifier(numbers->bytes(), {});
  if (verifyNumerics) {
    mlir::MlirOptMainConfig passes = config;
    config.setPassPipelineSetupFn([&, passes](mlir::PassManager &manager) {
      if (failed(passes.setupPassPipeline(manager)))
        return mlir::failure();
      manager.addInstrumentation(verifier.makeInstrumentation());
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
  if (Status status = verifier.result())
    return fail(*status);
  if (verifyNumerics)
    llvm::errs() << "verify-numerics: " << verifier.compared()
                 << " passes keep what they promise, " << verifier.skipped()
                 << " could not be evaluated\n";
  output->keep();
  return 0;
}
