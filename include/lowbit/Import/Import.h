//===- Import.h - From a model folder to the first module -------*- C++ -*-===//
//
// Builds the module of Spec.md, section 4: a `lowbit.parameter` for each tensor
// that is used, by reference, and `@forward`. A tied head and the embedding are
// one parameter. What a block is made of is a table (Architectures.h), not code
// for each family.
//
//   auto folder = ModelFolder::open("models/books-7m");
//   auto config = readModelConfig(folder->config());
//   auto tensors = checkTensors(*config, *folder);
//   auto module = importModel(context, *folder, *config, *tensors, {}, notes);
//
// The module carries the facts that later stages copy to the manifest:
//
//   lowbit.model = {hidden = 256, layers = 8, heads = 4, kv_heads = 2,
//                   head_dim = 64, vocabulary = 4096, context = 1024, bos = 0,
//                   eos = [1]}                                 (all i64)
//
// `bos` is there only where the model has one.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_IMPORT_IMPORT_H
#define LOWBIT_IMPORT_IMPORT_H

#include "lowbit/Checkpoint/ModelTensors.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace lowbit {

/// The module attribute with the model's facts.
constexpr llvm::StringLiteral modelAttr = "lowbit.model";

/// Its value for a model.
mlir::DictionaryAttr makeModelFacts(mlir::MLIRContext &context,
                                    const ModelConfig &config);

/// Element type of the KV cache.
enum class CacheType { F16, I8 };

struct ImportOptions {
  CacheType cache = CacheType::F16;
};

/// Builds the module. Loads the dialects it needs into `context`. Appends what
/// a user should know to `notes`: those of folder, configuration and tensors,
/// and its own. Exit 4 for an architecture that the graph's table lacks; exit 3
/// where sizes overflow or rotary frequencies are not finite.
Result<mlir::OwningOpRef<mlir::ModuleOp>>
importModel(mlir::MLIRContext &context, const ModelFolder &folder,
            const ModelConfig &config, const ModelTensors &tensors,
            const ImportOptions &options, std::vector<std::string> &notes);

} // namespace lowbit

#endif // LOWBIT_IMPORT_IMPORT_H
