//===- CodeGenerator.cpp - Code generation in a child process ---*- C++ -*-===//
//
// Parent and child speak through a private folder: `module.mlir` in,
// `code.so` out, diagnostics in `log`. The command line of the child is
//
//   PROGRAM --lowbit-generate-code FOLDER TARGET JOBS DUMP_FOLDER PTXAS
//
//===----------------------------------------------------------------------===//

#include "lowbit/Target/CodeGenerator.h"
#include "TemporaryFolder.h"
#include "lowbit/Target/EmitDevice.h"
#include "lowbit/Target/LinkObject.h"
#include "lowbit/Target/TargetInfo.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"
#include <csignal>
#include <optional>
#include <sys/prctl.h>
#include <sys/resource.h>

using namespace lowbit;

static constexpr llvm::StringLiteral callFlag = "--lowbit-generate-code";
static constexpr int callArguments = 7;

bool lowbit::isCodeGeneratorCall(int argc, char **argv) {
  return argc == callArguments && argv[1] == callFlag;
}

//===----------------------------------------------------------------------===//
// The parent
//===----------------------------------------------------------------------===//

/// Leaves `module` where a person finds it; its path, or why there is none.
static std::string writeReproducer(llvm::StringRef module,
                                   const CodeGeneratorOptions &options) {
  llvm::SmallString<128> path(options.reproducerDirectory);
  if (path.empty())
    path = ".";
  llvm::sys::path::append(path, "lowbit-reproducer-%%%%%%.mlir");
  int file = -1;
  llvm::SmallString<128> name;
  if (auto error = llvm::sys::fs::createUniqueFile(path, file, name))
    return "none (" + path.str().str() + ": " + error.message() + ")";
  llvm::raw_fd_ostream stream(file, /*shouldClose=*/true);
  stream << "// Copy to FOLDER/module.mlir and run: " << options.program << " "
         << callFlag << " FOLDER/ " << options.emit.target << " 1 '' ''\n"
         << module;
  stream.close();
  bool failed = stream.has_error();
  stream.clear_error();
  return failed ? "none (" + name.str().str() + ": cannot be written)"
                : name.str().str();
}

/// The last lines of a log, for one message.
static std::string summarize(llvm::StringRef log) {
  constexpr size_t limit = 2000;
  return log.trim().take_back(limit).str();
}

/// What the child's end means. An orderly refusal keeps its code; all else is a
/// defect of ours.
static Error describeEnd(int code, const std::string &message,
                         llvm::StringRef log, llvm::StringRef module,
                         const CodeGeneratorOptions &options) {
  bool orderly = code == int(ExitCode::Unsupported) ||
                 code == int(ExitCode::IO) || code == int(ExitCode::Memory);
  if (orderly)
    return {ExitCode(code), summarize(log)};
  std::string how =
      message.empty() ? "exit code " + std::to_string(code) : message;
  return {ExitCode::Internal,
          "code generation for " + options.emit.target + " failed (" + how +
              "); reproducer: " + writeReproducer(module, options) +
              (log.trim().empty() ? "" : "\n" + summarize(log))};
}

Result<std::string> lowbit::generateCode(mlir::ModuleOp module,
                                         const CodeGeneratorOptions &options) {
  std::string text;
  llvm::raw_string_ostream(text) << module << "\n";
  Result<TemporaryFolder> folder = TemporaryFolder::create("lowbit-code");
  if (!folder)
    return folder.error();
  if (Status failure = folder->write("module.mlir", text))
    return *failure;

  std::string path = folder->file("");
  std::string jobs = std::to_string(options.emit.jobs);
  llvm::StringRef arguments[callArguments] = {
      options.program,     callFlag, path,
      options.emit.target, jobs,     options.emit.dumpDirectory,
      options.emit.ptxas};
  std::string log = folder->file("log");
  std::string message;
  bool notStarted = false;
  int code = llvm::sys::ExecuteAndWait(
      options.program, arguments, std::nullopt,
      {llvm::StringRef(), llvm::StringRef(log), llvm::StringRef(log)},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message, &notStarted);
  if (notStarted)
    return Error{ExitCode::IO,
                 options.program +
                     ": cannot be started to generate code: " + message};
  if (code == 0)
    return folder->read("code.so");
  Result<std::string> said = folder->read("log");
  return describeEnd(code, message, said ? *said : "", text, options);
}

//===----------------------------------------------------------------------===//
// The child
//===----------------------------------------------------------------------===//

/// A crash must leave no core file; the child must not survive its parent. An
/// interrupt from the terminal reaches both: the parent decides what it means.
static void isolateProcess() {
  std::signal(SIGINT, SIG_IGN);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static Result<std::string> compile(llvm::StringRef folder,
                                   const EmitOptions &options,
                                   mlir::MLIRContext &context,
                                   LowerKernels lower) {
  std::string path = (folder + "module.mlir").str();
  auto text = llvm::MemoryBuffer::getFile(path);
  if (!text)
    return Error{ExitCode::IO, path + ": " + text.getError().message()};
  auto module = mlir::parseSourceString<mlir::ModuleOp>((*text)->getBuffer(),
                                                        &context, path);
  if (!module)
    return Error{ExitCode::Internal, "the kernel module cannot be read back"};
  if (!lower(*module, options))
    return Error{ExitCode::Unsupported,
                 "kernels cannot be lowered for " + options.target};
  const TargetInfo &target = getVariants(options.target).front();
  if (target.isGpu() && !target.isEmulated()) {
    Result<DeviceCode> code = emitDeviceCode(*module, options);
    if (!code)
      return code.error();
    return std::move(code->bytes);
  }
  Result<std::vector<std::string>> objects = emitObjects(*module, options);
  if (!objects)
    return objects.error();
  return linkObjects(*objects);
}

int lowbit::runCodeGenerator(int argc, char **argv,
                             mlir::DialectRegistry &registry,
                             LowerKernels lower) {
  if (!isCodeGeneratorCall(argc, argv))
    return int(ExitCode::Usage);
  isolateProcess();
  llvm::StringRef folder = argv[2];
  EmitOptions options;
  options.target = argv[3];
  if (!llvm::to_integer(argv[4], options.jobs) || options.jobs < 1)
    return int(ExitCode::Usage);
  options.dumpDirectory = argv[5];
  options.ptxas = argv[6];

  registerKernelDialects(registry);
  std::optional<llvm::DefaultThreadPool> pool; // outlives the context
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  if (options.jobs > 1) {
    pool.emplace(llvm::hardware_concurrency(options.jobs));
    context.setThreadPool(*pool);
  }
  Result<std::string> code = compile(folder, options, context, lower);
  if (!code) {
    llvm::errs() << code.error().message << "\n";
    return int(code.error().code);
  }
  std::error_code error;
  llvm::raw_fd_ostream stream((folder + "code.so").str(), error);
  if (!error) {
    stream << *code;
    stream.close();
    error = stream.error();
    stream.clear_error();
  }
  if (!error)
    return int(ExitCode::Ok);
  llvm::errs() << folder << "code.so: " << error.message() << "\n";
  return int(ExitCode::IO);
}
