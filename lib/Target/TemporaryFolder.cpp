//===- TemporaryFolder.cpp - Files for another program ----------*- C++ -*-===//

#include "TemporaryFolder.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace lowbit;

Result<TemporaryFolder> TemporaryFolder::create(llvm::StringRef prefix) {
  llvm::SmallString<128> path;
  if (std::error_code error =
          llvm::sys::fs::createUniqueDirectory(prefix, path))
    return Error{ExitCode::IO,
                 "temporary folder " + prefix.str() + ": " + error.message()};
  return TemporaryFolder(path.str().str());
}

TemporaryFolder::TemporaryFolder(TemporaryFolder &&other)
    : path(std::move(other.path)) {
  other.path.clear();
}

TemporaryFolder::~TemporaryFolder() {
  if (!path.empty())
    llvm::sys::fs::remove_directories(path, /*IgnoreErrors=*/true);
}

std::string TemporaryFolder::file(llvm::StringRef name) const {
  return path + "/" + name.str();
}

Status TemporaryFolder::write(llvm::StringRef name,
                              llvm::StringRef bytes) const {
  std::error_code error;
  llvm::raw_fd_ostream stream(file(name), error);
  if (!error) {
    stream << bytes;
    stream.close();
    error = stream.error();
    stream.clear_error();
  }
  if (error)
    return Error{ExitCode::IO, file(name) + ": " + error.message()};
  return {};
}

Result<std::string> TemporaryFolder::read(llvm::StringRef name) const {
  auto buffer = llvm::MemoryBuffer::getFile(file(name), /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return Error{ExitCode::IO, file(name) + ": " + buffer.getError().message()};
  return (*buffer)->getBuffer().str();
}
