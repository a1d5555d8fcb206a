//===- lowbit-reference.cpp - The reference interpreter ---------*- C++ -*-===//
//
//   lowbit-reference tests.mlir                      run its check functions
//   lowbit-reference --model M --import              print the imported module
//   lowbit-reference --model M --ids F --logits OUT.npy
//   lowbit-reference --model M --perplexity TEXT --windows 20
//
// Exit codes are those of docs/Spec.md, section 7, and 1 where a check failed.
//
//===----------------------------------------------------------------------===//

#include "LoadModel.h"
#include "Logits.h"

#include "lowbit/Checkpoint/Message.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Reference/Check.h"
#include "lowbit/Reference/Perplexity.h"
#include "lowbit/Tokenizer/Tokenizer.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"

#include <thread>

using namespace lowbit;

namespace {
/// The command line. libLLVM brings many options of its own, which are hidden.
struct Flags {
  llvm::cl::OptionCategory category{"lowbit-reference"};
  llvm::cl::opt<std::string> checks{llvm::cl::Positional,
                                    llvm::cl::desc("[checks.mlir]"),
                                    llvm::cl::cat(category)};
  llvm::cl::opt<std::string> model{
      "model", llvm::cl::desc("Model folder, artifact or .mlir file"),
      llvm::cl::cat(category)};
  llvm::cl::opt<ReferenceMode> engine{
      "engine", llvm::cl::desc("How numbers are computed"),
      llvm::cl::cat(category),
      llvm::cl::values(
          clEnumValN(ReferenceMode::Strict, "strict",
                     "as kernels compute (default)"),
          clEnumValN(ReferenceMode::F64, "f64", "in double, without rounding")),
      llvm::cl::init(ReferenceMode::Strict)};
  llvm::cl::opt<CacheType> cache{
      "cache", llvm::cl::desc("KV cache of an imported model"),
      llvm::cl::cat(category),
      llvm::cl::values(clEnumValN(CacheType::F16, "f16", "half (default)"),
                       clEnumValN(CacheType::I8, "i8", "8-bit integers")),
      llvm::cl::init(CacheType::F16)};
  llvm::cl::opt<bool> exactCache{"exact-cache",
                                 llvm::cl::desc("Do not round keys and values"),
                                 llvm::cl::cat(category)};
  llvm::cl::opt<bool> import{"import", llvm::cl::desc("Print the module"),
                             llvm::cl::cat(category)};
  llvm::cl::opt<std::string> weights{
      "weights", llvm::cl::desc("Folder of the weights of a .mlir file"),
      llvm::cl::cat(category)};
  llvm::cl::opt<std::string> ids{
      "ids", llvm::cl::desc("File of token ids, taken as they are"),
      llvm::cl::cat(category)};
  llvm::cl::opt<std::string> logits{
      "logits", llvm::cl::desc("Write f32 [tokens, vocabulary] of --ids here"),
      llvm::cl::cat(category)};
  llvm::cl::opt<std::string> perplexity{
      "perplexity", llvm::cl::desc("Measure perplexity on this text"),
      llvm::cl::cat(category)};
  llvm::cl::opt<std::string> perplexityIds{
      "perplexity-ids",
      llvm::cl::desc("Measure perplexity on this file of ids (without BOS)"),
      llvm::cl::cat(category)};
  llvm::cl::opt<int64_t> windows{
      "windows", llvm::cl::desc("Windows of perplexity (0, default: all)"),
      llvm::cl::cat(category)};
  llvm::cl::opt<int64_t> context{
      "context", llvm::cl::desc("Tokens of a window (default 512)"),
      llvm::cl::cat(category), llvm::cl::init(512)};
  llvm::cl::opt<std::string> protocol{
      "protocol",
      llvm::cl::desc("lowbit (default) or llama.cpp (second halves only)"),
      llvm::cl::cat(category), llvm::cl::init("lowbit")};
  llvm::cl::opt<unsigned> jobs{
      "jobs", llvm::cl::desc("Threads (default: as the machine has)"),
      llvm::cl::cat(category),
      llvm::cl::init(std::thread::hardware_concurrency())};
};
} // namespace

static int report(const Error &error) {
  llvm::errs() << "lowbit-reference: " << error.message << "\n";
  return static_cast<int>(error.code);
}

static Error usage(const std::string &problem) {
  return Error{ExitCode::Usage, problem + "; see --help"};
}

static int runCheckFile(mlir::MLIRContext &context, const Flags &flags,
                        const InterpreterOptions &options) {
  LoadOptions load;
  load.weights = flags.weights;
  Result<LoadedModel> model = loadModel(context, flags.checks, load);
  if (!model)
    return report(model.error());
  CheckReport result =
      runChecks(*model->module, *model->bytes, options, llvm::errs());
  llvm::outs() << flags.checks << ": " << result.functions - result.failed
               << " of " << result.functions << " functions passed, "
               << result.compared << " elements compared\n";
  return result.functions > 0 && result.failed == 0 ? 0 : 1;
}

