//===- ObservedModel.cpp - A model in parts, for calibration --------------===//

#include "lowbit/Pipelines/ObservedModel.h"
#include "CompileInput.h"
#include "PartedModel.h"
#include "WriteArtifact.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Pipelines/Progress.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/FileSystem.h"

using namespace lowbit;

namespace {

mlir::DialectRegistry makeRegistry() {
  mlir::DialectRegistry registry;
  registry.insert<LowbitDialect, mlir::func::FuncDialect>();
  return registry;
}

} // namespace

struct ObservedModel::Contents {
  explicit Contents(const ObservedOptions &options)
      : options(options),
        context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED) {}

  Status open(Progress &progress);
  Status splitModel(const CompileOptions &compileOptions,
                    mlir::OwningOpRef<mlir::ModuleOp> module);

  const ObservedOptions options;
  mlir::MLIRContext context;
  std::optional<InputFiles> files;
  std::optional<FolderBytes> bytes;
  ManifestModel facts;
  RowLimits limits;
  std::string fingerprint;
  std::optional<PartedModel> parts;
};

Status ObservedModel::Contents::open(Progress &progress) {
  if (!llvm::sys::fs::is_directory(options.modelFolder))
    return badInput(options.modelFolder, "", "is no model folder");
  CompileOptions compileOptions;
  compileOptions.input = options.modelFolder;
  compileOptions.context = options.context;
  compileOptions.jobs = options.jobs;
  compileOptions.allowUnused = options.allowUnused;
  compileOptions.program = options.program;
  Result<CompileInput> input = loadInput(context, compileOptions);
  if (!input)
    return input.error();
  for (const std::string &note : input->notes)
    progress.note(note);
  Result<ManifestModel> model = readModelFacts(*input->module, compileOptions);
  if (!model)
    return model.error();
  facts = std::move(*model);
  Result<RowLimits> chosen =
      chooseRowLimits(facts.context, options.context, options.modelFolder);
  if (!chosen)
    return chosen.error();
  limits = *chosen;

  progress.begin("hashing inputs", 0);
  Result<InputFiles> read = InputFiles::read(*input, compileOptions);
  progress.end();
  if (!read)
    return read.error();
  files.emplace(std::move(*read));
  fingerprint = files->modelDigest();
  bytes.emplace(input->weightFolders);
  return splitModel(compileOptions, std::move(input->module));
}

/// Inserts the observers and cuts the model.
Status
ObservedModel::Contents::splitModel(const CompileOptions &compileOptions,
                                    mlir::OwningOpRef<mlir::ModuleOp> module) {
  if (Status status = runPipeline(
          *module, "builtin.module(lowbit-insert-observers{moments=" +
                       options.moments + "})"))
    return status;
  auto made = PartedModel::create(std::move(module), *bytes,
                                  {options.target, limits, compileOptions});
  if (!made)
    return made.error();
  parts.emplace(std::move(*made));
  return std::nullopt;
}

ObservedModel::ObservedModel(std::unique_ptr<Contents> contents)
    : contents(std::move(contents)) {}
ObservedModel::~ObservedModel() = default;

Result<std::unique_ptr<ObservedModel>>
ObservedModel::open(const ObservedOptions &options, Progress &progress) {
  auto contents = std::make_unique<Contents>(options);
  if (Status status = contents->open(progress))
    return *status;
  return std::unique_ptr<ObservedModel>(new ObservedModel(std::move(contents)));
}

const ManifestModel &ObservedModel::facts() const { return contents->facts; }
const RowLimits &ObservedModel::limits() const { return contents->limits; }
std::string ObservedModel::tokenizer() const {
  return contents->files->tokenizer();
}
const std::string &ObservedModel::fingerprint() const {
  return contents->fingerprint;
}
Status ObservedModel::checkUnchanged() const {
  return contents->files->checkUnchanged();
}
int64_t ObservedModel::parts() const { return contents->parts->parts(); }
const std::vector<Observation> &
ObservedModel::observations(int64_t part) const {
  return contents->parts->observations(part);
}
Result<ObservedPart> ObservedModel::build(int64_t index) {
  return contents->parts->build(index);
}
