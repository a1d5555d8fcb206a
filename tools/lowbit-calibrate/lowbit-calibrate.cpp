//===- lowbit-calibrate.cpp - Model and text in, profile out --------------===//

#include "Calibration.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Pipelines/CalibrationText.h"
#include "lowbit/Pipelines/Stage.h"
#include "lowbit/Target/CodeGenerator.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>
#include <cstdio>
#include <unistd.h>

using namespace lowbit;
using namespace lowbit::calibrate;
namespace cl = llvm::cl;

namespace {

/// The first SIGINT or SIGTERM. A handler has no other way to speak.
std::atomic<bool> stopRequested{false};
volatile std::sig_atomic_t stopSignal = 0;

extern "C" void onStop(int signal) {
  stopSignal = signal;
  if (stopRequested.exchange(true))
    _exit(128 + signal); // The second one: at once, nothing published.
}

extern "C" void onBusError(int) {
  constexpr char text[] = "lowbit-calibrate: error: a file changed or became "
                          "unreadable while it was mapped\n";
  ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
  (void)ignored;
  _exit(static_cast<int>(ExitCode::IO));
}

struct Flags {
  cl::OptionCategory category{"lowbit-calibrate options"};
  cl::opt<std::string> model{cl::Positional, cl::desc("MODEL_DIR"),
                             cl::cat(category)};
  cl::opt<std::string> text{cl::Positional, cl::desc("TEXT"),
                            cl::cat(category)};
  cl::opt<std::string> output{"o", cl::desc("Output file"),
                              cl::value_desc("file"), cl::cat(category)};
  cl::opt<int64_t> tokens{
      "tokens", cl::init(0),
      cl::desc("Tokens of the text to take, from its beginning (default: 65536 "
               "or all)"),
      cl::value_desc("n"), cl::cat(category)};
  cl::opt<int64_t> context{
      "context", cl::init(0),
      cl::desc("Tokens of a window, BOS included (default: 512, or as many as "
               "the model has positions)"),
      cl::value_desc("n"), cl::cat(category)};
  cl::opt<std::string> moments{
      "moments", cl::init("diagonal"),
      cl::desc("Second moments of linear inputs: diagonal (default) or full"),
      cl::value_desc("kind"), cl::cat(category)};
  cl::opt<unsigned> jobs{"jobs", cl::init(0),
                         cl::desc("Threads (default: one for each CPU); the "
                                  "bytes do not depend on it"),
                         cl::value_desc("n"), cl::cat(category)};
  cl::opt<bool> force{"force", cl::desc("Replace an output that exists"),
                      cl::cat(category)};
  cl::opt<bool> allowUnused{
      "allow-unused",
      cl::desc("Take a checkpoint with tensors that the model "
               "does not use"),
      cl::cat(category)};
  cl::opt<bool> measure{
      "measure",
      cl::desc("Also measure the FMA peak of this machine, between batches, "
               "and print the share of it that was reached"),
      cl::cat(category)};
  cl::opt<bool> logJsonLines{
      "log-jsonl", cl::desc("Log and progress as JSON, one object a line"),
      cl::cat(category)};
};

int fail(const Error &error) {
  std::fprintf(stderr, "lowbit-calibrate: error: %s\n", error.message.c_str());
  if (error.code == ExitCode::Stopped && stopSignal != 0)
    return 128 + stopSignal; // Nothing is left that could be taken up.
  return static_cast<int>(error.code);
}

Result<CalibrationOptions> readOptions(const Flags &flags, const char *argv0) {
  auto usage = [](const std::string &text) {
    return Error{ExitCode::Usage, text};
  };
  if (flags.model.empty() || flags.text.empty())
    return usage("needs a model folder and a text (see --help)");
  if (flags.output.empty())
    return usage("needs an output, -o FILE");
  if (flags.moments != "diagonal" && flags.moments != "full")
    return usage("--moments: " + quoted(flags.moments) +
                 " is not known, must be diagonal or full");
  if (Status status = checkTextRange(flags.tokens, flags.context, "--"))
    return *status;
  if (flags.jobs > 1024)
    return usage("--jobs: is " + std::to_string(flags.jobs) +
                 ", must be at most 1024");
  CalibrationOptions options;
  options.modelFolder = flags.model;
  options.text = flags.text;
  options.output = flags.output;
  options.tokens = flags.tokens;
  options.context = flags.context;
  options.moments = flags.moments;
  options.threads = flags.jobs;
  options.force = flags.force;
  options.allowUnused = flags.allowUnused;
  options.logJsonLines = flags.logJsonLines;
  options.measure = flags.measure;
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
  if (isCodeGeneratorCall(argc, argv))
    return runCodeGenerator(argc, argv, registry, lowerKernelsOf);

  Flags flags;
  cl::HideUnrelatedOptions(flags.category);
  cl::SetVersionPrinter([](llvm::raw_ostream &out) {
    out << "lowbit-calibrate " LOWBIT_VERSION " (LLVM " LLVM_VERSION_STRING
           ")\n";
  });
  std::string problem;
  llvm::raw_string_ostream problems(problem);
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "Measures what the linears of a model see, for weighted "
          "quantization.\n\n"
          "  lowbit-calibrate models/books-7m text.txt -o books.profile\n",
          &problems)) {
    std::fputs(problem.c_str(), stderr);
    return static_cast<int>(ExitCode::Usage);
  }
  Result<CalibrationOptions> options = readOptions(flags, argv[0]);
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

  Result<std::string> report = calibrate::calibrate(*options);
  if (!report)
    return fail(report.error());
  if (std::fputs(report->c_str(), stdout) < 0 || std::fflush(stdout) != 0)
    return fail({ExitCode::IO, "stdout cannot be written"});
  return static_cast<int>(ExitCode::Ok);
}
