//===- Compile.cpp - From a model folder to an artifact -------------------===//

#include "lowbit/Pipelines/Compile.h"
#include "CompileInput.h"
#include "PlanTarget.h"
#include "Sequential.h"
#include "WriteArtifact.h"
#include "WriteWeights.h"
#include "lowbit/Analysis/ModelNumbers.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Pipelines/VerifyNumerics.h"
#include "lowbit/Runtime/Trust.h"
#include "lowbit/Target/EmitObject.h"
#include "lowbit/Target/TargetInfo.h"
#include "lowbit/Transforms/FormatNames.h"
#include "lowbit/Transforms/Incoherence.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <sys/resource.h>

using namespace lowbit;

namespace {

std::string print(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << module << "\n";
  return text;
}

/// Writes a small file whole or not at all.
Status writeFile(OutputFile &file, const std::string &text) {
  if (Status status = file.reserve(text.size()))
    return status;
  if (Status status = file.writeAt(0, bytesOf(text)))
    return status;
  return file.publish();
}

Status writeFile(const std::string &path, const std::string &text) {
  OutputOptions replace;
  replace.replace = true;
  Result<OutputFile> file = OutputFile::open(path, replace);
  if (!file)
    return file.error();
  return writeFile(*file, text);
}

std::string number(const char *format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

/// Bytes of memory that no file backs, of this process. Mapped checkpoints and
/// outputs are not memory that must be there: the system takes it back.
int64_t anonymousMemory() {
  int64_t kilobytes = 0;
  if (FILE *status = std::fopen("/proc/self/status", "re")) {
    char line[256];
    while (std::fgets(line, sizeof(line), status))
      if (std::sscanf(line, "RssAnon: %" SCNd64, &kilobytes) == 1)
        break;
    std::fclose(status);
  }
  return kilobytes * 1024;
}

/// Every dialect that a module may be in, from import to lowered.
mlir::DialectRegistry makeRegistry() {
  mlir::DialectRegistry registry;
  registry.insert<LowbitDialect, mlir::func::FuncDialect>();
  registerKernelDialects(registry);
  return registry;
}

/// One compilation: its state between the steps of `run`.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options)
      : options(options),
        context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED),
        progress(options.logJsonLines),
        start(std::chrono::steady_clock::now()) {}

  Result<std::string> run();

private:
  Status checkOptions();
  Status checkCalibration();
  Status openOutput();
  Status load();
  Status settlePlan();
  Result<Recipe> chooseRecipe();
  Status transform();
  Status prepareWeights();
  Status checkProfile();
  Status planAndGenerate();
  Result<std::string> emitText(mlir::ModuleOp module, Stage stage);
  Result<std::string> emitMaterialized();
  Result<std::string> emitPlanned();
  Result<std::string> emitArtifact();
  std::string describeSolvers() const;
  Result<std::string> describeDryRun(const ArtifactLayout &layout,
                                     const Manifest &manifest);
  Status dump(mlir::ModuleOp module, llvm::StringRef name);
  Status writeLedger(const Materializer &materializer,
                     const std::vector<LedgerEntry> &ledger);
  Fingerprint makeFingerprint(const Container &container,
                              const std::string &contents) const;
  bool stopped() const { return options.stop && options.stop->load(); }

  /// As given; `load` fills in what the input decides.
  CompileOptions options;
  mlir::MLIRContext context;
  Progress progress;
  std::chrono::steady_clock::time_point start;
  std::optional<OutputFile> output;
  CompileInput input;
  std::optional<InputFiles> files;
  std::optional<FolderBytes> bytes;
  std::optional<Profile> profile;
  /// The module before and after quantization, for a sequential calibration.
  SequentialModules modules;
  std::unique_ptr<SequentialCalibration> sequential;
  std::optional<Materializer> materializer;
  std::vector<TargetOutput> targets;
};

