//===- TemporaryFolder.h - Files for another program ------------*- C++ -*-===//
//
// A private folder (mode 0700) that goes away with the object, for what the
// linker and the code generating child read and write.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TARGET_TEMPORARYFOLDER_H
#define LOWBIT_LIB_TARGET_TEMPORARYFOLDER_H

#include "lowbit/Checkpoint/Error.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace lowbit {

/// Owns a new folder under the system's temporary directory.
class TemporaryFolder {
public:
  /// Creates `PREFIX-XXXXXX` (exit 5 where that fails).
  static Result<TemporaryFolder> create(llvm::StringRef prefix);
  ~TemporaryFolder();
  TemporaryFolder(TemporaryFolder &&other);
  TemporaryFolder &operator=(TemporaryFolder &&) = delete;

  /// Path of a file in the folder.
  std::string file(llvm::StringRef name) const;
  /// Writes a whole file.
  Status write(llvm::StringRef name, llvm::StringRef bytes) const;
  /// Reads a whole file.
  Result<std::string> read(llvm::StringRef name) const;

private:
  explicit TemporaryFolder(std::string path) : path(std::move(path)) {}
  /// Empty after a move.
  std::string path;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TARGET_TEMPORARYFOLDER_H
