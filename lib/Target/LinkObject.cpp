//===- LinkObject.cpp - Objects to one shared object ------------*- C++ -*-===//

#include "lowbit/Target/LinkObject.h"
#include "TemporaryFolder.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

#include <cerrno>
#include <system_error>

using namespace lowbit;

static Result<std::string> findLinker() {
  if (llvm::sys::fs::can_execute(LOWBIT_LLD))
    return std::string(LOWBIT_LLD);
  if (llvm::ErrorOr<std::string> path =
          llvm::sys::findProgramByName("ld.lld-22"))
    return *path;
  return Error{ExitCode::IO, "linker: neither " LOWBIT_LLD
                             " nor ld.lld-22 in PATH; install lld-22"};
}

/// Whether the linker's message is about a file that could not be read or
/// written: the objects are ours, so that all else is a defect.
static bool speaksOfInputOutput(llvm::StringRef message) {
  for (int error : {EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EMFILE, ENFILE, ENOENT,
                    EACCES, EPERM})
    if (message.contains(std::generic_category().message(error)))
      return true;
  return false;
}

/// Runs the linker in `folder`, whose files it names relatively: no path of
/// this machine may reach the output.
static Status runLinker(const TemporaryFolder &folder, size_t objects) {
  Result<std::string> linker = findLinker();
  if (!linker)
    return linker.error();
  // Text stays unwritable and the table becomes read-only after relocation;
  // no build id, since the digest of the artifact names the code.
  std::vector<std::string> arguments = {*linker,
                                        "-shared",
                                        "--gc-sections",
                                        "--no-undefined",
                                        "--hash-style=gnu",
                                        "--build-id=none",
                                        "-Bsymbolic",
                                        "-z",
                                        "relro",
                                        "-z",
                                        "now",
                                        "-z",
                                        "noexecstack",
                                        "-z",
                                        "text",
                                        "-z",
                                        "separate-code",
                                        "--strip-all",
                                        "--threads=1",
                                        "-soname",
                                        "lowbit-kernels",
                                        "-o",
                                        folder.file("code.so")};
  for (size_t i = 0; i < objects; ++i)
    arguments.push_back(folder.file(std::to_string(i) + ".o"));
  std::vector<llvm::StringRef> views(arguments.begin(), arguments.end());
  std::string log = folder.file("log");
  std::string message;
  int code = llvm::sys::ExecuteAndWait(
      *linker, views, std::nullopt,
      {llvm::StringRef(), llvm::StringRef(log), llvm::StringRef(log)},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
  if (code == 0)
    return {};
  Result<std::string> text = folder.read("log");
  std::string said = message + (text ? *text : "");
  return Error{speaksOfInputOutput(said) ? ExitCode::IO : ExitCode::Internal,
               *linker + " failed (" + std::to_string(code) + "): " + said};
}

Result<std::string> lowbit::linkObjects(llvm::ArrayRef<std::string> objects) {
  Result<TemporaryFolder> folder = TemporaryFolder::create("lowbit-link");
  if (!folder)
    return folder.error();
  for (size_t i = 0; i < objects.size(); ++i)
    if (Status failure = folder->write(std::to_string(i) + ".o", objects[i]))
      return *failure;
  if (Status failure = runLinker(*folder, objects.size()))
    return *failure;
  Result<std::string> code = folder->read("code.so");
  if (!code)
    return code.error();
  if (Status failure = verifyCodeObject(*code))
    return *failure;
  return code;
}
