//===- Trust.cpp - Which artifacts may run code ---------------------------===//
#include "lowbit/Runtime/Trust.h"

#include "lowbit/Checkpoint/Descriptor.h"
#include "lowbit/Checkpoint/Message.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lowbit;

static constexpr size_t keyBytes = 32;

Result<std::string> lowbit::trustFolder() {
  const char *config = getenv("XDG_CONFIG_HOME");
  if (config && config[0] == '/')
    return std::string(config) + "/lowbit";
  const char *home = getenv("HOME");
  if (home && home[0] == '/')
    return std::string(home) + "/.config/lowbit";
  return Error{ExitCode::IO, "no folder for trust records: neither "
                             "XDG_CONFIG_HOME nor HOME is an absolute path"};
}

/// mkdir -p with mode 0700.
static Status makeFolders(const std::string &path) {
  for (size_t at = 1; at <= path.size(); ++at) {
    if (at < path.size() && path[at] != '/')
      continue;
    std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
      return outputError(part, "make folder", errno);
  }
  return {};
}

/// Reads up to `limit` bytes of a regular file; nothing where there is none.
static Result<std::optional<std::string>>
readSmall(const std::string &path, size_t limit, struct stat &facts) {
  Descriptor file(retry(
      [&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR)
      return std::optional<std::string>();
    return Error{ExitCode::Mismatch, outputError(path, "open", errno).message};
  }
  if (fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode))
    return Error{ExitCode::Mismatch, escaped(path) + ": not a regular file"};
  std::string content(limit + 1, '\0');
  size_t size = 0;
  while (size < content.size()) {
    ssize_t count = retry([&] {
      return read(file.get(), content.data() + size, content.size() - size);
    });
    if (count < 0)
      return Error{ExitCode::IO, outputError(path, "read", errno).message};
    if (count == 0)
      break;
    size += static_cast<size_t>(count);
  }
  content.resize(size);
  return std::optional<std::string>(std::move(content));
}

/// Writes `content` to `path` as a whole, with mode 0600. With `keep` a file
/// that another process has put there meanwhile stays.
static Status writeSmall(const std::string &path, const std::string &content,
                         bool keep) {
  std::string partial = path + ".tmp-" + std::to_string(getpid());
  unlink(partial.c_str());
  Descriptor file(retry([&] {
    return open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  }));
  if (!file)
    return outputError(partial, "create", errno);
  auto fail = [&](const char *action) {
    Error error = outputError(path, action, errno);
    unlink(partial.c_str());
    return error;
  };
  if (!writeAll(file.get(), bytesOf(content)) ||
      retry([&] { return fsync(file.get()); }) != 0)
    return fail("write");
  if (!keep) {
    if (rename(partial.c_str(), path.c_str()) != 0)
      return fail("rename");
    return {};
  }
  if (link(partial.c_str(), path.c_str()) != 0 && errno != EEXIST)
    return fail("link");
  unlink(partial.c_str());
  return {};
}

static std::string keyPath(const std::string &folder) {
  return folder + "/key";
}

static std::string recordPath(const std::string &folder,
                              const Sha256Digest &root) {
  return folder + "/trusted/" + hex(root);
}

/// The user's key, or nothing where none was made yet.
static Result<std::optional<std::string>> readKey(const std::string &folder) {
  std::string path = keyPath(folder);
  struct stat facts;
  auto key = readSmall(path, keyBytes, facts);
  if (!key || !*key)
    return key;
  if (facts.st_uid != geteuid())
    return Error{ExitCode::Mismatch, escaped(path) + ": belongs to user " +
                                         std::to_string(facts.st_uid) +
                                         ", not to you; remove it"};
  if (facts.st_mode & 077) {
    char mode[8];
    snprintf(mode, sizeof(mode), "%04o", facts.st_mode & 07777);
    return Error{ExitCode::Mismatch,
                 escaped(path) + ": mode is " + mode +
                     ", must be 0600 (others may have read the key: remove it "
                     "and compile again, or pass --trust)"};
  }
  if ((*key)->size() != keyBytes)
    return Error{ExitCode::Mismatch,
                 escaped(path) + ": has " + std::to_string((*key)->size()) +
                     " bytes, must have " + std::to_string(keyBytes)};
  return key;
}

static Status makeKey(const std::string &folder) {
  std::string key(keyBytes, '\0');
  size_t have = 0;
  while (have < keyBytes) {
    ssize_t count =
        retry([&] { return getrandom(key.data() + have, keyBytes - have, 0); });
    if (count < 0)
      return outputError(keyPath(folder), "draw random bytes for", errno);
    have += static_cast<size_t>(count);
  }
  return writeSmall(keyPath(folder), key, /*keep=*/true);
}

/// The content of a record.
static std::string recordText(const std::string &key,
                              const Sha256Digest &root) {
  Sha256Digest mac = hmacSha256(bytesOf(key), {root.data(), root.size()});
  return hex(mac) + "\n";
}

Status lowbit::recordTrust(const std::string &folder,
                           const Sha256Digest &root) {
  if (auto error = makeFolders(folder + "/trusted"))
    return error;
  auto key = readKey(folder);
  if (key && !*key) {
    if (auto error = makeKey(folder))
      return error;
    key = readKey(folder);
  }
  if (!key)
    return key.error();
  if (!*key)
    return Error{ExitCode::IO, escaped(keyPath(folder)) + ": vanished"};
  return writeSmall(recordPath(folder, root), recordText(**key, root),
                    /*keep=*/false);
}

Status lowbit::checkTrust(const std::string &folder, const Sha256Digest &root,
                          const std::string &file) {
  auto distrust = [&](const std::string &why) {
    return Error{ExitCode::Mismatch,
                 escaped(file) + ": " + why +
                     "; it holds machine code, so it runs only where you "
                     "compiled it, or with --trust if you trust its origin"};
  };
  auto key = readKey(folder);
  if (!key)
    return key.error();
  struct stat facts;
  auto record = readSmall(recordPath(folder, root), 2 * 32 + 1, facts);
  if (!record)
    return record.error();
  if (!*record)
    return distrust("no record that you made this artifact");
  if (!*key)
    return distrust("the key of its trust record is missing");
  // Compare digests of both texts: the time tells nothing about the MAC.
  if (!equalDigests(sha256(bytesOf(recordText(**key, root))),
                    sha256(bytesOf(**record))))
    return distrust("its trust record was not made with your key");
  return {};
}
