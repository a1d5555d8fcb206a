//===- Journal.cpp - How far an interrupted compilation came --------------===//

#include "lowbit/Pipelines/Journal.h"
#include "lowbit/Checkpoint/File.h"
#include "lowbit/Checkpoint/Hash.h"
#include "lowbit/Checkpoint/JsonField.h"
#include "lowbit/Checkpoint/Message.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

using namespace lowbit;

namespace {

constexpr uint64_t maxJournalBytes = uint64_t(1) << 30;
constexpr JsonLimits lineLimits{uint64_t(1) << 22};

std::string fingerprintLine(const Fingerprint &fingerprint) {
  JsonValue json = JsonValue::object();
  for (const auto &[name, value] : fingerprint)
    json.set(name, value);
  return writeJson(json);
}

Status writeLine(int file, const std::string &path, std::string line) {
  line += '\n';
  if (!writeAll(file, bytesOf(line)))
    return outputError(path, "write", errno);
  return std::nullopt;
}

/// Complete lines of `text`; a last line without its end does not count.
std::vector<std::string> splitLines(const std::string &text) {
  std::vector<std::string> lines;
  size_t start = 0;
  for (size_t end; (end = text.find('\n', start)) != std::string::npos;
       start = end + 1)
    lines.push_back(text.substr(start, end - start));
  return lines;
}

bool isDigest(const std::string &text) {
  return text.size() == 2 * sizeof(Sha256Digest);
}

/// The fields in which a journal's fingerprint is not ours; empty where there
/// are none.
std::string differences(const std::string &line,
                        const Fingerprint &fingerprint) {
  Result<JsonValue> json = parseJson(line, "journal", lineLimits);
  if (!json || !json->isObject())
    return "its first line";
  std::string fields;
  for (const auto &[name, value] : fingerprint) {
    const JsonValue *theirs = json->find(name);
    if (theirs && theirs->isString() && theirs->asString() == value)
      continue;
    fields += (fields.empty() ? "" : ", ") + name;
    if (theirs && theirs->isString() && !isDigest(value))
      fields +=
          " (" + quoted(theirs->asString()) + ", now " + quoted(value) + ")";
  }
  return fields;
}

Error otherJob(const std::string &path, const std::string &fields) {
  return {ExitCode::Mismatch,
          escaped(path) + ": is of another compilation, different in " +
              (fields.empty() ? "its fields" : fields) +
              "; without --resume it is made from the start"};
}

} // namespace

std::string Journal::pathFor(const std::string &output) {
  size_t slash = output.rfind('/');
  std::string folder =
      slash == std::string::npos ? "" : output.substr(0, slash + 1);
  std::string name =
      slash == std::string::npos ? output : output.substr(slash + 1);
  return folder + "." + name + ".journal";
}

Result<Journal> Journal::create(const std::string &output,
                                const Fingerprint &fingerprint) {
  Journal journal;
  journal.path = pathFor(output);
  ::unlink(journal.path.c_str());
  journal.file = Descriptor(retry([&] {
    return ::open(
        journal.path.c_str(),
        O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  }));
  if (!journal.file)
    return outputError(journal.path, "create", errno);
  if (Status status = writeLine(journal.file.get(), journal.path,
                                fingerprintLine(fingerprint))) {
    journal.remove();
    return *status;
  }
  return journal;
}

Status Journal::check(const std::string &output, const Fingerprint &known) {
  std::string path = pathFor(output);
  if (::access(path.c_str(), F_OK) != 0)
    return std::nullopt;
  Result<std::string> text = readFile(path, maxJournalBytes);
  if (!text)
    return text.error();
  std::vector<std::string> lines = splitLines(*text);
  if (lines.empty()) // Killed before it said anything.
    return std::nullopt;
  std::string fields = differences(lines[0], known);
  return fields.empty() ? Status() : otherJob(path, fields);
}

Result<std::optional<Journal>> Journal::resume(const std::string &output,
                                               const Fingerprint &fingerprint) {
  std::string path = pathFor(output);
  if (::access(path.c_str(), F_OK) != 0)
    return std::optional<Journal>();
  Result<std::string> text = readFile(path, maxJournalBytes);
  if (!text)
    return text.error();
  Journal journal;
  journal.path = path;
  journal.lines = splitLines(*text);
  if (journal.lines.empty()) // Killed before it said anything.
    return std::optional<Journal>();
  if (journal.lines[0] != fingerprintLine(fingerprint))
    return otherJob(path, differences(journal.lines[0], fingerprint));
  journal.lines.erase(journal.lines.begin());
  journal.file = Descriptor(retry([&] {
    return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  }));
  if (!journal.file)
    return outputError(path, "open", errno);
  // A kill may have left half a line: what follows must not be glued to it.
  if (text->back() != '\n')
    if (Status status = writeLine(journal.file.get(), path, ""))
      return *status;
  return std::optional<Journal>(std::move(journal));
}

std::vector<std::optional<LedgerEntry>>
Journal::complete(size_t tensors,
                  const std::function<Bytes(size_t index)> &bytesOf) const {
  std::vector<std::optional<LedgerEntry>> entries(tensors);
  for (const std::string &line : lines) {
    Result<JsonValue> json = parseJson(line, path, lineLimits);
    if (!json)
      continue; // Half a line.
    JsonField root(*json, path);
    Result<uint64_t> index = root.get("tensor").integer(0);
    Result<std::string_view> digest = root.get("digest").string();
    Result<LedgerEntry> entry = ledgerEntryFromJson(root.get("entry"));
    if (!index || *index >= tensors || !digest || !entry)
      continue;
    if (hex(xxh128(bytesOf(*index))) == *digest)
      entries[*index] = std::move(*entry);
  }
  return entries;
}

Status Journal::append(size_t index, Bytes bytes, const LedgerEntry &entry) {
  JsonValue json = JsonValue::object();
  json.set("tensor", index);
  json.set("digest", hex(xxh128(bytes)));
  json.set("entry", ledgerEntryToJson(entry));
  return writeLine(file.get(), path, writeJson(json));
}

void Journal::remove() {
  file.close();
  ::unlink(path.c_str());
}