Status Compilation::checkOptions() {
  for (const std::string &target : options.targets)
    if (getVariants(target).empty())
      return Error{ExitCode::Usage, "--targets: " + quoted(target) +
                                        " is not known, must be x86_64 or "
                                        "aarch64"};
  if (!options.cache.empty())
    if (Result<CacheChoice> choice = parseCacheName(options.cache); !choice)
      return Error{ExitCode::Usage, "--kv: " + choice.error().message};
  bool isPlan =
      options.emit == Stage::Planned || options.emit == Stage::Lowered;
  if (isPlan && options.targets.size() > 1)
    return Error{ExitCode::Usage, "--emit=" + stageName(options.emit).str() +
                                      " goes with one target, --targets has " +
                                      std::to_string(options.targets.size())};
  if (options.dryRun && options.emit != Stage::Artifact)
    return Error{ExitCode::Usage, "--dry-run does not go with --emit=" +
                                      stageName(options.emit).str() +
                                      ": it speaks of the artifact"};
  if (options.dryRun && options.resume)
    return Error{ExitCode::Usage,
                 "--dry-run does not go with --resume: it writes nothing"};
  return std::nullopt;
}

/// Whether the options of calibration go together.
Status Compilation::checkCalibration() {
  auto usage = [](const std::string &text) {
    return Error{ExitCode::Usage, text};
  };
  const std::string &kind = options.calibration;
  if (!kind.empty() && kind != "one-shot" && kind != "sequential")
    return usage("--calibration: " + quoted(kind) +
                 " is not known, must be one-shot or sequential");
  bool hasText = !options.calibrationText.empty();
  if (kind == "sequential" && !hasText)
    return usage("--calibration=sequential needs --calibration-text");
  if (kind == "one-shot" && hasText)
    return usage("--calibration-text does not go with --calibration=one-shot: "
                 "that reads a profile (lowbit-calibrate makes one of a text)");
  if (!hasText && (options.calibrationTokens || options.calibrationContext))
    return usage(std::string(options.calibrationTokens
                                 ? "--calibration-tokens"
                                 : "--calibration-context") +
                 " needs --calibration-text");
  if (hasText && !options.profile.empty())
    return usage("--profile does not go with a sequential calibration, which "
                 "measures for itself");
  if (hasText && options.emit != Stage::Artifact &&
      options.emit != Stage::Materialized)
    return usage("--calibration-text does not go with --emit=" +
                 stageName(options.emit).str() + ": it has no weights");
  return std::nullopt;
}

Status Compilation::openOutput() {
  if (options.dryRun)
    return std::nullopt;
  OutputOptions how;
  how.replace = options.force;
  how.resume = options.resume;
  Result<OutputFile> file = OutputFile::open(options.output, how);
  if (!file)
    return file.error();
  output.emplace(std::move(*file));
  return std::nullopt;
}

Status Compilation::load() {
  Result<CompileInput> loaded = loadInput(context, options);
  if (!loaded)
    return loaded.error();
  input = std::move(*loaded);
  if (!options.profile.empty()) {
    Result<Profile> opened = Profile::open(options.profile);
    if (!opened)
      return opened.error();
    profile.emplace(std::move(*opened));
  }
  for (const std::string &note : input.notes)
    progress.note(note);
  if (input.stage > options.emit)
    return Error{
        ExitCode::Usage,
        quoted(options.input) + " is at stage " + stageName(input.stage).str() +
            " already, beyond --emit=" + stageName(options.emit).str()};
  if (Status status = settlePlan())
    return status;
  if (!options.profile.empty() && input.graphStage >= Stage::Materialized)
    return Error{ExitCode::Usage,
                 "--profile does not go with a module at stage " +
                     stageName(input.stage).str() + ": its weights are packed"};
  if (isSequential(options) && input.stage > Stage::Transformed)
    return Error{ExitCode::Usage,
                 "a sequential calibration needs the model before it is "
                 "quantized, " +
                     quoted(options.input) + " is at stage " +
                     stageName(input.stage).str()};
  return std::nullopt;
}

