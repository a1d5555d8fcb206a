//===- ParameterBytes.cpp - Where the interpreter gets bytes ----*- C++ -*-===//

#include "lowbit/Reference/ParameterBytes.h"

#include "lowbit/Checkpoint/Message.h"

#include <cassert>

using namespace lowbit;

ParameterBytes::~ParameterBytes() = default;

Result<Bytes> NoParameterBytes::find(SourceAttr source) {
  return badInput(source.getFile().str(), source.getTensor().str(),
                  "is needed, and no folder of weights is given");
}

FolderBytes::FolderBytes(std::vector<std::string> folders)
    : folders(std::move(folders)) {
  assert(!this->folders.empty() && "give at least one folder");
}

Result<const Safetensors *> FolderBytes::open(const std::string &file) {
  std::unique_ptr<Safetensors> &slot = files[file];
  if (slot)
    return slot.get();
  if (file.find('/') != std::string::npos) {
    Result<Safetensors> opened = Safetensors::open(file);
    if (!opened)
      return opened.error();
    slot = std::make_unique<Safetensors>(std::move(*opened));
    return slot.get();
  }
  // The first folder that has the file; the last one's error if none has it.
  for (const std::string &path : folders) {
    Result<std::shared_ptr<const Folder>> folder = Folder::open(path);
    if (!folder)
      return folder.error();
    if (!(*folder)->has(file) && path != folders.back())
      continue;
    Result<MappedFile> mapped = (*folder)->map(file);
    if (!mapped)
      return mapped.error();
    Result<Safetensors> opened = Safetensors::open(std::move(*mapped));
    if (!opened)
      return opened.error();
    slot = std::make_unique<Safetensors>(std::move(*opened));
    break;
  }
  return slot.get();
}

Result<Bytes> FolderBytes::find(SourceAttr source) {
  std::string file = source.getFile().str(), tensor = source.getTensor().str();
  Result<const Safetensors *> opened = open(file);
  if (!opened)
    return opened.error();
  const TensorEntry *entry = (*opened)->find(tensor);
  if (!entry)
    return badInput(file, tensor, "is not in the file");
  uint64_t offset = (*opened)->fileOffset(*entry);
  if (offset != static_cast<uint64_t>(source.getOffset()))
    return badInput(file, tensor,
                    "starts at byte " + std::to_string(offset) +
                        ", the module says " +
                        std::to_string(source.getOffset()));
  std::optional<Bytes> part =
      (*opened)->bytes(*entry).sub(0, static_cast<uint64_t>(source.getBytes()));
  if (!part)
    return badInput(file, tensor,
                    "has " + std::to_string(entry->byteSize()) +
                        " bytes, the module says " +
                        std::to_string(source.getBytes()));
  return *part;
}

Result<Bytes> ArtifactBytes::find(SourceAttr source) {
  std::string tensor = source.getTensor().str();
  const std::string &file = artifact.file().name();
  if (source.getFile() != ".")
    return badInput(file, tensor,
                    "is in " + quoted(source.getFile().str()) +
                        ", an artifact has only its own tensors (\".\")");
  const TensorEntry *entry = artifact.find(tensor);
  if (!entry)
    return badInput(file, tensor, "is not in the artifact");
  // Tensors of an artifact are padded to 64 bytes (Spec.md, section 6).
  uint64_t bytes = static_cast<uint64_t>(source.getBytes());
  if (entry->byteSize() != bytes && entry->byteSize() != (bytes + 63) / 64 * 64)
    return badInput(file, tensor,
                    "has " + std::to_string(entry->byteSize()) +
                        " bytes, its module says " +
                        std::to_string(source.getBytes()));
  return *artifact.bytes(*entry).sub(0, bytes);
}
