//===- LoadModel.cpp - Anything that can be run, as a module ----*- C++ -*-===//

#include "LoadModel.h"

#include "lowbit/Checkpoint/JsonField.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Tokenizer/Tokenizer.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace lowbit;

/// Largest module text, manifest and tokenizer, in bytes.
static constexpr uint64_t maxTextBytes = uint64_t(1) << 28;

/// Parses and verifies a module; exit 3 with the first diagnostics.
static Result<OwningOpRef<ModuleOp>> parseModule(MLIRContext &context,
                                                 std::string_view text,
                                                 const std::string &name) {
  std::string diagnostics;
  llvm::raw_string_ostream out(diagnostics);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy({text.data(), text.size()}, name),
      llvm::SMLoc());
  SourceMgrDiagnosticHandler handler(sources, &context, out);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return badInput(name, "", "is not a valid module\n" + out.str());
  return module;
}

static Status loadFolder(MLIRContext &context, const std::string &path,
                         const ImportOptions &options, LoadedModel &model) {
  Result<ModelFolder> folder = ModelFolder::open(path);
  if (!folder)
    return folder.error();
  Result<ModelConfig> config =
      readModelConfig(folder->config(), folder->pathOf("config.json"));
  if (!config)
    return config.error();
  Result<ModelTensors> tensors = checkTensors(*config, *folder);
  if (!tensors)
    return tensors.error();
  Result<OwningOpRef<ModuleOp>> module =
      importModel(context, *folder, *config, *tensors, options, model.notes);
  if (!module)
    return module.error();
  model.folder = std::move(*folder);
  model.module = std::move(*module);
  model.bytes = std::make_unique<FolderBytes>(std::vector<std::string>{path});
  return std::nullopt;
}

static Status loadText(MLIRContext &context, const std::string &path,
                       const LoadOptions &options, LoadedModel &model) {
  Result<std::string> text = readFile(path, maxTextBytes);
  if (!text)
    return text.error();
  Result<OwningOpRef<ModuleOp>> module = parseModule(context, *text, path);
  if (!module)
    return module.error();
  model.module = std::move(*module);
  std::vector<std::string> folders;
  if (!options.weights.empty())
    folders.push_back(options.weights);
  std::string parent = llvm::sys::path::parent_path(path).str();
  folders.push_back(parent.empty() ? "." : parent);
  model.bytes = std::make_unique<FolderBytes>(std::move(folders));
  return std::nullopt;
}

/// The text of a tensor; exit 3 where there is none.
static Result<std::string_view> textOf(const Safetensors &artifact,
                                       std::string_view name) {
  const TensorEntry *entry = artifact.find(name);
  if (!entry)
    return badInput(artifact.file().name(), name,
                    "is not in the file, which is no artifact");
  if (entry->byteSize() > maxTextBytes)
    return badInput(artifact.file().name(), name,
                    "has " + std::to_string(entry->byteSize()) +
                        " bytes, must have at most " +
                        std::to_string(maxTextBytes));
  return artifact.bytes(*entry).text();
}

static Status loadArtifact(MLIRContext &context, const std::string &path,
                           LoadedModel &model) {
  Result<Safetensors> opened = Safetensors::open(path);
  if (!opened)
    return opened.error();
  model.artifact = std::make_unique<Safetensors>(std::move(*opened));
  Result<std::string_view> text = textOf(*model.artifact, "manifest");
  if (!text)
    return text.error();
  std::string name = path + ": manifest";
  Result<JsonValue> manifest = parseJson(*text, name, JsonLimits{maxTextBytes});
  if (!manifest)
    return manifest.error();
  Result<std::string_view> moduleText =
      JsonField(*manifest, name).get("module").string();
  if (!moduleText)
    return moduleText.error();
  Result<OwningOpRef<ModuleOp>> module =
      parseModule(context, *moduleText, name + ": module");
  if (!module)
    return module.error();
  model.module = std::move(*module);
  model.bytes = std::make_unique<ArtifactBytes>(*model.artifact);
  return std::nullopt;
}

Result<LoadedModel> lowbit::loadModel(MLIRContext &context,
                                      const std::string &path,
                                      const LoadOptions &options) {
  LoadedModel model;
  Status failed = llvm::sys::fs::is_directory(path)
                      ? loadFolder(context, path, options.import, model)
                  : llvm::StringRef(path).ends_with(".mlir")
                      ? loadText(context, path, options, model)
                      : loadArtifact(context, path, model);
  if (failed)
    return *failed;
  return std::move(model);
}

Result<std::string> lowbit::tokenizerText(const LoadedModel &model) {
  if (model.folder) {
    if (!model.folder->hasFile("tokenizer.json"))
      return missingTokenizer(model.folder->path(), {});
    return model.folder->readFile("tokenizer.json", maxTextBytes);
  }
  if (!model.artifact)
    return badInput("model", "tokenizer",
                    "a .mlir file has none; give token ids");
  Result<std::string_view> text = textOf(*model.artifact, "tokenizer");
  if (!text)
    return text.error();
  return std::string(*text);
}

std::optional<int64_t> lowbit::modelFact(ModuleOp module,
                                         llvm::StringRef name) {
  auto facts = module->getAttrOfType<DictionaryAttr>("lowbit.model");
  auto value = facts ? facts.getAs<IntegerAttr>(name) : IntegerAttr();
  return value ? std::optional<int64_t>(value.getInt()) : std::nullopt;
}
