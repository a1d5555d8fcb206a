//===- Artifact.cpp - The one file that is a compiled model ---------------===//
#include "lowbit/Runtime/Artifact.h"

#include "lowbit/Checkpoint/Descriptor.h"
#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Runtime/Digest.h"
#include "lowbit/Runtime/ThreadPool.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lowbit;

/// Version of the container's content that this runner reads.
static constexpr std::string_view artifactVersion = "1";
/// Largest header of an artifact, in bytes: some 100,000 tensors.
static constexpr uint64_t maxArtifactHeader = uint64_t(1) << 24;

static Error damaged(const std::string &file, const std::string &what) {
  return {ExitCode::Mismatch, escaped(file) + ": " + what};
}

static uint64_t littleEndian(const uint8_t *data) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | data[i];
  return value;
}

/// The end of the last tensor according to the header, or nothing for a header
/// that does not say.
static std::optional<uint64_t> declaredEnd(Bytes header,
                                           const std::string &file) {
  auto json = parseJson(header.text(), file, {maxArtifactHeader});
  if (!json || !json->isObject())
    return std::nullopt;
  uint64_t end = 0;
  for (const JsonMember &member : json->asObject()) {
    const JsonValue *offsets = member.value.find("data_offsets");
    if (offsets && offsets->isArray() && offsets->asArray().size() == 2)
      if (auto last = offsets->asArray()[1].asUint64())
        end = std::max(end, *last);
  }
  return end;
}

/// Says in plain words what is wrong with a file that is too short or too long,
/// or is something else altogether; the container's reader comes after.
static Status checkLength(Bytes bytes, const std::string &file) {
  auto truncated = [&](uint64_t need) {
    return damaged(file, "truncated: have " + std::to_string(bytes.size) +
                             " bytes, need " + std::to_string(need));
  };
  if (bytes.size >= 2 && bytes.data[0] == 0x1F && bytes.data[1] == 0x8B)
    return damaged(file, "is compressed with gzip; unpack it first");
  if (bytes.size < 8)
    return truncated(8);
  uint64_t length = littleEndian(bytes.data);
  if (length > maxArtifactHeader)
    return damaged(file, "is not a lowbit artifact: header length is " +
                             std::to_string(length) + ", at most " +
                             std::to_string(maxArtifactHeader));
  auto header = bytes.sub(8, length);
  if (!header)
    return truncated(8 + length);
  auto end = declaredEnd(*header, file);
  if (!end)
    return damaged(file, "header: is not JSON of a lowbit artifact (damaged, "
                         "perhaps by a transfer in text mode)");
  uint64_t have = bytes.size - 8 - length;
  if (*end > have && *end < UINT64_MAX / 2)
    return truncated(8 + length + *end);
  if (*end < have)
    return damaged(file,
                   std::to_string(have - *end) + " bytes after the end, need " +
                       std::to_string(8 + length + *end) + " bytes, have " +
                       std::to_string(bytes.size) + " (two files joined?)");
  return {};
}

static Status checkMetadata(const SafetensorsHeader &header,
                            const std::string &file) {
  std::string version;
  const std::string *kind = nullptr, *unknown = nullptr;
  for (auto &[key, value] : header.metadata) {
    if (key == "kind")
      kind = &value;
    else if (key == "version")
      version = value;
    else
      unknown = &key;
  }
  // First of all what it is: a checkpoint has metadata of its own.
  if (!kind)
    return damaged(file, "is a checkpoint (or another safetensors file), not a "
                         "lowbit artifact; compile its folder with "
                         "lowbit-compile");
  if (*kind != "lowbit")
    return damaged(file, "is not a lowbit artifact: metadata: kind is " +
                             quoted(*kind) + ", must be \"lowbit\"");
  if (unknown)
    return damaged(file, "metadata: unknown key " + quoted(*unknown));
  if (version != artifactVersion)
    return damaged(file, "metadata: version is " + quoted(version) +
                             ", this runner reads " + quoted(artifactVersion));
  return {};
}

