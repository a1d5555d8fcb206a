//===- OutputFile.h - Writing a file whole or not at all --------*- C++ -*-===//
//
// The bytes go to `.<name>.partial` in the folder of the output (mode 0600, one
// writer by flock), room is taken before the first byte is written, and
// `publish` makes it the output: fsync, rename, fsync of the folder. At every
// instant the output's path holds the old file or the new one. A partial that
// a kill left behind is taken up again where the caller asks to resume, else
// removed by the next writer.
//
//   auto out = OutputFile::open("model.lowbit", {});
//   if (Status s = out->reserve(bytes)) return s;
//   if (Status s = out->writeAt(0, header)) return s;
//   return out->publish();
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_OUTPUTFILE_H
#define LOWBIT_CHECKPOINT_OUTPUTFILE_H

#include "lowbit/Checkpoint/Bytes.h"
#include "lowbit/Checkpoint/Descriptor.h"
#include "lowbit/Checkpoint/Error.h"

#include <cstdint>
#include <string>

namespace lowbit {

/// How an output is made.
struct OutputOptions {
  /// An output that exists is replaced; else it is refused (exit 5).
  bool replace = false;
  /// How a user says so (`--force`), for the message.
  std::string replaceFlag;
  /// Take up a partial that an earlier run left; else it is removed.
  bool resume = false;
  /// Permissions of the published file, less the umask.
  unsigned mode = 0644;
};

/// A file in the making. The destructor removes the partial unless
/// `keepForResume` was called. Errors are exit 5 and name errno and the path.
class OutputFile {
public:
  /// Exit 5 where the folder cannot be written, the output exists (or is a
  /// directory), or another process writes it (named by its pid).
  static Result<OutputFile> open(const std::string &path,
                                 const OutputOptions &options = {});

  OutputFile(OutputFile &&other) noexcept;
  OutputFile &operator=(OutputFile &&other) noexcept;
  ~OutputFile();

  /// Whether a partial of an earlier run was taken up.
  bool resumed() const { return isResumed; }
  /// Bytes that the partial has now.
  uint64_t size() const { return byteCount; }
  const std::string &path() const { return outputPath; }

  /// Makes the file exactly `bytes` long and takes the room on the disk; where
  /// it is not there, the line says bytes needed and free.
  Status reserve(uint64_t bytes);
  /// Writes all of `bytes` at `offset`.
  Status writeAt(uint64_t offset, Bytes bytes);
  /// The reserved bytes mapped for writing, valid until `publish`, `reserve` or
  /// the end; several threads may fill disjoint parts.
  Result<uint8_t *> map();
  /// Makes what was written so far survive a power cut.
  Status sync();
  /// Leave the partial where it is when this object goes without `publish`.
  void keepForResume() { keep = true; }
  /// Makes it the output. Whatever fails, an old output is untouched.
  Status publish();

private:
  OutputFile() = default;
  Status lockPartial(bool resume);
  void unmap();
  void abandon();

  std::string outputPath;
  /// Name of the output in its folder, and path of the partial.
  std::string baseName;
  std::string partial;
  Descriptor directory;
  Descriptor file;
  OutputOptions options;
  uint8_t *mapping = nullptr;
  uint64_t byteCount = 0;
  bool isResumed = false;
  bool keep = false;
  bool owned = false;
};

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_OUTPUTFILE_H