/// Target and context: what is asked for, or what a planned module has.
Status Compilation::settlePlan() {
  if (!input.planned) {
    if (options.targets.empty())
      options.targets = {"x86_64"};
    return std::nullopt;
  }
  Result<std::string> target = getPlannedTarget(*input.planned);
  if (!target)
    return target.error();
  auto refuse = [&](const std::string &flag, const std::string &value) {
    return Error{ExitCode::Usage, flag + " does not go with " +
                                      quoted(options.input) +
                                      ", which was planned for " + value};
  };
  for (const std::string &other : options.targets)
    if (other != *target)
      return refuse("--targets=" + other, *target);
  if (options.context != 0 && options.context != input.context)
    return refuse("--context " + std::to_string(options.context),
                  std::to_string(input.context));
  options.context = 0;
  Result<ManifestModel> model = readModelFacts(*input.module, options);
  if (!model)
    return model.error();
  if (input.context < 1 || input.context > model->context)
    return badInput(options.input, contextAttr.str(),
                    "is " + std::to_string(input.context) +
                        ", must be from 1 to " +
                        std::to_string(model->context));
  options.targets = {*target};
  options.context = input.context;
  return std::nullopt;
}

/// The recipe for a module before the stage quantized: the one that is given,
/// or that was given when the module was made. Left on the module for later
/// stages.
Result<Recipe> Compilation::chooseRecipe() {
  mlir::ModuleOp module = *input.module;
  mlir::Builder builder(&context);
  auto stored = module->getAttrOfType<mlir::StringAttr>(recipeAttr);
  Recipe recipe;
  if (!options.recipe.empty() || stored) {
    Result<Recipe> read =
        options.recipe.empty()
            ? parseRecipe(stored, "recipe of " + options.input)
            : readRecipe(options.recipe,
                         isSequential(options) ||
                             (profile && profile->hasFullMoments()));
    if (!read)
      return read.error();
    recipe = std::move(*read);
    module->setAttr(recipeAttr, builder.getStringAttr(recipe.text));
  } else if (options.emit > Stage::Imported) {
    return Error{ExitCode::Usage, "--recipe is needed: a file, or one of " +
                                      describeRecipeNames()};
  }
  if (!options.cache.empty()) {
    recipe.quantize += recipe.quantize.empty() ? "" : ",";
    recipe.quantize += "lowbit-set-cache{type=" + options.cache + "}";
  }
  if (options.emit > Stage::Imported)
    module->setAttr(pipelineAttr, builder.getStringAttr(makePipeline(
                                      recipe, Stage::Imported, Stage::LaidOut,
                                      /*gates=*/false)));
  return recipe;
}

/// The recipe's passes, up to the stage laid-out.
Status Compilation::transform() {
  mlir::ModuleOp module = *input.module;
  Recipe recipe;
  if (input.stage < Stage::Quantized) {
    Result<Recipe> chosen = chooseRecipe();
    if (!chosen)
      return chosen.error();
    recipe = std::move(*chosen);
  } else if (!options.recipe.empty() || !options.cache.empty()) {
    return Error{ExitCode::Usage,
                 std::string(options.recipe.empty() ? "--kv" : "--recipe") +
                     " does not go with a module at stage " +
                     stageName(input.stage).str() + ": that is decided"};
  }
  Result<NumbersSource> numbers =
      NumbersSource::open(input.weightFolders, options.profile);
  if (!numbers)
    return numbers.error();
  provideNumbers(context, *numbers);
  std::optional<NumericsVerifier> verifier;
  if (options.verifyNumerics)
    verifier.emplace(numbers->bytes(), NumericsOptions());
  Stage last = std::min(options.emit, Stage::LaidOut);
  for (Stage stage = input.stage; stage < last;) {
    if (isSequential(options) && stage == Stage::Transformed)
      modules.transformed = module.clone();
    if (isSequential(options) && stage == Stage::Quantized)
      modules.quantized = module.clone();
    Stage next = static_cast<Stage>(static_cast<int>(stage) + 1);
    if (Status status =
            runPipeline(module, makePipeline(recipe, stage, next, true),
                        verifier ? &*verifier : nullptr))
      return status;
    stage = next;
    if (Status status = dump(module, stageName(stage)))
      return status;
  }
  if (verifier)
    progress.note("verify-numerics: " + std::to_string(verifier->compared()) +
                  " passes keep what they promise, " +
                  std::to_string(verifier->skipped()) +
                  " could not be evaluated");
  return std::nullopt;
}

