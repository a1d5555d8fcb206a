//===- Ptxas.cpp - NVIDIA's assembler ---------------------------*- C++ -*-===//

#include "Ptxas.h"
#include "LowerKernel.h"
#include "TemporaryFolder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"
#include <cstdlib>

using namespace lowbit;

Result<std::string> lowbit::findAssembler(const EmitOptions &options) {
  if (!options.ptxas.empty()) {
    if (llvm::sys::fs::can_execute(options.ptxas))
      return options.ptxas;
    return Error{ExitCode::IO,
                 "ptxas: " + options.ptxas + " is no program that can be run"};
  }
  if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName("ptxas"))
    return *path;
  const char *home = std::getenv("CUDA_HOME");
  std::string inHome = std::string(home ? home : "") + "/bin/ptxas";
  if (home && llvm::sys::fs::can_execute(inHome))
    return inHome;
  return Error{ExitCode::IO,
               "ptxas: not in PATH and not in $CUDA_HOME/bin" +
                   std::string(home ? "" : " (which is not set)") +
                   "; install the CUDA toolkit or the Python package "
                   "nvidia-cuda-nvcc, give --ptxas, or take the target ptx"};
}

/// The number before ` what` in a line, or 0.
static int64_t numberBefore(llvm::StringRef line, llvm::StringRef what) {
  size_t end = line.find(what);
  if (end == llvm::StringRef::npos)
    return 0;
  llvm::StringRef before = line.take_front(end).rtrim();
  size_t start = before.find_last_not_of("0123456789");
  int64_t number = 0;
  before.drop_front(start == llvm::StringRef::npos ? 0 : start + 1)
      .getAsInteger(10, number);
  return number;
}

// ptxas info    : Compiling entry function 'gate_768' for 'sm_90a'
// ptxas info    : Function properties for gate_768
//     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
// ptxas info    : Used 32 registers, used 1 barriers, 1024 bytes smem
Status lowbit::readUsage(llvm::StringRef log, std::vector<KernelUsage> &usage) {
  KernelUsage *current = nullptr;
  size_t described = 0;
  llvm::SmallVector<llvm::StringRef> lines;
  log.split(lines, '\n');
  for (llvm::StringRef line : lines) {
    size_t entry = line.find("Compiling entry function '");
    if (entry != llvm::StringRef::npos) {
      llvm::StringRef name = line.drop_front(entry).split('\'').second;
      name = name.split('\'').first;
      current = nullptr;
      for (KernelUsage &kernel : usage)
        if (kernel.name == name)
          current = &kernel;
    }
    if (!current)
      continue;
    if (line.contains("bytes stack frame")) {
      current->stackBytes = numberBefore(line, " bytes stack frame");
      current->spillBytes = numberBefore(line, " bytes spill stores") +
                            numberBefore(line, " bytes spill loads");
    } else if (line.contains(" registers")) {
      current->registers = numberBefore(line, " registers");
      current->sharedBytes = numberBefore(line, " bytes smem");
      ++described;
    }
  }
  if (described == usage.size())
    return {};
  return Error{ExitCode::Internal,
               "ptxas -v describes " + std::to_string(described) + " of " +
                   std::to_string(usage.size()) + " kernels:\n" + log.str()};
}

/// Runs the assembler once: the cubin, `usage` filled in.
static Result<std::string> runAssembler(const std::string &program,
                                        const std::string &ptx,
                                        llvm::StringRef chip,
                                        const EmitOptions &options,
                                        std::vector<KernelUsage> &usage) {
  Result<TemporaryFolder> folder = TemporaryFolder::create("lowbit-ptxas");
  if (!folder)
    return folder.error();
  if (Status failure = folder->write("kernels.ptx", ptx))
    return *failure;
  std::string architecture = "-arch=" + chip.str();
  std::string input = folder->file("kernels.ptx");
  std::string output = folder->file("kernels.cubin");
  std::string log = folder->file("log");
  std::string jobs = "--split-compile=" + std::to_string(options.jobs);
  // No contraction beyond what the PTX says.
  std::vector<llvm::StringRef> arguments = {program, architecture,   "-O3",
                                            "-v",    "--fmad=false", jobs,
                                            "-o",    output,         input};
  std::string message;
  int code = llvm::sys::ExecuteAndWait(
      program, arguments, std::nullopt,
      {llvm::StringRef(), llvm::StringRef(log), llvm::StringRef(log)},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
  Result<std::string> said = folder->read("log");
  std::string text = said ? *said : "";
  if (!options.dumpDirectory.empty())
    if (Status failure = writeDump(options, "ptxas", "log", text))
      return *failure;
  if (code != 0)
    return Error{ExitCode::Internal, program + " failed (" +
                                         std::to_string(code) +
                                         "): " + message + text};
  if (Status failure = readUsage(text, usage))
    return *failure;
  return folder->read("kernels.cubin");
}

static bool isSpilled(const KernelUsage &kernel) {
  return kernel.spillBytes != 0 || kernel.stackBytes != 0;
}

std::string lowbit::freeRegisters(llvm::StringRef ptx,
                                  llvm::ArrayRef<KernelUsage> usage) {
  std::string result;
  bool isCurrent = false;
  llvm::SmallVector<llvm::StringRef> lines;
  ptx.split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (llvm::StringRef line : lines) {
    llvm::StringRef entry = line.split(".entry ").second;
    if (!entry.empty())
      isCurrent = llvm::any_of(usage, [&](const KernelUsage &kernel) {
        return isSpilled(kernel) && entry.split('(').first == kernel.name;
      });
    result += (line + "\n").str();
    if (isCurrent && line.starts_with(".reqntid"))
      result += ".minnctapersm 1\n";
  }
  return result;
}

Result<std::string> lowbit::assemble(const std::string &ptx,
                                     llvm::StringRef chip,
                                     const EmitOptions &options,
                                     std::vector<KernelUsage> &usage) {
  Result<std::string> program = findAssembler(options);
  if (!program)
    return program.error();
  Result<std::string> cubin = runAssembler(*program, ptx, chip, options, usage);
  if (cubin && llvm::any_of(usage, isSpilled))
    cubin =
        runAssembler(*program, freeRegisters(ptx, usage), chip, options, usage);
  if (cubin && !options.dumpDirectory.empty())
    if (Status failure = writeDump(options, "kernels", "cubin", *cubin))
      return *failure;
  return cubin;
}
