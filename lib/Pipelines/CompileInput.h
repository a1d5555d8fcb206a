//===- CompileInput.h - What a compilation starts from ----------*- C++ -*-===//
#ifndef LOWBIT_LIB_PIPELINES_COMPILEINPUT_H
#define LOWBIT_LIB_PIPELINES_COMPILEINPUT_H

#include "lowbit/Checkpoint/ModelFolder.h"
#include "lowbit/Pipelines/Compile.h"
#include "lowbit/Runtime/Manifest.h"
#include "lowbit/Tokenizer/Tokenizer.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

namespace lowbit {

/// A module, its stage, and where the bytes of its parameters are.
struct CompileInput {
  /// The model as a graph, at a stage before planned.
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// The module that was read where that is at the stage planned or lowered;
  /// its graph, which travels with it, is `module` then.
  mlir::OwningOpRef<mlir::ModuleOp> planned;
  /// Of what was read.
  Stage stage = Stage::Imported;
  /// Of `module`: differs from `stage` only where that is planned or lowered.
  Stage graphStage = Stage::Imported;
  /// Most positions of a sequence that `planned` is for.
  int64_t context = 0;
  /// The model folder, for config.json and the tokenizer.
  std::string modelFolder;
  /// Folders to look for weights in, in order.
  std::vector<std::string> weightFolders;
  /// What a user should know, one line each.
  std::vector<std::string> notes;
};

/// Imports a model folder, or reads a module of an earlier run. Exit 3 for what
/// is neither, and the errors of the importer.
Result<CompileInput> loadInput(mlir::MLIRContext &context,
                               const CompileOptions &options);

/// The tokenizer in the bytes of a tokenizer.json. Exit 3 where it has more ids
/// than `model`, and the errors of Tokenizer::parse.
Result<Tokenizer> readTokenizer(const std::string &json,
                                const ManifestModel &model);

/// Names, sizes and digests of every file that decides the output. Keeps the
/// files mapped, so that `checkUnchanged` tells whether one changed meanwhile.
class InputFiles {
public:
  /// All files with weights that the module names, files of given codes, the
  /// profile and the text of a calibration; for an artifact, and where there is
  /// a profile or a text, also config.json and the tokenizer. Of a module whose
  /// weights are packed: what they were made from, as the module lists it.
  /// Exit 7 where config.json or the tokenizer is not of the module's model.
  static Result<InputFiles> read(const CompileInput &input,
                                 const CompileOptions &options);

  const std::vector<ManifestInput> &list() const { return inputs; }
  /// The list as the attribute of a materialized module, and back: `read` takes
  /// it up from there.
  mlir::ArrayAttr attribute(mlir::MLIRContext &context) const;
  /// SHA-256 over the lines `file digest` of config.json, the tokenizer and the
  /// weights: the model that a profile says it is of.
  std::string modelDigest() const;
  /// The tokenizer.json, whole, where it was read.
  std::string tokenizer() const;
  /// Exit 5 where a file is not what it was.
  Status checkUnchanged() const;

private:
  Status add(Result<MappedFile> file, const std::string &name);
  Status addModelFiles(const CompileInput &input,
                       const CompileOptions &options);
  Status addWeights(const CompileInput &input, const CompileOptions &options);
  Status addPacked(mlir::ModuleOp module, const CompileOptions &options);

  std::vector<MappedFile> files;
  std::vector<ManifestInput> inputs;
  size_t tokenizerIndex = 0;
  /// The first inputs are the model's.
  size_t modelFiles = 0;
};

} // namespace lowbit

#endif // LOWBIT_LIB_PIPELINES_COMPILEINPUT_H
