//===- lowbit-compile.cpp - Model folder in, artifact out -----------------===//

#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Pipelines/CalibrationText.h"
#include "lowbit/Pipelines/Compile.h"
#include "lowbit/Pipelines/Recipe.h"
#include "lowbit/Target/CodeGenerator.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>
#include <cstdio>
#include <thread>
#include <unistd.h>

using namespace lowbit;
namespace cl = llvm::cl;

namespace {

/// Set by the first SIGINT or SIGTERM. A handler has no other way to speak.
std::atomic<bool> stopRequested{false};

extern "C" void onStop(int signal) {
  if (stopRequested.exchange(true))
    _exit(128 + signal); // The second one: at once, nothing published.
}

extern "C" void onBusError(int) {
  constexpr char text[] = "lowbit-compile: error: a file changed or became "
                          "unreadable while it was mapped\n";
  ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
  (void)ignored;
  _exit(static_cast<int>(ExitCode::IO));
}

struct Flags {
  const std::string recipeHelp = "Recipe: a file, or " + describeRecipeNames();
  cl::OptionCategory category{"lowbit-compile options"};
  cl::opt<std::string> input{
      cl::Positional, cl::desc("MODEL_DIR or MODULE.mlir"), cl::cat(category)};
  cl::opt<std::string> output{"o", cl::desc("Output file"),
                              cl::value_desc("file"), cl::cat(category)};
  cl::opt<std::string> recipe{"recipe", cl::desc(recipeHelp),
                              cl::value_desc("name|file"), cl::cat(category)};
  cl::opt<std::string> emit{
      "emit", cl::init("artifact"),
      cl::desc("Stage to stop at: imported, transformed, quantized, laid-out, "
               "materialized, planned, lowered, artifact (default)"),
      cl::value_desc("stage"), cl::cat(category)};
  cl::opt<std::string> model{
      "model", cl::desc("Model folder of a module (default: beside it)"),
      cl::value_desc("dir"), cl::cat(category)};
  cl::list<std::string> targets{"targets", cl::CommaSeparated,
                                cl::desc("Targets: x86_64 (default), aarch64"),
                                cl::cat(category)};
  cl::opt<unsigned> jobs{"jobs", cl::init(0),
                         cl::desc("Threads (default: one for each CPU); the "
                                  "bytes do not depend on it"),
                         cl::value_desc("n"), cl::cat(category)};
  cl::opt<bool> resume{"resume",
                       cl::desc("Take up what an interrupted run left"),
                       cl::cat(category)};
  cl::opt<bool> dryRun{
      "dry-run",
      cl::desc("Print exact output size, peak memory and estimated time; "
               "write nothing"),
      cl::cat(category)};
  cl::opt<bool> force{"force", cl::desc("Replace an output that exists"),
                      cl::cat(category)};
  cl::opt<int64_t> context{
      "context", cl::init(0),
      cl::desc("Most positions of a sequence (default: the model's)"),
      cl::value_desc("n"), cl::cat(category)};
  cl::opt<std::string> cache{
      "kv",
      cl::desc("KV cache: f16, f32, i8, i4 or i2, the last "
               "two also with -g32, -g64 (default) or "
               "-head (default: the recipe's)"),
      cl::value_desc("type"), cl::cat(category)};
  cl::opt<std::string> profile{
      "profile",
      cl::desc("Profile of a calibration, for weighted search and "
               "output errors"),
      cl::value_desc("file"), cl::cat(category)};
  cl::opt<std::string> calibration{
      "calibration",
      cl::desc(
          "one-shot (statistics of --profile, if any) or sequential (the "
          "default with --calibration-text): each layer is packed for what "
          "the packed layers before it give"),
      cl::value_desc("kind"), cl::cat(category)};
  cl::opt<std::string> calibrationText{
      "calibration-text", cl::desc("Text of a sequential calibration"),
      cl::value_desc("file"), cl::cat(category)};
  cl::opt<int64_t> calibrationTokens{
      "calibration-tokens", cl::init(0),
      cl::desc("Tokens of that text to take (default: 65536, or all)"),
      cl::value_desc("n"), cl::cat(category)};
  cl::opt<int64_t> calibrationContext{
      "calibration-context", cl::init(0),
      cl::desc("Tokens of a window (default: 512, or as many as the model has "
               "positions)"),
      cl::value_desc("n"), cl::cat(category)};
  cl::opt<bool> verifyNumerics{
      "verify-numerics",
      cl::desc("After each pass compare the module in f64 with the one before, "
               "on sample tokens (slow: for small models)"),
      cl::cat(category)};
  cl::opt<bool> allowUnused{
      "allow-unused",
      cl::desc("Take a checkpoint with tensors that the model "
               "does not use"),
      cl::cat(category)};
  cl::opt<bool> allowNonfinite{
      "allow-nonfinite",
      cl::desc("Store NaN and infinite weights (in integer formats as 0) and "
               "count them in the ledger"),
      cl::cat(category)};
  cl::opt<std::string> dump{
      "dump",
      cl::desc("Leave the module of each stage and the kernels' code "
               "there"),
      cl::value_desc("dir"), cl::cat(category)};
  cl::opt<bool> logJsonLines{
      "log-jsonl", cl::desc("Log and progress as JSON, one object a line"),
      cl::cat(category)};
};

int fail(const Error &error) {
  std::fprintf(stderr, "lowbit-compile: error: %s\n", error.message.c_str());
  return static_cast<int>(error.code);
}

Result<CompileOptions> readOptions(const Flags &flags, const char *argv0) {
  auto usage = [](const std::string &text) {
    return Error{ExitCode::Usage, text};
  };
  CompileOptions options;
  if (flags.input.empty())
    return usage("needs a model folder or a module (see --help)");
  if (flags.output.empty() && !flags.dryRun)
    return usage("needs an output, -o FILE");
  std::optional<Stage> stage = parseStage(flags.emit);
  if (!stage)
    return usage("--emit: " + quoted(flags.emit) +
                 " is not known, must be one of " + listStages());
  if (flags.context < 0 || flags.context > (int64_t(1) << 30))
    return usage("--context: is " + std::to_string(flags.context) +
                 ", must be from 1 to 2^30");
  if (flags.jobs > 1024)
    return usage("--jobs: is " + std::to_string(flags.jobs) +
                 ", must be at most 1024");
  if (Status status = checkTextRange(
          flags.calibrationTokens, flags.calibrationContext, "--calibration-"))
    return *status;
  options.input = flags.input;
  options.modelFolder = flags.model;
  options.output = flags.output;
  options.recipe = flags.recipe;
  options.verifyNumerics = flags.verifyNumerics;
  options.emit = *stage;
  if (!flags.targets.empty())
    options.targets = {flags.targets.begin(), flags.targets.end()};
  unsigned cpus = std::max(1u, std::thread::hardware_concurrency());
  options.jobs = flags.jobs == 0 ? cpus : unsigned(flags.jobs);
  options.resume = flags.resume;
  options.dryRun = flags.dryRun;
  options.force = flags.force;
  options.context = flags.context;
  options.cache = flags.cache;
  options.profile = flags.profile;
  options.calibration = flags.calibration;
  options.calibrationText = flags.calibrationText;
  options.calibrationTokens = flags.calibrationTokens;
  options.calibrationContext = flags.calibrationContext;
  options.allowUnused = flags.allowUnused;
  options.allowNonfinite = flags.allowNonfinite;
  options.dump = flags.dump;
  options.logJsonLines = flags.logJsonLines;
  options.program = llvm::sys::fs::getMainExecutable(
      argv0, reinterpret_cast<void *>(&onStop));
  options.stop = &stopRequested;
  return options;
}

} // namespace