/// The place of a section in the file's order, or −1 for an unknown name.
static int orderOf(const std::string &name) {
  auto starts = [&](std::string_view prefix) {
    return name.size() > prefix.size() && name.rfind(prefix, 0) == 0;
  };
  if (name == "manifest")
    return 0;
  if (starts("plan."))
    return 1;
  if (starts("code.") || name == "ptx")
    return 2;
  if (name == "tokenizer")
    return 3;
  if (starts("weights."))
    return 4;
  if (name == "digest.chunks")
    return 5;
  if (name == "digest.root")
    return 6;
  return -1;
}

Result<Artifact> Artifact::open(const std::string &path) {
  auto mapped = MappedFile::open(path);
  if (!mapped)
    return mapped.error();
  Artifact artifact;
  artifact.file = std::move(*mapped);
  artifact.opened = Descriptor(
      retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!artifact.opened)
    return fileError(path, "open", errno);
  // The name may have come to mean another file between the two opens.
  if (auto error = artifact.checkUnchanged())
    return *error;
  if (auto error = artifact.readContainer())
    return *error;
  if (auto error = artifact.copySections())
    return *error;
  auto manifest =
      parseManifest(artifact.manifestText(), artifact.path() + ": manifest");
  if (!manifest)
    return manifest.error();
  artifact.facts = std::move(*manifest);
  return artifact;
}

Status Artifact::readContainer() {
  if (auto error = checkLength(file.bytes(), path()))
    return error;
  auto header = readSafetensorsHeader(file.bytes(), path());
  if (!header)
    return Error{ExitCode::Mismatch, header.error().message};
  if (auto error = checkMetadata(*header, path()))
    return error;
  if (header->dataStart % 64 != 0)
    return damaged(path(), "header: ends at " +
                               std::to_string(header->dataStart) +
                               ", not at a multiple of 64");
  int previous = 0;
  uint64_t chunk = 0;
  for (const TensorEntry &entry : header->entries) {
    std::string where = "section " + quoted(entry.name);
    int order = orderOf(entry.name);
    if (order < 0)
      return damaged(path(), where + ": unknown (made by a newer version?)");
    if (order < previous)
      return damaged(path(), where + ": out of order");
    if (entry.dtype != DType::U8 || entry.shape.size() != 1)
      return damaged(path(), where + ": is " + entry.describe() +
                                 ", must be U8 of rank 1");
    if (entry.begin % 64 != 0)
      return damaged(path(), where + ": starts at " +
                                 std::to_string(entry.begin) +
                                 ", not at a multiple of 64");
    if (entry.byteSize() == 0)
      return damaged(path(), where + ": is empty");
    previous = order;
    table.push_back(
        {entry.name, header->dataStart + entry.begin, entry.byteSize(), chunk});
    chunk += chunkCount(entry.byteSize());
  }
  return readDigests(*header);
}

Status Artifact::readDigests(const SafetensorsHeader &header) {
  if (table.size() < 2 || table[table.size() - 2].name != "digest.chunks" ||
      table.back().name != "digest.root")
    return damaged(path(), "has no digests at its end");
  const ArtifactSection &chunkSection = table[table.size() - 2];
  const ArtifactSection &rootSection = table.back();
  uint64_t expected =
      (chunkSection.firstChunk * chunkDigestBytes + 63) / 64 * 64;
  if (chunkSection.bytes != expected)
    return damaged(
        path(), "section \"digest.chunks\": has " +
                    std::to_string(chunkSection.bytes) + " bytes, must have " +
                    std::to_string(expected) + " for " +
                    std::to_string(chunkSection.firstChunk) + " chunks");
  if (rootSection.bytes != rootBytes.size())
    return damaged(path(), "section \"digest.root\": has " +
                               std::to_string(rootSection.bytes) +
                               " bytes, must have 32");
  const uint8_t *data = file.bytes().data;
  chunks.assign(reinterpret_cast<const char *>(data + chunkSection.offset),
                chunkSection.bytes);
  memcpy(rootBytes.data(), data + rootSection.offset, rootBytes.size());
  if (rootDigest({data, header.dataStart}, bytesOf(chunks)) != rootBytes)
    return damaged(path(), "section \"digest.root\": does not match header and "
                           "section \"digest.chunks\": the file is damaged");
  auto isWeight = [](const ArtifactSection &s) { return s.isWeight(); };
  auto first = std::find_if(table.begin(), table.end(), isWeight);
  weightsBegin = (first == table.end() ? chunkSection : *first).offset;
  weightsEnd = chunkSection.offset;
  return {};
}

