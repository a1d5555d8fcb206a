//===- ModelFolder.cpp - A Hugging Face model folder ----------------------===//
#include "lowbit/Checkpoint/ModelFolder.h"
#include "lowbit/Checkpoint/Checked.h"
#include "lowbit/Checkpoint/ForeignFormat.h"
#include "lowbit/Checkpoint/JsonField.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cassert>

using namespace lowbit;

namespace {

constexpr const char *configName = "config.json";
constexpr const char *singleName = "model.safetensors";
constexpr const char *indexName = "model.safetensors.index.json";
constexpr size_t maxShards = 16384;

/// Reads and parses one of the folder's JSON files; its root is an object.
Result<JsonValue> readJson(const Folder &folder, const std::string &name,
                           const JsonLimits &limits) {
  Result<std::string> text = folder.read(name, limits.bytes);
  if (!text)
    return text.error();
  std::string path = folder.pathOf(name);
  Result<JsonValue> json = parseJson(*text, path, limits);
  if (!json) {
    Error error = json.error();
    error.message += foreignFormatHint(bytesOf(*text));
    return error;
  }
  if (Result<const JsonObject *> root = JsonField(*json, path).object(); !root)
    return root.error();
  return json;
}

/// `a, b, c and 4 more`
std::string listOf(const std::vector<std::string> &names) {
  constexpr size_t shown = 10;
  std::string text;
  for (size_t i = 0; i < names.size() && i < shown; ++i)
    text += (i ? ", " : "") + escaped(names[i]);
  if (names.size() > shown)
    text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

bool endsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         text.substr(text.size() - end.size()) == end;
}

/// A row of the index: which shard has a tensor.
struct IndexRow {
  std::string_view tensor;
  std::string_view shard;
};

/// `weight_map`, checked: an object of plain file names, not empty.
Result<std::vector<IndexRow>> readWeightMap(const JsonField &root) {
  JsonField map = root.get("weight_map");
  Result<const JsonObject *> object = map.object();
  if (!object)
    return object.error();
  if ((*object)->size() == 0)
    return map.bad("is empty, must name at least one tensor");
  std::vector<IndexRow> rows;
  rows.reserve((*object)->size());
  for (const JsonMember &member : **object) {
    JsonField field = map.get(member.key);
    Result<std::string_view> shard = field.string();
    if (!shard)
      return shard.error();
    if (!Folder::isPlainName(*shard))
      return field.mustBe("a plain file name, without folders");
    rows.push_back({member.key, *shard});
  }
  return rows;
}

/// The shards that the index names, sorted; all must be there.
Result<std::vector<std::string>> shardNames(const std::vector<IndexRow> &rows,
                                            const Folder &folder) {
  std::vector<std::string> names;
  names.reserve(rows.size());
  for (const IndexRow &row : rows)
    names.emplace_back(row.shard);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string path = folder.pathOf(indexName);
  if (names.size() > maxShards)
    return badInput(path, "weight_map",
                    "names " + std::to_string(names.size()) +
                        " shards, limit " + std::to_string(maxShards));
  std::vector<std::string> missing;
  for (const std::string &name : names)
    if (!folder.has(name))
      missing.push_back(name);
  if (!missing.empty())
    return badInput(path, "weight_map",
                    "names shards that are missing: " + listOf(missing));
  return names;
}

/// A note where `metadata.total_size` is not the size of the tensors.
void checkTotalSize(const JsonField &root, const std::vector<TensorRef> &refs,
                    std::vector<std::string> &notes) {
  JsonField field = root.get("metadata").get("total_size");
  if (field.isAbsent())
    return;
  uint64_t total = 0;
  for (const TensorRef &ref : refs)
    total = checkedAdd(total, ref.entry->byteSize()).value_or(UINT64_MAX);
  bool same = field.value()->isNumber() &&
              field.value()->asDouble() == static_cast<double>(total);
  if (!same)
    notes.push_back(escaped(field.fileName(), 1024) +
                    ": metadata.total_size: is " + field.describe() +
                    ", but the tensors have " + std::to_string(total) +
                    " bytes");
}

} // namespace

Error ModelFolder::noWeights(const std::vector<std::string> &names) const {
  std::string problem = std::string("has no weights: neither ") + singleName +
                        " nor " + indexName;
  std::vector<std::string> other;
  for (const std::string &name : names)
    for (std::string_view end : {".bin", ".pth", ".pt", ".ckpt", ".gguf", ".h5",
                                 ".msgpack", ".safetensors", ".onnx"})
      if (endsWith(name, end))
        other.push_back(name);
  if (!other.empty())
    problem += "; it has " + listOf(other) +
               ", which lowbit does not read (pickles are never opened: "
               "convert to safetensors)";
  return badInput(path(), {}, problem);
}

