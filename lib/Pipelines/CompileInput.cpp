//===- CompileInput.cpp - What a compilation starts from ------------------===//

#include "CompileInput.h"
#include "lowbit/Checkpoint/Hash.h"
#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Import/Import.h"
#include "lowbit/Transforms/Materialize.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

using namespace lowbit;
using llvm::StringRef;

namespace {

/// A module has no bytes of weights; 1 GiB is a model of millions of layers.
constexpr uint64_t maxModuleBytes = uint64_t(1) << 30;
/// Brackets that may be open at once; the parser recurses on them.
constexpr int maxNesting = 256;

Result<CompileInput> importFolder(mlir::MLIRContext &context,
                                  const CompileOptions &options) {
  Result<ModelFolder> folder = ModelFolder::open(options.input);
  if (!folder)
    return folder.error();
  Result<ModelConfig> config = readModelConfig(folder->config());
  if (!config)
    return config.error();
  TensorCheckOptions check;
  check.allowUnused = options.allowUnused;
  Result<ModelTensors> tensors = checkTensors(*config, *folder, check);
  if (!tensors)
    return tensors.error();
  CompileInput input;
  auto module =
      importModel(context, *folder, *config, *tensors, {}, input.notes);
  if (!module)
    return module.error();
  input.module = std::move(*module);
  input.modelFolder = options.input;
  input.weightFolders = {options.input};
  return input;
}

/// The parser would overflow its stack on a text nested too deep.
Status checkNesting(StringRef text, const std::string &path) {
  int depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      i += c == '\\' ? 1 : 0;
      inString = c != '"';
    } else if (c == '"') {
      inString = true;
    } else if (c == '(' || c == '[' || c == '{' || c == '<') {
      if (++depth > maxNesting)
        return badInput(path, "",
                        "has more than " + std::to_string(maxNesting) +
                            " brackets open at byte " + std::to_string(i));
    } else if (c == ')' || c == ']' || c == '}' ||
               (c == '>' && (i == 0 || text[i - 1] != '-'))) {
      depth = std::max(0, depth - 1);
    }
  }
  return std::nullopt;
}

/// A module that an earlier run wrote, and the stage that it says it is at and
/// fulfils. `name` is for messages.
Result<std::pair<mlir::OwningOpRef<mlir::ModuleOp>, Stage>>
parseModule(mlir::MLIRContext &context, StringRef text,
            const std::string &name) {
  if (Status status = checkNesting(text, name))
    return *status;
  std::string problem;
  mlir::ScopedDiagnosticHandler handler(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          if (problem.empty())
                                            problem = diagnostic.str();
                                          return mlir::success();
                                        });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      text, mlir::ParserConfig(&context), name);
  if (!module)
    return badInput(name, "", "is no module: " + escaped(problem, 400));
  auto said = (*module)->getAttrOfType<mlir::StringAttr>(stageAttr);
  std::optional<Stage> stage =
      said ? parseStage(said.getValue()) : std::nullopt;
  if (!stage || *stage == Stage::Artifact)
    return badInput(name, stageAttr.str(),
                    "does not name the stage of the module, must be one of " +
                        listStages() + " (before artifact)");
  std::string gate =
      ("builtin.module(lowbit-verify-stage{stage=" + stageName(*stage) + "})")
          .str();
  if (Status status = runPipeline(*module, gate))
    return badInput(name, "", status->message);
  return std::make_pair(std::move(module), *stage);
}

/// Parameters as a module prints them, by name.
std::map<std::string, std::string> printParameters(mlir::ModuleOp module) {
  std::map<std::string, std::string> parameters;
  for (auto parameter : module.getOps<ParameterOp>())
    llvm::raw_string_ostream(parameters[parameter.getSymName().str()])
        << parameter;
  return parameters;
}

/// Takes out the graph and the context that travel with a planned or lowered
/// module.
Status splitPlanned(CompileInput &input, const std::string &name) {
  mlir::ModuleOp planned = *input.planned;
  auto text = planned->getAttrOfType<mlir::StringAttr>(graphAttr);
  if (!text)
    return badInput(name, graphAttr.str(),
                    "is missing: an artifact holds the graph, too");
  std::string graphName = name + ": " + graphAttr.str();
  auto graph = parseModule(*planned.getContext(), text, graphName);
  if (!graph)
    return graph.error();
  std::tie(input.module, input.graphStage) = std::move(*graph);
  if (input.graphStage != Stage::LaidOut &&
      input.graphStage != Stage::Materialized)
    return badInput(graphName, stageAttr.str(),
                    "is " + stageName(input.graphStage).str() +
                        ", must be laid-out or materialized");
  auto inGraph = printParameters(*input.module);
  for (const auto &[parameter, print] : printParameters(planned))
    if (auto found = inGraph.find(parameter);
        found == inGraph.end() || found->second != print)
      return badInput(name, "@" + parameter,
                      "is not what it is in " + graphAttr.str());
  auto context = planned->getAttrOfType<mlir::IntegerAttr>(contextAttr);
  if (!context)
    return badInput(name, contextAttr.str(), "is missing, must be an integer");
  input.context = context.getInt();
  return std::nullopt;
}