Status Compilation::prepareWeights() {
  progress.begin("hashing inputs", 0);
  Result<InputFiles> read = InputFiles::read(input, options);
  if (!read)
    return read.error();
  files.emplace(std::move(*read));
  progress.end();
  bytes.emplace(input.weightFolders);
  if (profile)
    if (Status status = checkProfile())
      return status;
  MaterializeOptions how;
  how.jobs = options.jobs;
  how.allowNonfinite = options.allowNonfinite;
  how.statistics = profile ? &*profile : nullptr;
  how.stop = options.stop;
  if (isSequential(options)) {
    Result<ManifestModel> model = readModelFacts(*input.module, options);
    if (!model)
      return model.error();
    auto opened = SequentialCalibration::create(
        std::move(modules), *bytes, *model, files->tokenizer(), options);
    if (!opened)
      return opened.error();
    sequential = std::move(*opened);
    how.statistics = &sequential->statistics();
  }
  auto made = Materializer::create(*input.module, *bytes, how);
  if (!made)
    return made.error();
  materializer.emplace(std::move(*made));
  return sequential ? sequential->check(*materializer) : std::nullopt;
}

/// A profile of another model weighs columns by what they do not carry.
Status Compilation::checkProfile() {
  std::optional<std::string> model = profile->model();
  if (!model) {
    progress.note(escaped(options.profile) +
                  ": does not say which model it is of");
    return std::nullopt;
  }
  std::string digest = files->modelDigest();
  if (*model == digest)
    return std::nullopt;
  return Error{ExitCode::Mismatch,
               escaped(options.profile) + ": model: is " + quoted(*model) +
                   ", must be that of " + escaped(input.modelFolder) + ", " +
                   quoted(digest) + ": the profile is of another model"};
}

Status Compilation::planAndGenerate() {
  mlir::ModuleOp module = *input.module;
  Result<ManifestModel> model = readModelFacts(module, options);
  if (!model)
    return model.error();
  // Refuse now what the runner would refuse to open.
  if (auto tokenizer =
          readTokenizer(files->tokenizer(), files->tokenizerPath(), *model);
      !tokenizer)
    return tokenizer.error();
  std::vector<std::string> names = options.targets;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string &name : names) {
    progress.begin("generating code for " + name, 0);
    mlir::OwningOpRef<mlir::ModuleOp> planned;
    if (!input.planned) {
      auto made = planTarget(module, name, model->context);
      if (!made)
        return made.error();
      planned = std::move(*made);
      if (Status status = dump(*planned, "planned." + name))
        return status;
    }
    auto generated = generateTarget(planned ? *planned : *input.planned,
                                    model->vocabulary, options);
    if (stopped())
      return Error{ExitCode::Stopped, "stopped before weights were written"};
    if (!generated)
      return generated.error();
    targets.push_back(std::move(*generated));
    progress.end();
  }
  return std::nullopt;
}

Status Compilation::dump(mlir::ModuleOp module, llvm::StringRef name) {
  if (options.dump.empty())
    return std::nullopt;
  if (std::error_code error = llvm::sys::fs::create_directories(options.dump))
    return outputError(options.dump, "create", error.value());
  return writeFile(options.dump + "/" + name.str() + ".mlir", print(module));
}

Result<std::string> Compilation::emitText(mlir::ModuleOp module, Stage stage) {
  mlir::Builder builder(&context);
  module->setAttr(stageAttr, builder.getStringAttr(stageName(stage)));
  std::string text = print(module);
  if (Status status = writeFile(*output, text))
    return *status;
  return options.output + ": stage " + stageName(stage).str() + ", " +
         std::to_string(text.size()) + " bytes\n";
}

