//===- ObservedModel.cpp - A model in parts, for calibration --------------===//

#include "lowbit/Pipelines/ObservedModel.h"
#include "CompileInput.h"
#include "PlanTarget.h"
#include "WriteArtifact.h"
#include "lowbit/Checkpoint/Hash.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/Pipelines/Progress.h"
#include "lowbit/Transforms/ExtractPart.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

using namespace lowbit;

namespace {

mlir::DialectRegistry makeRegistry() {
  mlir::DialectRegistry registry;
  registry.insert<LowbitDialect, mlir::func::FuncDialect>();
  return registry;
}

mlir::func::FuncOp getForward(mlir::ModuleOp module) {
  return module.lookupSymbol<mlir::func::FuncOp>("forward");
}

int64_t columnsOf(mlir::Type rows) {
  return llvm::cast<mlir::RankedTensorType>(rows).getDimSize(1);
}

Observation describe(ObserveOp op) {
  Observation result;
  auto names = op.getNames().getAsValueRange<mlir::StringAttr>();
  for (llvm::StringRef name : names) {
    if (result.name.empty())
      result.name = name.str();
    else
      result.otherNames.push_back(name.str());
  }
  result.columns = columnsOf(op.getInput().getType());
  result.moments = op.getMoments() == "full"       ? Moments::Full
                   : op.getMoments() == "diagonal" ? Moments::Diagonal
                                                   : Moments::None;
  return result;
}

/// Puts weights where the caller of fillWeights says.
class PlaceSink : public WeightSink {
public:
  explicit PlaceSink(const std::function<uint8_t *(size_t)> &place)
      : place(place) {}
  uint8_t *bytes(size_t index) override { return place(index); }
  Status finished(size_t, LedgerEntry) override { return std::nullopt; }
  void progressed(int64_t) override {}

private:
  const std::function<uint8_t *(size_t)> &place;
};

} // namespace

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

struct ObservedPart::Contents {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Plan plan;
  const std::string *code = nullptr;
  std::vector<Observation> observations;
  int64_t taken = 0, given = 0, linearWeights = 0;
  std::vector<PartWeight> weights;
  std::optional<Materializer> materializer;
};

ObservedPart::ObservedPart(std::unique_ptr<Contents> contents)
    : contents(std::move(contents)) {}
ObservedPart::ObservedPart(ObservedPart &&) = default;
ObservedPart::~ObservedPart() = default;

const Plan &ObservedPart::plan() const { return contents->plan; }
const std::string &ObservedPart::code() const { return *contents->code; }
const std::vector<Observation> &ObservedPart::observations() const {
  return contents->observations;
}
int64_t ObservedPart::takenColumns() const { return contents->taken; }
int64_t ObservedPart::givenColumns() const { return contents->given; }
int64_t ObservedPart::linearWeights() const { return contents->linearWeights; }
const std::vector<PartWeight> &ObservedPart::weights() const {
  return contents->weights;
}

Status ObservedPart::fillWeights(
    const std::function<uint8_t *(size_t weight)> &place) {
  PlaceSink sink(place);
  return contents->materializer->run(sink);
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

struct ObservedModel::Contents {
  explicit Contents(const ObservedOptions &options)
      : options(options),
        context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED) {}

  Status open(Progress &progress);
  Status splitModel();
  Result<mlir::OwningOpRef<mlir::ModuleOp>> extract(int64_t part);
  Status makePlan(mlir::ModuleOp module) const;
  Result<const std::string *> generate(mlir::ModuleOp module);

  const ObservedOptions options;
  CompileOptions compileOptions;
  mlir::MLIRContext context;
  CompileInput input;
  std::optional<InputFiles> files;
  std::optional<FolderBytes> bytes;
  ManifestModel facts;
  int64_t sequences = 1;
  std::string fingerprint;
  std::vector<std::vector<Observation>> observations;
  /// Code objects by the text of their kernels; addresses stay.
  llvm::StringMap<std::unique_ptr<std::string>> code;
};

Status ObservedModel::Contents::open(Progress &progress) {
  if (!llvm::sys::fs::is_directory(options.modelFolder))
    return badInput(options.modelFolder, "", "is no model folder");
  compileOptions.input = options.modelFolder;
  compileOptions.context = options.context;
  compileOptions.jobs = options.jobs;
  compileOptions.allowUnused = options.allowUnused;
  compileOptions.program = options.program;
  Result<CompileInput> loaded = loadInput(context, compileOptions);
  if (!loaded)
    return loaded.error();
  input = std::move(*loaded);
  for (const std::string &note : input.notes)
    progress.note(note);
  Result<ManifestModel> model = readModelFacts(*input.module, compileOptions);
  if (!model)
    return model.error();
  facts = std::move(*model);
  if (options.context == 0)
    facts.context = std::min(facts.context, options.rows);
  sequences = std::max<int64_t>(1, options.rows / facts.context);

  progress.begin("hashing inputs", 0);
  Result<InputFiles> read = InputFiles::read(input, compileOptions);
  progress.end();
  if (!read)
    return read.error();
  files.emplace(std::move(*read));
  std::string list;
  for (const ManifestInput &file : files->list())
    list += file.file + " " + file.sha256 + "\n";
  fingerprint = hex(sha256(bytesOf(list)));
  bytes.emplace(input.weightFolders);
  return splitModel();
}