Result<CompileInput> readModule(mlir::MLIRContext &context,
                                const CompileOptions &options) {
  Result<std::string> text = readFile(options.input, maxModuleBytes);
  if (!text)
    return text.error();
  auto parsed = parseModule(context, *text, options.input);
  if (!parsed)
    return parsed.error();
  CompileInput input;
  std::tie(input.module, input.stage) = std::move(*parsed);
  input.graphStage = input.stage;
  if (input.stage >= Stage::Planned) {
    input.planned = std::move(input.module);
    if (Status status = splitPlanned(input, options.input))
      return *status;
  }
  StringRef parent = llvm::sys::path::parent_path(options.input);
  std::string folder = parent.empty() ? "." : parent.str();
  input.modelFolder =
      options.modelFolder.empty() ? folder : options.modelFolder;
  input.weightFolders = {folder};
  if (input.modelFolder != folder)
    input.weightFolders.push_back(input.modelFolder);
  return input;
}

} // namespace

Result<CompileInput> lowbit::loadInput(mlir::MLIRContext &context,
                                       const CompileOptions &options) {
  if (!llvm::sys::fs::is_directory(options.input))
    return readModule(context, options);
  if (!options.modelFolder.empty())
    return Error{ExitCode::Usage, "--model goes with a module, " +
                                      quoted(options.input) +
                                      " is a model folder itself"};
  return importFolder(context, options);
}

Status InputFiles::add(Result<MappedFile> file, const std::string &name) {
  if (!file)
    return file.error();
  inputs.push_back(
      {name, static_cast<int64_t>(file->size()), hex(sha256(file->bytes()))});
  files.push_back(std::move(*file));
  return std::nullopt;
}

/// A module is often not in its model's folder.
static Error needsModelFolder(const CompileInput &input,
                              const CompileOptions &options,
                              const std::string &missing) {
  return badInput(options.input, "",
                  "needs the folder of its model, --model DIR: " +
                      quoted(input.modelFolder) + ", where the module is, " +
                      "has no " + missing);
}

static bool isModuleWithoutFolder(const CompileInput &input,
                                  const CompileOptions &options) {
  return options.modelFolder.empty() && input.modelFolder != options.input;
}

/// Exit 7 where a configuration is of another model than the module.
static Status compareFacts(const CompileInput &input, Bytes json) {
  mlir::ModuleOp module = *input.module;
  auto facts = module->getAttrOfType<mlir::DictionaryAttr>(modelAttr);
  std::string path = input.modelFolder + "/config.json";
  Result<JsonValue> parsed = parseJson(json.text(), path, configLimits);
  if (!parsed)
    return parsed.error();
  Result<ModelConfig> config = readModelConfig(*parsed, path);
  if (!config)
    return config.error();
  auto print = [](mlir::Attribute value) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    if (value)
      value.print(stream, /*elideType=*/true);
    return value ? text : "missing";
  };
  mlir::DictionaryAttr expected = makeModelFacts(*module.getContext(), *config);
  for (mlir::DictionaryAttr side : {expected, facts})
    for (mlir::NamedAttribute fact : side)
      if (facts.get(fact.getName()) != expected.get(fact.getName()))
        return Error{ExitCode::Mismatch,
                     escaped(path) + ": " + fact.getName().str() + " is " +
                         print(expected.get(fact.getName())) +
                         ", the module's (" + modelAttr.str() + ") is " +
                         print(facts.get(fact.getName())) +
                         ": it is of another model"};
  return std::nullopt;
}

Status InputFiles::addModelFiles(const CompileInput &input,
                                 const CompileOptions &options) {
  auto folder = Folder::open(input.modelFolder);
  if (!folder)
    return folder.error();
  if (!(*folder)->has("config.json") && isModuleWithoutFolder(input, options))
    return needsModelFolder(input, options, "config.json");
  if (!(*folder)->has("tokenizer.json") && (*folder)->has("tokenizer.model"))
    return unsupported(
        "tokenizer.model", "",
        "is not read; convert it once: python3 -c \"from transformers import "
        "AutoTokenizer as T; T.from_pretrained('.').save_pretrained('.')\"");
  for (const char *name : {"config.json", "tokenizer.json"}) {
    tokenizerIndex = files.size();
    if (Status status = add((*folder)->map(name), name))
      return status;
  }
  return compareFacts(input, files[0].bytes());
}

