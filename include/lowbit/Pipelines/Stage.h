//===- Stage.h - The stages of a compilation and their passes ---*- C++ -*-===//
//
// A module is at one of the stages of design §2; each is reached from the one
// before by passes, and left through a gate that checks what it promises.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_STAGE_H
#define LOWBIT_PIPELINES_STAGE_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Pipelines/Recipe.h"
#include "lowbit/Target/EmitObject.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>

namespace lowbit {

class NumericsVerifier;

/// In order; `--emit=STAGE` and the module attribute `lowbit.stage` name them.
enum class Stage : uint8_t {
  Imported,
  Transformed,
  Quantized,
  LaidOut,
  Materialized,
  Planned,
  Lowered,
  Artifact,
};

/// `laid-out`, and back.
llvm::StringRef stageName(Stage stage);
std::optional<Stage> parseStage(llvm::StringRef name);
/// All names, for messages.
std::string listStages();

/// Module attributes that the driver leaves on a module that it writes.
constexpr llvm::StringLiteral stageAttr = "lowbit.stage";
constexpr llvm::StringLiteral recipeAttr = "lowbit.recipe";
constexpr llvm::StringLiteral pipelineAttr = "lowbit.pipeline";

/// On a planned or lowered module: the text of the module before its graph was
/// turned into kernels, which the artifact holds for the reference engine, and
/// the most positions of a sequence that it was planned for.
constexpr llvm::StringLiteral graphAttr = "lowbit.graph";
constexpr llvm::StringLiteral contextAttr = "lowbit.context";

/// On a module of kernels: the only variant that is wanted (Spec.md, section
/// 5.1, by name); all of the target's where it is absent.
constexpr llvm::StringLiteral variantAttr = "lowbit.variant";

/// The pass pipeline, `builtin.module(…)`, that leads a module from stage
/// `from` to stage `to`, at most LaidOut: the passes of `recipe` and the fixed
/// ones. With `gates`, each stage ends in `lowbit-verify-stage`.
std::string makePipeline(const Recipe &recipe, Stage from, Stage to,
                         bool gates);

/// Runs a textual pipeline. Errors carry the first diagnostic: exit 2 where the
/// pipeline or an option of it is not understood, else exit 4.
/// `verifier` (may be null) checks what each pass does to numbers.
Status runPipeline(mlir::ModuleOp module, llvm::StringRef pipeline,
                   NumericsVerifier *verifier = nullptr);

/// The passes that turn kernels of a planned module into functions of `target`;
/// of one variant where `variant` names it.
std::string getLoweringPasses(const std::string &target,
                              const std::string &variant = "");

/// Turns the kernels of a module into functions, in the process that generates
/// code; a module that has none is left alone. False, with a message on stderr,
/// where that fails. (A LowerKernels of Target/CodeGenerator.h.)
bool lowerKernelsOf(mlir::ModuleOp module, const EmitOptions &options);

/// Makes the passes that pipelines name known. Call once, in main.
void registerCompilerPasses();

} // namespace lowbit

#endif // LOWBIT_PIPELINES_STAGE_H
