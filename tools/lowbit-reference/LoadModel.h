//===- LoadModel.h - Anything that can be run, as a module ------*- C++ -*-===//
//
// A Hugging Face folder (imported), an artifact (the module text in its
// manifest), or a .mlir file with its weights beside it.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_TOOL_LOADMODEL_H
#define LOWBIT_REFERENCE_TOOL_LOADMODEL_H

#include "lowbit/Import/Import.h"
#include "lowbit/Reference/ParameterBytes.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// A module and what its parameters are made of.
struct LoadedModel {
  /// Set where the model is a folder; the module's sources are its shards.
  std::optional<ModelFolder> folder;
  /// Set where it is an artifact.
  std::unique_ptr<Safetensors> artifact;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<ParameterBytes> bytes;
  std::vector<std::string> notes;
};

/// How a model is loaded.
struct LoadOptions {
  ImportOptions import;
  /// Where weights of a .mlir file are sought before its own folder, if given.
  std::string weights;
};

/// Loads what `path` names: a folder, a file ending in .mlir, else an artifact.
Result<LoadedModel> loadModel(mlir::MLIRContext &context,
                              const std::string &path,
                              const LoadOptions &options);

/// The bytes of the model's tokenizer.json; exit 3 where it has none.
Result<std::string> tokenizerText(const LoadedModel &model);

/// An integer of the module's `lowbit.model`, if it is there.
std::optional<int64_t> modelFact(mlir::ModuleOp module, llvm::StringRef name);

} // namespace lowbit

#endif // LOWBIT_REFERENCE_TOOL_LOADMODEL_H