Result<Tokenizer> lowbit::readTokenizer(const std::string &json,
                                        const ManifestModel &model) {
  Result<Tokenizer> tokenizer = Tokenizer::parse(json, "tokenizer.json");
  if (tokenizer && tokenizer->vocabularySize() > model.vocabulary)
    return badInput("tokenizer.json", "",
                    "has " + std::to_string(tokenizer->vocabularySize()) +
                        " ids, the model only " +
                        std::to_string(model.vocabulary));
  return tokenizer;
}

Status InputFiles::addWeights(const CompileInput &input,
                              const CompileOptions &options) {
  std::set<std::string> names;
  mlir::ModuleOp(*input.module).walk([&](ParameterOp parameter) {
    if (SourceAttr source = parameter.getSourceAttr())
      names.insert(source.getFile().str());
  });
  for (const std::string &name : names) {
    for (const std::string &path : input.weightFolders) {
      auto weights = Folder::open(path);
      if (!weights)
        return weights.error();
      if (!(*weights)->has(name)) {
        if (path != input.weightFolders.back())
          continue;
        if (isModuleWithoutFolder(input, options))
          return needsModelFolder(input, options, escaped(name));
      }
      if (Status status = add((*weights)->map(name), name))
        return *status;
      break;
    }
  }
  return std::nullopt;
}

mlir::ArrayAttr InputFiles::attribute(mlir::MLIRContext &context) const {
  mlir::Builder builder(&context);
  llvm::SmallVector<mlir::Attribute> list;
  for (const ManifestInput &file : inputs)
    list.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("file", builder.getStringAttr(file.file)),
         builder.getNamedAttr("bytes", builder.getI64IntegerAttr(file.bytes)),
         builder.getNamedAttr("sha256", builder.getStringAttr(file.sha256))}));
  return builder.getArrayAttr(list);
}

/// Takes what the packed weights of `module` were made from in place of the
/// files that hold them.
Status InputFiles::addPacked(mlir::ModuleOp module,
                             const CompileOptions &options) {
  auto list = module->getAttrOfType<mlir::ArrayAttr>(inputsAttr);
  if (!list)
    return badInput(options.input, inputsAttr.str(),
                    "is missing: the module does not say what its weights "
                    "were made from");
  inputs.resize(modelFiles);
  for (mlir::Attribute entry : list) {
    auto fields = llvm::dyn_cast<mlir::DictionaryAttr>(entry);
    auto file = fields ? fields.getAs<mlir::StringAttr>("file") : nullptr;
    auto bytes = fields ? fields.getAs<mlir::IntegerAttr>("bytes") : nullptr;
    auto digest = fields ? fields.getAs<mlir::StringAttr>("sha256") : nullptr;
    if (!file || !bytes || !bytes.getType().isInteger(64) || !digest)
      return badInput(options.input, inputsAttr.str(),
                      "must list file, bytes (i64) and sha256 of each file");
    auto known = std::find_if(inputs.begin(), inputs.begin() + modelFiles,
                              [&](const ManifestInput &input) {
                                return input.file == file.getValue();
                              });
    if (known == inputs.begin() + modelFiles)
      inputs.push_back({file.str(), bytes.getInt(), digest.str()});
    else if (known->sha256 != digest.getValue())
      return Error{ExitCode::Mismatch,
                   escaped(known->file) + ": sha256 is " + known->sha256 +
                       ", weights of " + escaped(options.input) +
                       " were made with " + escaped(digest.str()) +
                       ": it is of another model"};
  }
  return std::nullopt;
}

Result<InputFiles> InputFiles::read(const CompileInput &input,
                                    const CompileOptions &options) {
  InputFiles result;
  if (options.emit == Stage::Artifact || !options.profile.empty() ||
      isSequential(options))
    if (Status status = result.addModelFiles(input, options))
      return *status;
  result.modelFiles = result.inputs.size();
  if (Status status = result.addWeights(input, options))
    return *status;
  if (input.graphStage == Stage::Materialized) {
    if (Status status = result.addPacked(*input.module, options))
      return *status;
    return result;
  }
  result.modelFiles = result.inputs.size();
  std::vector<std::string> paths = getGivenFiles(*input.module);
  for (const std::string &path : {options.profile, options.calibrationText})
    if (!path.empty())
      paths.push_back(path);
  for (const std::string &path : paths) // Names only: no path is in an output.
    if (Status status = result.add(MappedFile::open(path),
                                   llvm::sys::path::filename(path).str()))
      return *status;
  return result;
}

std::string InputFiles::modelDigest() const {
  std::string lines;
  for (size_t i = 0; i < modelFiles; ++i)
    lines += inputs[i].file + " " + inputs[i].sha256 + "\n";
  return hex(sha256(bytesOf(lines)));
}

std::string InputFiles::tokenizer() const {
  return std::string(files[tokenizerIndex].bytes().text());
}

Status InputFiles::checkUnchanged() const {
  for (const MappedFile &file : files)
    if (Status status = file.checkUnchanged())
      return status;
  return std::nullopt;
}
