//===- ParameterBytes.h - Where the interpreter gets bytes ------*- C++ -*-===//
//
// A module names the bytes of its parameters (`#lowbit.source`); these classes
// find them: in a model folder or beside a module (safetensors files by name),
// or in an artifact, whose tensors are sources with the file name ".".
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_PARAMETERBYTES_H
#define LOWBIT_REFERENCE_PARAMETERBYTES_H

#include "lowbit/Checkpoint/Safetensors.h"
#include "lowbit/IR/Lowbit.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lowbit {

/// Finds the bytes that a source names.
class ParameterBytes {
public:
  virtual ~ParameterBytes();
  /// The `source.getBytes()` bytes, valid as long as this object; exit 3 where
  /// there are none.
  virtual Result<Bytes> find(SourceAttr source) = 0;
};

/// No bytes at all: for modules whose parameters are all computed.
class NoParameterBytes : public ParameterBytes {
public:
  Result<Bytes> find(SourceAttr source) override;
};

/// Files of the folders given, in order; each is mapped and its header read at
/// first use. The file must hold a tensor of the source's name at the source's
/// offset, and have its bytes (or more of them: a table whose last rows are not
/// part of the model).
class FolderBytes : public ParameterBytes {
public:
  explicit FolderBytes(std::vector<std::string> folders);
  Result<Bytes> find(SourceAttr source) override;

private:
  Result<const Safetensors *> open(const std::string &file);

  std::vector<std::string> folders;
  std::map<std::string, std::unique_ptr<Safetensors>> files;
};

/// The tensors of one artifact by name, for sources with the file name ".";
/// offsets are not used. The artifact must outlive this object.
class ArtifactBytes : public ParameterBytes {
public:
  explicit ArtifactBytes(const Safetensors &artifact) : artifact(artifact) {}
  Result<Bytes> find(SourceAttr source) override;

private:
  const Safetensors &artifact;
};

} // namespace lowbit

#endif // LOWBIT_REFERENCE_PARAMETERBYTES_H
