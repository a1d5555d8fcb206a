//===- ProfileFile.h - A profile in the making ------------------*- C++ -*-===//
//
// Spec.md, section 9. Every size is known before the first number is, so parts
// are written to their places as they are done; the file appears whole or not
// at all.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_CALIBRATE_PROFILEFILE_H
#define LOWBIT_TOOLS_CALIBRATE_PROFILEFILE_H

#include "lowbit/Checkpoint/OutputFile.h"
#include "lowbit/Checkpoint/Safetensors.h"
#include "lowbit/Pipelines/ObservedModel.h"

#include <map>

namespace lowbit::calibrate {

/// Facts of the file as a whole.
struct ProfileFacts {
  /// SHA-256 of model (ObservedModel::fingerprint) and text.
  std::string model, text;
  std::string moments;
  int64_t tokens = 0;
  int64_t rows = 0;
  int64_t context = 0;
  /// Rows of each sample.
  int64_t sampleRows = 0;
};

/// See the head of this file.
class ProfileFile {
public:
  /// Exit 5 where the output cannot be written or exists (unless `replace`).
  static Result<ProfileFile> open(const std::string &path, bool replace);

  /// Lays out the tensors of all parts of `model` and takes the room on the
  /// disk. Exit 3 for names that safetensors does not take, 5 as above.
  Status layOut(const ObservedModel &model, const ProfileFacts &facts);
  /// Where the moments and the sample of an observation go: f32 and f16 of any
  /// alignment. `layOut` must have been called.
  uint8_t *moments(const std::string &name) { return place("h." + name); }
  uint8_t *sample(const std::string &name) { return place("sample." + name); }

  uint64_t size() const { return bytes; }
  Status publish() { return file.publish(); }

private:
  explicit ProfileFile(OutputFile file) : file(std::move(file)) {}
  void addTensor(const std::string &name, DType type,
                 std::vector<uint64_t> shape);
  uint8_t *place(const std::string &tensor) { return places.at(tensor); }

  OutputFile file;
  std::vector<TensorEntry> entries;
  std::map<std::string, uint8_t *> places;
  uint64_t bytes = 0;
};

} // namespace lowbit::calibrate

#endif // LOWBIT_TOOLS_CALIBRATE_PROFILEFILE_H
