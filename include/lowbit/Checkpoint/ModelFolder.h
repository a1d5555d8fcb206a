//===- ModelFolder.h - A Hugging Face model folder --------------*- C++ -*-===//
//
// config.json, weights in one safetensors file or in shards with an index, and
// the tokenizer's files. Weights are found by name, wherever they are; nothing
// else is opened, and nothing in the folder is ever executed. Where both
// `model.safetensors` and an index are there, the single file is taken, as
// transformers does.
//
//   auto folder = ModelFolder::open("models/books-7m");
//   const TensorRef *norm = folder->find("model.norm.weight");
//   Bytes bytes = folder->bytes(*norm);
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_MODELFOLDER_H
#define LOWBIT_CHECKPOINT_MODELFOLDER_H

#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Checkpoint/Safetensors.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// A tensor and the file that holds it.
struct TensorRef {
  /// Owned by the folder, as is the name in it.
  const TensorEntry *entry = nullptr;
  /// Number of the file: see ModelFolder::shardName.
  uint32_t shard = 0;

  const std::string &name() const { return entry->name; }
};

/// How strictly a folder is read.
struct ModelFolderOptions {
  /// Refuse tensors that a shard has and the index does not name.
  bool strict = false;
};

/// An opened model folder. Move-only; everything it returns lives as long.
class ModelFolder {
public:
  /// Opens and checks config.json, the index and the header of every shard.
  static Result<ModelFolder> open(const std::string &path,
                                  const ModelFolderOptions &options = {});

  const std::string &path() const { return folder->path(); }
  /// The path of a file in it, for messages.
  std::string pathOf(std::string_view name) const {
    return folder->pathOf(name);
  }
  /// config.json; its root is an object.
  const JsonValue &config() const { return configuration; }

  /// All tensors, sorted by name.
  const std::vector<TensorRef> &tensors() const { return refs; }
  /// The tensor with that name, or null; a binary search.
  const TensorRef *find(std::string_view name) const;

  size_t shardCount() const { return shards.size(); }
  /// The shard's file name in the folder.
  const std::string &shardName(uint32_t shard) const { return names[shard]; }
  const MappedFile &shardFile(uint32_t shard) const {
    return shards[shard].file();
  }
  /// Offset of the tensor's first byte in its file.
  uint64_t fileOffset(const TensorRef &tensor) const;
  /// The tensor's bytes, mapped; any alignment.
  Bytes bytes(const TensorRef &tensor) const;
  /// Exit 5 where a shard changed since it was opened.
  Status checkUnchanged() const;

  /// Whether the folder has a file of that name (`tokenizer.json`,
  /// `tokenizer_config.json`, `generation_config.json`).
  bool hasFile(std::string_view name) const { return folder->has(name); }
  /// The bytes of such a file, at most `limit`.
  Result<std::string> readFile(const std::string &name, uint64_t limit) const {
    return folder->read(name, limit);
  }

  /// What a user should know, one line each (nothing is printed here).
  const std::vector<std::string> &notes() const { return noteList; }

private:
  ModelFolder() = default;
  Status openSharded(const ModelFolderOptions &options);
  Status addShard(const std::string &name);
  Status sortTensors();
  Status dropUnnamed(const std::vector<bool> &named, bool strict);
  Error noWeights(const std::vector<std::string> &names) const;

  std::shared_ptr<const Folder> folder;
  JsonValue configuration;
  std::vector<Safetensors> shards;
  /// File names of `shards`.
  std::vector<std::string> names;
  std::vector<TensorRef> refs;
  std::vector<std::string> noteList;
};

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_MODELFOLDER_H