int main(int argc, char **argv) {
  registerCompilerPasses();
  mlir::DialectRegistry registry;
  registry.insert<LowbitDialect, mlir::func::FuncDialect>();
  if (isCodeGeneratorCall(argc, argv)) {
    // A terminal sends its signals to parent and child; the parent decides, and
    // the child ends with it.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGTERM, SIG_IGN);
    return runCodeGenerator(argc, argv, registry, lowerKernelsOf);
  }

  Flags flags;
  cl::HideUnrelatedOptions(flags.category);
  cl::SetVersionPrinter([](llvm::raw_ostream &out) {
    out << "lowbit-compile " LOWBIT_VERSION " (LLVM " LLVM_VERSION_STRING
           "; targets x86_64, aarch64)\n";
  });
  std::string problem;
  llvm::raw_string_ostream problems(problem);
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "Compiles a Hugging Face model folder to one artifact.\n\n"
          "  lowbit-compile models/books-7m -o books.lowbit --recipe "
          "int4-g64\n",
          &problems)) {
    std::fputs(problem.c_str(), stderr);
    return static_cast<int>(ExitCode::Usage);
  }
  Result<CompileOptions> options = readOptions(flags, argv[0]);
  if (!options)
    return fail(options.error());

  struct sigaction action = {};
  action.sa_handler = onStop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = onBusError;
  sigaction(SIGBUS, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);

  Result<std::string> report = compileModel(*options);
  if (!report)
    return fail(report.error());
  if (std::fputs(report->c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    return fail({ExitCode::IO, "stdout cannot be written"});
  return static_cast<int>(ExitCode::Ok);
}