Result<std::string> Compilation::emitMaterialized() {
  if (Status status = prepareWeights())
    return *status;
  Container container;
  for (const StoredParameter &parameter : materializer->parameters())
    container.addRoom(parameter.name, parameter.size.bytes);
  if (Status status = container.finish({}))
    return *status;
  std::string path = options.output + ".safetensors";
  OutputOptions how;
  how.replace = options.force;
  how.resume = options.resume;
  Result<OutputFile> file = OutputFile::open(path, how);
  if (!file)
    return file.error();
  WeightTarget target{*file, container, 0, makeFingerprint(container, ""),
                      options.resume};
  Result<std::vector<LedgerEntry>> ledger =
      writeWeights(*materializer, target, progress, sequential.get());
  if (!ledger)
    return ledger.error();
  if (Status status = files->checkUnchanged())
    return *status;
  std::vector<int64_t> offsets;
  for (size_t i = 0; i < container.size(); ++i)
    offsets.push_back(static_cast<int64_t>(container.offset(i)));
  replaceByBytes(*input.module, llvm::sys::path::filename(path), "", offsets);
  if (Status status = file->publish())
    return *status;
  if (Status status = writeLedger(*materializer, *ledger))
    return *status;
  return emitText(*input.module, Stage::Materialized);
}

/// The stages planned and lowered.
Result<std::string> Compilation::emitPlanned() {
  const std::string &target = options.targets[0];
  if (!input.planned) {
    mlir::ModuleOp graph = *input.module;
    Result<ManifestModel> model = readModelFacts(graph, options);
    if (!model)
      return model.error();
    mlir::Builder builder(&context);
    graph->setAttr(stageAttr, builder.getStringAttr(stageName(
                                  std::max(input.graphStage, Stage::LaidOut))));
    auto made = planTarget(graph, target, model->context);
    if (!made)
      return made.error();
    input.planned = std::move(*made);
    mlir::ModuleOp planned = *input.planned;
    planned->setAttr(graphAttr, builder.getStringAttr(print(graph)));
    planned->setAttr(contextAttr, builder.getI64IntegerAttr(model->context));
  }
  if (options.emit == Stage::Lowered && input.stage < Stage::Lowered)
    if (Status status = lowerTarget(*input.planned, target))
      return *status;
  return emitText(*input.planned, options.emit);
}

Fingerprint Compilation::makeFingerprint(const Container &container,
                                         const std::string &contents) const {
  std::string inputs;
  for (const ManifestInput &file : files->list())
    inputs += file.file + " " + file.sha256 + "\n";
  auto digest = [](const std::string &text) {
    return hex(sha256(bytesOf(text)));
  };
  return {{"tool", "lowbit " LOWBIT_VERSION},
          {"inputs", digest(inputs)},
          {"module", digest(print(*input.module))},
          {"profile", options.profile.empty() ? "none" : "used"},
          {"calibration", sequential ? sequential->describe() : "one-shot"},
          {"nonfinite", options.allowNonfinite ? "allowed" : "refused"},
          {"layout", digest(container.header())},
          {"contents", digest(contents)}};
}

Status Compilation::writeLedger(const Materializer &materializer,
                                const std::vector<LedgerEntry> &ledger) {
  for (const std::string &line :
       warnOfCoherentWeights(materializer.parameters(), ledger))
    progress.note(line);
  std::vector<LedgerDecision> decisions = getDecisions(*input.module);
  if (Status status = writeFile(options.output + ".ledger.json",
                                writeLedgerJson(ledger, decisions)))
    return status;
  return writeFile(options.output + ".ledger.txt",
                   writeLedgerTable(ledger, decisions));
}

std::string describeBits(const Manifest &manifest) {
  return number("%.4f", manifest.linearBits) +
         " complete bits per weight of the linears, " +
         number("%.4f", manifest.modelBits) + " of the whole model (" +
         std::to_string(manifest.parameters) + " parameters)\n";
}