Status ModelFolder::addShard(const std::string &name) {
  Result<MappedFile> file = folder->map(name);
  if (!file)
    return file.error();
  Result<Safetensors> shard = Safetensors::open(std::move(*file));
  if (!shard)
    return shard.error();
  auto number = static_cast<uint32_t>(shards.size());
  shards.push_back(std::move(*shard));
  names.push_back(name);
  // Moving a Safetensors leaves its entries where they are.
  for (const TensorEntry &entry : shards.back().entries())
    refs.push_back({&entry, number});
  return {};
}

/// Sorts the tensors by name; a name in two shards is an error.
Status ModelFolder::sortTensors() {
  std::sort(
      refs.begin(), refs.end(), [](const TensorRef &a, const TensorRef &b) {
        return a.name() != b.name() ? a.name() < b.name() : a.shard < b.shard;
      });
  auto twice = std::adjacent_find(refs.begin(), refs.end(),
                                  [](const TensorRef &a, const TensorRef &b) {
                                    return a.name() == b.name();
                                  });
  if (twice == refs.end())
    return {};
  return badInput(path(), twice->name(),
                  "is in two shards, " + escaped(shardName(twice->shard)) +
                      " and " + escaped(shardName((twice + 1)->shard)));
}

Status ModelFolder::openSharded(const ModelFolderOptions &options) {
  Result<JsonValue> index = readJson(*folder, indexName, indexLimits);
  if (!index)
    return index.error();
  JsonField root(*index, folder->pathOf(indexName));
  Result<std::vector<IndexRow>> rows = readWeightMap(root);
  if (!rows)
    return rows.error();
  Result<std::vector<std::string>> wanted = shardNames(*rows, *folder);
  if (!wanted)
    return wanted.error();
  for (const std::string &name : *wanted)
    if (Status status = addShard(name))
      return status;
  if (Status status = sortTensors())
    return status;
  std::vector<bool> named(refs.size());
  for (const IndexRow &row : *rows) {
    const TensorRef *ref = find(row.tensor);
    JsonField field = root.get("weight_map").get(row.tensor);
    if (!ref)
      return field.bad("is not in " + escaped(row.shard) +
                       ", nor in any other shard");
    if (shardName(ref->shard) != row.shard)
      return field.bad("is not in " + escaped(row.shard) + ", but in " +
                       escaped(shardName(ref->shard)));
    named[static_cast<size_t>(ref - refs.data())] = true;
  }
  if (Status status = dropUnnamed(named, options.strict))
    return status;
  checkTotalSize(root, refs, noteList);
  return {};
}

/// Tensors that the index does not name are not part of the model.
Status ModelFolder::dropUnnamed(const std::vector<bool> &named, bool strict) {
  std::vector<std::string> unnamed;
  std::vector<TensorRef> kept;
  for (size_t i = 0; i < refs.size(); ++i) {
    if (named[i])
      kept.push_back(refs[i]);
    else
      unnamed.push_back(refs[i].name());
  }
  refs = std::move(kept);
  if (unnamed.empty())
    return {};
  std::string problem =
      "does not name tensors that the shards have: " + listOf(unnamed);
  Error error = badInput(folder->pathOf(indexName), "weight_map", problem);
  if (strict)
    return error;
  noteList.push_back(error.message + " (left out)");
  return {};
}

Result<ModelFolder> ModelFolder::open(const std::string &path,
                                      const ModelFolderOptions &options) {
  Result<std::shared_ptr<const Folder>> folder = Folder::open(path);
  if (!folder)
    return folder.error();
  ModelFolder model;
  model.folder = std::move(*folder);
  Result<JsonValue> config = readJson(*model.folder, configName, configLimits);
  if (!config)
    return config.error();
  model.configuration = std::move(*config);

  bool single = model.folder->has(singleName);
  bool sharded = model.folder->has(indexName);
  Status status;
  if (single) {
    status = model.addShard(singleName);
    if (!status)
      status = model.sortTensors();
  } else if (sharded) {
    status = model.openSharded(options);
  } else {
    Result<std::vector<std::string>> names = model.folder->list();
    return names ? model.noWeights(*names) : names.error();
  }
  if (status)
    return std::move(*status);
  if (single && sharded)
    model.noteList.push_back(escaped(path, 1024) + ": has both " + singleName +
                             " and " + indexName + "; " + singleName +
                             " is taken");
  return model;
}

const TensorRef *ModelFolder::find(std::string_view name) const {
  auto place =
      std::lower_bound(refs.begin(), refs.end(), name,
                       [](const TensorRef &ref, std::string_view wanted) {
                         return ref.name() < wanted;
                       });
  if (place == refs.end() || place->name() != name)
    return nullptr;
  return &*place;
}

uint64_t ModelFolder::fileOffset(const TensorRef &tensor) const {
  return shards[tensor.shard].fileOffset(*tensor.entry);
}

Bytes ModelFolder::bytes(const TensorRef &tensor) const {
  return shards[tensor.shard].bytes(*tensor.entry);
}

Status ModelFolder::checkUnchanged() const {
  for (const Safetensors &shard : shards)
    if (Status status = shard.file().checkUnchanged())
      return status;
  return {};
}
