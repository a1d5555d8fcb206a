//===- File.h - Reading files that may be hostile ---------------*- C++ -*-===//
//
// A MappedFile is the bytes of a regular file, mapped for reading. A Folder
// opens files by plain name and cannot be led outside: the kernel resolves
// links beneath the folder (openat2, RESOLVE_BENEATH). The one layout of links
// that leaves a folder lawfully is the Hugging Face cache, whose
// `snapshots/<rev>/x` link to `../../blobs/<hash>`; exactly that is followed.
//
// No descriptor stays open (10,000 shards work under `ulimit -n 64`): the
// mapping holds the file, and `checkUnchanged` looks at the name again. A file
// that is cut while it is mapped raises SIGBUS at the next touch; call
// `checkUnchanged` before a long read.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_FILE_H
#define LOWBIT_CHECKPOINT_FILE_H

#include "lowbit/Checkpoint/Bytes.h"
#include "lowbit/Checkpoint/Descriptor.h"
#include "lowbit/Checkpoint/Error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

class Folder;

/// What must stay the same while a file is read.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t modifiedSeconds = 0;
  int64_t modifiedNanoseconds = 0;

  bool operator==(const FileIdentity &other) const;
};

/// A regular file, mapped whole and read-only. Move-only.
class MappedFile {
public:
  /// Nothing: no bytes.
  MappedFile() = default;
  /// Opens a path that the user gave (links are followed). Exit 3 for what is
  /// missing, unreadable or no regular file (never blocks on a FIFO).
  static Result<MappedFile> open(const std::string &path);

  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();

  Bytes bytes() const { return {data, identity.size}; }
  uint64_t size() const { return identity.size; }
  /// The path, for messages.
  const std::string &name() const { return fileName; }
  const FileIdentity &openedAs() const { return identity; }

  /// Exit 5 where the name no longer leads to the file that was mapped, or its
  /// size or time of change differs.
  Status checkUnchanged() const;

private:
  friend class Folder;
  static Result<MappedFile> map(const Descriptor &file, std::string path);

  const uint8_t *data = nullptr;
  FileIdentity identity;
  std::string fileName;
  /// How to find the file again: by plain name in the folder it came from, or
  /// by its path where that is null.
  std::shared_ptr<const Folder> folder;
  std::string nameInFolder;
};

/// An opened directory, out of which nothing leads.
class Folder : public std::enable_shared_from_this<Folder> {
public:
  /// Opens a directory that the user gave. Exit 3 where there is none.
  static Result<std::shared_ptr<const Folder>> open(const std::string &path);

  const std::string &path() const { return folderPath; }
  /// The path of a file in it, for messages.
  std::string pathOf(std::string_view name) const;
  /// Whether this is a snapshot of a Hugging Face cache.
  bool isCacheSnapshot() const { return static_cast<bool>(blobs); }

  /// Whether `name` is a plain file name: not empty, `.` or `..`, at most 255
  /// bytes, without `/`, `\`, `:` or control characters.
  static bool isPlainName(std::string_view name);

  /// The directory's file names in sorted order, as bytes; at most `limit`
  /// (exit 3 beyond).
  Result<std::vector<std::string>> list(size_t limit = 100000) const;
  /// Whether there is something with that name (a dangling link counts).
  bool has(std::string_view name) const;

  /// Maps a file by plain name; errors as MappedFile::open, and exit 3 for a
  /// name that is not plain or a link that leads outside.
  Result<MappedFile> map(const std::string &name) const;
  /// Reads a small file whole; exit 3 beyond `limit` bytes.
  Result<std::string> read(const std::string &name, uint64_t limit) const;

private:
  friend class MappedFile;
  Folder() = default;
  Result<Descriptor> openFile(const std::string &name, int flags) const;

  std::string folderPath;
  Descriptor directory;
  /// `../../blobs` of a cache snapshot, else nothing.
  Descriptor blobs;
};

/// Makes a SIGBUS (a mapped file was cut, or its disk failed) end the process
/// with one line on stderr and exit 5 instead of a core dump. Changes the whole
/// process: for the main function of a tool, never for a library.
void exitOnMappedFileFault();

/// Reads a small file that the user named; exit 3 beyond `limit` bytes, or
/// where it is no regular file.
Result<std::string> readFile(const std::string &path, uint64_t limit);

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_FILE_H