/// Compares one chunk with its digest.
static bool chunkIsRight(const std::string &chunks, uint64_t index,
                         Bytes content) {
  Xxh128Digest digest = digestChunk(content);
  return memcmp(digest.data(), chunks.data() + index * chunkDigestBytes,
                chunkDigestBytes) == 0;
}

static Error wrongChunk(const std::string &file, const ArtifactSection &section,
                        uint64_t chunk) {
  return damaged(file,
                 "section " + quoted(section.name) + ": chunk " +
                     std::to_string(chunk) + " (4 MiB from byte " +
                     std::to_string(section.offset + chunk * digestChunkBytes) +
                     ") does not match its digest: the file is damaged");
}

/// Part `chunk` of a section's content.
static Bytes chunkOf(Bytes content, uint64_t chunk) {
  uint64_t at = chunk * digestChunkBytes;
  return {content.data + at, std::min(digestChunkBytes, content.size - at)};
}

Status Artifact::copySections() {
  for (const ArtifactSection &section : table) {
    if (section.isWeight() || section.name.rfind("digest.", 0) == 0)
      continue;
    std::string &copy = copies[section.name];
    copy.assign(
        reinterpret_cast<const char *>(file.bytes().data + section.offset),
        section.bytes);
    for (uint64_t i = 0; i < chunkCount(section.bytes); ++i)
      if (!chunkIsRight(chunks, section.firstChunk + i,
                        chunkOf(bytesOf(copy), i)))
        return wrongChunk(path(), section, i);
  }
  for (const char *name : {"manifest", "tokenizer"})
    if (!copies.count(name))
      return damaged(path(), "has no section " + quoted(name));
  return {};
}

Result<std::string_view> Artifact::section(const std::string &name) const {
  auto copy = copies.find(name);
  if (copy == copies.end())
    return damaged(path(), "has no section " + quoted(name));
  return std::string_view(copy->second);
}

Status Artifact::verifyWeights(ThreadPool &pool) const {
  uint64_t first = 0, last = 0;
  for (const ArtifactSection &section : table)
    if (section.isWeight()) {
      first = first == 0 ? section.firstChunk : first;
      last = section.firstChunk + chunkCount(section.bytes);
    }
  std::atomic<uint64_t> wrong{UINT64_MAX};
  // Chunks are handed out one by one: the file may come from a slow disk.
  std::atomic<uint64_t> next{first};
  pool.run([&](int) {
    for (uint64_t i; (i = next.fetch_add(1)) < last;) {
      auto section =
          std::upper_bound(table.begin(), table.end(), i,
                           [](uint64_t chunk, const ArtifactSection &s) {
                             return chunk < s.firstChunk;
                           });
      --section;
      Bytes content{file.bytes().data + section->offset, section->bytes};
      if (chunkIsRight(chunks, i, chunkOf(content, i - section->firstChunk)))
        continue;
      uint64_t smallest = wrong.load();
      while (i < smallest && !wrong.compare_exchange_weak(smallest, i))
        ;
    }
  });
  if (auto error = checkUnchanged())
    return error;
  if (wrong == UINT64_MAX)
    return {};
  for (const ArtifactSection &section : table)
    if (wrong - section.firstChunk < chunkCount(section.bytes))
      return wrongChunk(path(), section, wrong - section.firstChunk);
  return {};
}

Status Artifact::checkUnchanged() const {
  struct stat now;
  if (fstat(opened.get(), &now) != 0)
    return fileError(path(), "stat", errno);
  const FileIdentity &then = file.openedAs();
  if (FileIdentity{now.st_dev, now.st_ino, static_cast<uint64_t>(now.st_size),
                   now.st_mtim.tv_sec, now.st_mtim.tv_nsec} == then)
    return {};
  return Error{ExitCode::IO, escaped(path()) +
                                 ": changed while it was in use (had " +
                                 std::to_string(then.size) + " bytes, now " +
                                 std::to_string(now.st_size) + ")"};
}