/// Ids of the text whose perplexity is asked for, without BOS.
static Result<std::vector<int32_t>> textIds(const LoadedModel &model,
                                            const Flags &flags) {
  if (!flags.perplexityIds.empty())
    return readIds(flags.perplexityIds);
  Result<std::string> text = readFile(flags.perplexity, uint64_t(1) << 30);
  if (!text)
    return text.error();
  Result<std::string> tokenizerJson = tokenizerText(model);
  if (!tokenizerJson)
    return tokenizerJson.error();
  Result<Tokenizer> tokenizer =
      Tokenizer::parse(*tokenizerJson, "tokenizer.json");
  if (!tokenizer)
    return tokenizer.error();
  return tokenizer->encode(*text, /*addSpecial=*/false, /*parseSpecial=*/false);
}

static Status printPerplexity(const LoadedModel &model, const Flags &flags,
                              Interpreter &interpreter) {
  Result<std::vector<int32_t>> ids = textIds(model, flags);
  if (!ids)
    return ids.error();
  reference::PerplexityOptions options;
  options.context = flags.context;
  options.windows = flags.windows;
  options.llamaCpp = flags.protocol == "llama.cpp";
  if (std::optional<int64_t> bos = modelFact(*model.module, "bos"))
    options.bos = static_cast<int32_t>(*bos);
  Result<reference::PerplexityResult> result =
      reference::perplexity(interpreter, *ids, options);
  if (!result)
    return result.error();
  int64_t stride = flags.context - (options.bos && !options.llamaCpp ? 1 : 0);
  llvm::outs() << "protocol: context " << flags.context << ", stride " << stride
               << " tokens of text, " << (options.bos ? "BOS first" : "no BOS")
               << ", "
               << (options.llamaCpp ? "second half" : "all other tokens")
               << " scored\n"
               << result->windows << " windows, " << result->scored
               << " tokens scored\n"
               << llvm::format("nats per token: %.6f\nperplexity: %.4f\n",
                               result->meanNegativeLogLikelihood,
                               result->perplexity);
  return std::nullopt;
}

static Status runModel(mlir::MLIRContext &context, const Flags &flags,
                       const InterpreterOptions &options) {
  LoadOptions load;
  load.import.cache = flags.cache;
  load.weights = flags.weights;
  Result<LoadedModel> model = loadModel(context, flags.model, load);
  if (!model)
    return model.error();
  for (const std::string &note : model->notes)
    llvm::errs() << "note: " << note << "\n";
  if (flags.import) {
    model->module->print(llvm::outs());
    llvm::outs() << "\n";
    return std::nullopt;
  }
  Interpreter interpreter(*model->module, *model->bytes, options);
  if (flags.ids.empty())
    return printPerplexity(*model, flags, interpreter);
  Result<std::vector<int32_t>> ids = readIds(flags.ids);
  if (!ids)
    return ids.error();
  std::optional<int64_t> limit = modelFact(*model->module, "context");
  if (limit && static_cast<int64_t>(ids->size()) > *limit)
    return badInput(flags.ids, "",
                    "has " + std::to_string(ids->size()) +
                        " tokens, the model's context is " +
                        std::to_string(*limit));
  return writeLogits(interpreter, *ids, flags.logits);
}

/// Exit 2 where the flags do not say one thing to do.
static Status checkFlags(const Flags &flags) {
  if (flags.checks.empty() == flags.model.empty())
    return usage("give a file of checks, or --model");
  if (flags.ids.empty() != flags.logits.empty())
    return usage("--ids and --logits belong together");
  int actions = flags.import + !flags.ids.empty() + !flags.perplexity.empty() +
                !flags.perplexityIds.empty();
  if (actions != (flags.model.empty() ? 0 : 1))
    return usage("with --model, give one of --import, --ids with --logits, "
                 "--perplexity, --perplexity-ids");
  if (flags.protocol != "lowbit" && flags.protocol != "llama.cpp")
    return usage("--protocol is lowbit or llama.cpp");
  if (flags.windows < 0)
    return usage("--windows must not be negative");
  return std::nullopt;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  Flags flags;
  llvm::cl::HideUnrelatedOptions(flags.category);
  std::string parseErrors;
  llvm::raw_string_ostream errors(parseErrors);
  if (!llvm::cl::ParseCommandLineOptions(
          argc, argv, "lowbit's reference interpreter\n", &errors))
    return report(usage(parseErrors));
  if (Status failed = checkFlags(flags))
    return report(*failed);

  mlir::DialectRegistry registry;
  registry.insert<LowbitDialect, check::CheckDialect, mlir::arith::ArithDialect,
                  mlir::func::FuncDialect>();
  mlir::MLIRContext context(registry);
  InterpreterOptions options;
  options.mode = flags.engine;
  options.exactCache = flags.exactCache;
  options.threads = flags.jobs;
  if (!flags.checks.empty())
    return runCheckFile(context, flags, options);
  if (Status failed = runModel(context, flags, options))
    return report(*failed);
  return 0;
}