/// Weights by format and solver, and what the solvers know of inputs.
std::string Compilation::describeSolvers() const {
  std::map<std::string, int64_t> weights;
  for (size_t i = 0; i < materializer->parameters().size(); ++i) {
    const LedgerEntry &entry = materializer->description(i);
    if (entry.columns > 1)
      weights[entry.format + " by " + entry.solver] +=
          entry.rows * entry.columns;
  }
  std::string text = "calibration: ";
  if (sequential)
    text += sequential->describe();
  else if (profile)
    text += profile->hasFullMoments() ? "profile, full moments"
                                      : "profile, diagonal moments";
  else
    text += "none";
  text += "\n";
  for (const auto &[what, count] : weights)
    text += what + ": " + std::to_string(count) + " weights\n";
  return text;
}

Result<std::string> Compilation::describeDryRun(const ArtifactLayout &layout,
                                                const Manifest &manifest) {
  Result<double> packing = materializer->estimateSeconds(0.5);
  if (!packing)
    return packing.error();
  if (sequential)
    *packing += sequential->estimateSeconds(*materializer);
  // Writing and digests go at about 1 GB/s.
  double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count() +
      *packing + static_cast<double>(layout.container.fileBytes()) * 1e-9;
  struct rusage children;
  getrusage(RUSAGE_CHILDREN, &children);
  int64_t memory =
      std::max<int64_t>(anonymousMemory() + materializer->peakMemory() +
                            (sequential ? sequential->peakMemory() : 0),
                        int64_t(children.ru_maxrss) * 1024);
  return "output: " + std::to_string(layout.container.fileBytes()) +
         " bytes\npeak memory: " + std::to_string(memory) +
         " bytes\nestimated time: " + number("%.1f", seconds) + " s\n" +
         describeBits(manifest) + describeSolvers();
}

Result<std::string> Compilation::emitArtifact() {
  if (Status status = prepareWeights())
    return *status;
  if (Status status = planAndGenerate())
    return *status;
  auto manifest =
      makeManifest(*input.module, *files, *materializer, targets, options);
  if (!manifest)
    return manifest.error();
  std::string contents = writeManifest(*manifest);
  for (const TargetOutput &target : targets)
    contents += target.plan + target.code;
  auto layout = layOutArtifact(*manifest, std::move(targets),
                               files->tokenizer(), *materializer);
  if (!layout)
    return layout.error();
  if (options.dryRun)
    return describeDryRun(*layout, *manifest);
  WeightTarget target{*output, layout->container, layout->firstWeight,
                      makeFingerprint(layout->container, contents),
                      options.resume};
  Result<std::vector<LedgerEntry>> ledger =
      writeWeights(*materializer, target, progress, sequential.get());
  if (!ledger)
    return ledger.error();
  if (Status status = files->checkUnchanged())
    return *status;
  Result<uint8_t *> mapped = output->map();
  if (!mapped)
    return mapped.error();
  Sha256Digest root = writeDigests(*layout, *mapped, progress);
  if (Status status = output->publish())
    return *status;
  Result<std::string> trust = trustFolder();
  Status recorded = trust ? recordTrust(*trust, root) : trust.error();
  if (recorded)
    progress.note("not recorded as trusted, run it with --trust: " +
                  recorded->message);
  if (Status status = writeLedger(*materializer, *ledger))
    return *status;
  return options.output + ": " + std::to_string(layout->container.fileBytes()) +
         " bytes\n" + describeBits(*manifest) + "ledger: " + options.output +
         ".ledger.json, " + options.output + ".ledger.txt\n";
}

Result<std::string> Compilation::run() {
  for (auto step :
       {&Compilation::checkOptions, &Compilation::checkCalibration,
        &Compilation::openOutput, &Compilation::load, &Compilation::transform})
    if (Status status = (this->*step)())
      return *status;
  switch (options.emit) {
  case Stage::Materialized:
    return emitMaterialized();
  case Stage::Planned:
  case Stage::Lowered:
    return emitPlanned();
  case Stage::Artifact:
    return emitArtifact();
  default:
    return emitText(*input.module, options.emit);
  }
}

} // namespace

Result<std::string> lowbit::compileModel(const CompileOptions &options) {
  return Compilation(options).run();
}