/// Inserts the observers, and says what each part observes.
Status ObservedModel::Contents::splitModel() {
  if (Status status = runPipeline(
          *input.module, "builtin.module(lowbit-insert-observers{moments=" +
                             options.moments + "})"))
    return status;
  int64_t parts = countParts(getForward(*input.module));
  if (parts == 0)
    return unsupported(options.modelFolder, "", "has no linear to observe");
  for (int64_t i = 0; i < parts; ++i) {
    auto module = extract(i);
    if (!module)
      return module.error();
    observations.emplace_back();
    for (ObserveOp op : getForward(**module).getOps<ObserveOp>())
      observations.back().push_back(describe(op));
  }
  return std::nullopt;
}

Result<mlir::OwningOpRef<mlir::ModuleOp>>
ObservedModel::Contents::extract(int64_t part) {
  mlir::OwningOpRef<mlir::ModuleOp> module = input.module->clone();
  if (Status status =
          runPipeline(*module, "builtin.module(lowbit-extract-part{index=" +
                                   std::to_string(part) + "})"))
    return *status;
  return module;
}

/// From the graph to the plan, in place: nothing of it is quantized.
Status ObservedModel::Contents::makePlan(mlir::ModuleOp module) const {
  if (Status status = runPipeline(
          module, makePipeline(Recipe(), Stage::Imported, Stage::LaidOut,
                               /*gates=*/true)))
    return status;
  return runPipeline(
      module, "builtin.module(convert-lowbit-to-plan{target=" + options.target +
                  " max-rows=" + std::to_string(options.rows) +
                  " max-logits=" + std::to_string(options.rows) +
                  " sequences=" + std::to_string(sequences) +
                  " context=" + std::to_string(facts.context) +
                  "},lowbit-verify-stage{stage=planned})");
}

Result<const std::string *>
ObservedModel::Contents::generate(mlir::ModuleOp module) {
  mlir::OwningOpRef<mlir::ModuleOp> kernels = extractKernels(module);
  std::string text;
  llvm::raw_string_ostream(text) << *kernels;
  std::unique_ptr<std::string> &known = code[text];
  if (!known) {
    Result<std::string> made =
        generateKernels(*kernels, options.target, compileOptions);
    if (!made)
      return made.error();
    known = std::make_unique<std::string>(std::move(*made));
  }
  return known.get();
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
int64_t ObservedModel::sequences() const { return contents->sequences; }
std::string ObservedModel::tokenizer() const {
  return contents->files->tokenizer();
}
const std::string &ObservedModel::fingerprint() const {
  return contents->fingerprint;
}
Status ObservedModel::checkUnchanged() const {
  return contents->files->checkUnchanged();
}
int64_t ObservedModel::parts() const { return contents->observations.size(); }
const std::vector<Observation> &
ObservedModel::observations(int64_t part) const {
  return contents->observations[part];
}

Result<ObservedPart> ObservedModel::build(int64_t index) {
  auto module = contents->extract(index);
  if (!module)
    return module.error();
  auto part = std::make_unique<ObservedPart::Contents>();
  part->module = std::move(*module);
  part->observations = contents->observations[index];
  mlir::func::FuncOp forward = getForward(*part->module);
  if (forward.getNumArguments() == 4)
    part->taken = columnsOf(forward.getArgumentTypes()[3]);
  if (forward.getNumResults() == 1)
    part->given = columnsOf(forward.getResultTypes()[0]);
  for (LinearOp linear : forward.getOps<LinearOp>())
    part->linearWeights +=
        llvm::cast<mlir::RankedTensorType>(linear.getWeight().getType())
            .getNumElements();
  if (Status status = contents->makePlan(*part->module))
    return *status;
  Result<Plan> plan = exportVerifiedPlan(*part->module, /*vocabulary=*/0);
  if (!plan)
    return plan.error();
  part->plan = std::move(*plan);
  Result<const std::string *> code = contents->generate(*part->module);
  if (!code)
    return code.error();
  part->code = *code;

  MaterializeOptions how;
  how.jobs = contents->options.jobs;
  auto made = Materializer::create(*part->module, *contents->bytes, how);
  if (!made)
    return made.error();
  part->materializer.emplace(std::move(*made));
  for (const StoredParameter &parameter : part->materializer->parameters())
    part->weights.push_back(
        {getWeightTensorName(parameter.name), parameter.size.bytes});
  return ObservedPart(std::move(part));
}
