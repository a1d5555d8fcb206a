//===- Artifact.h - The one file that is a compiled model -------*- C++ -*-===//
//
// Opens an artifact (Spec.md, section 6): checks container, kind, version,
// order and root digest, and takes private copies of everything that is not a
// weight, checked chunk by chunk. Weights are not read before they are wanted;
// verifyWeights checks them all. Nothing is executed or parsed beyond the
// manifest.
//
//   auto artifact = Artifact::open("model.lowbit");
//   if (!artifact)
//     return artifact.error();
//   std::string_view plan = *artifact->section("plan.x86_64");
//
// Everything wrong with the file's content is exit 7 and names the section and,
// for damage, the chunk of 4 MiB.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_ARTIFACT_H
#define LOWBIT_RUNTIME_ARTIFACT_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Checkpoint/Hash.h"
#include "lowbit/Checkpoint/Safetensors.h"
#include "lowbit/Runtime/Manifest.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

class ThreadPool;

/// A tensor of an artifact, without its content.
struct ArtifactSection {
  std::string name;
  /// Place in the file.
  uint64_t offset = 0;
  uint64_t bytes = 0;
  /// Number of its first chunk among all chunks of the file.
  uint64_t firstChunk = 0;

  bool isWeight() const { return name.rfind("weights.", 0) == 0; }
};

/// An opened artifact. Move-only.
class Artifact {
public:
  /// See the head of this file. Exit 3 where there is no such regular file.
  static Result<Artifact> open(const std::string &path);

  const std::string &path() const { return file.name(); }
  const std::string &manifestText() const { return copies.at("manifest"); }
  const Manifest &manifest() const { return facts; }
  const Sha256Digest &root() const { return rootBytes; }
  uint64_t fileBytes() const { return file.size(); }

  /// All tensors in the order of the file.
  const std::vector<ArtifactSection> &sections() const { return table; }

  /// The checked content of a tensor that is no weight; exit 7 where there is
  /// none of that name.
  Result<std::string_view> section(const std::string &name) const;

  /// Offset and size of all weights together: they are contiguous.
  uint64_t weightsOffset() const { return weightsBegin; }
  uint64_t weightsBytes() const { return weightsEnd - weightsBegin; }
  /// The file's bytes from the first weight on, mapped; 64 bytes after their
  /// end can be read, too.
  const uint8_t *weights() const { return file.bytes().data + weightsBegin; }
  /// Descriptor of the file, for reading.
  int descriptor() const { return opened.get(); }

  /// Compares every chunk of the weights with its digest, on all threads of
  /// `pool`. Exit 7 names the first that differs.
  Status verifyWeights(ThreadPool &pool) const;

  /// Exit 5 where the file has another size or time of change than when it was
  /// opened (it was written to; a file that took its name does not matter).
  Status checkUnchanged() const;

private:
  Artifact() = default;
  Status readContainer();
  Status readDigests(const SafetensorsHeader &header);
  Status copySections();

  MappedFile file;
  Descriptor opened;
  std::vector<ArtifactSection> table;
  /// The content of all tensors but weights, by name.
  std::map<std::string, std::string> copies;
  std::string chunks;
  Sha256Digest rootBytes{};
  Manifest facts;
  uint64_t weightsBegin = 0;
  uint64_t weightsEnd = 0;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_ARTIFACT_H
