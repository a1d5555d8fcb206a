//===- OutputFile.cpp - Writing a file whole or not at all ----------------===//
#include "lowbit/Checkpoint/OutputFile.h"
#include "lowbit/Checkpoint/Message.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

using namespace lowbit;

namespace {

Error refuse(std::string_view path, const std::string &problem) {
  return {ExitCode::IO, escaped(path, 1024) + ": " + problem};
}

/// Who holds the flock on `inode`: `process 1234`, as /proc/locks says.
std::string lockHolder(ino_t inode) {
  std::ifstream locks("/proc/locks");
  std::string line;
  std::string wanted = ":" + std::to_string(inode) + " ";
  while (std::getline(locks, line)) {
    // 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
    char pid[16];
    if (line.find("FLOCK") != std::string::npos &&
        line.find(wanted) != std::string::npos &&
        sscanf(line.c_str(), "%*s %*s %*s %*s %15s", pid) == 1)
      return std::string("process ") + pid;
  }
  return "another process";
}

/// The umask, without setting it; the strictest where it cannot be read.
mode_t currentUmask() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line))
    if (line.rfind("Umask:", 0) == 0)
      return static_cast<mode_t>(strtoul(line.c_str() + 6, nullptr, 8));
  return 077;
}

std::string roomText(int file, uint64_t bytes) {
  struct statvfs facts;
  std::string text = "needs " + std::to_string(bytes) + " bytes";
  if (fstatvfs(file, &facts) == 0)
    text +=
        ", free are " +
        std::to_string(static_cast<uint64_t>(facts.f_bavail) * facts.f_frsize);
  return text;
}

/// Folder and plain name of an output path.
std::pair<std::string, std::string> splitPath(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

/// Whether the output may be made where it is asked for.
Status checkOutput(int directory, const std::string &name,
                   const std::string &path, const OutputOptions &options) {
  struct stat facts;
  if (fstatat(directory, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? Status()
                           : outputError(path, "cannot look at it", errno);
  if (!S_ISREG(facts.st_mode))
    return refuse(path, "exists and is not a regular file, so it is not "
                        "replaced");
  if (!options.replace)
    return refuse(path,
                  options.replaceFlag.empty()
                      ? "exists"
                      : "exists; " + options.replaceFlag + " replaces it");
  return {};
}

/// A partial that somebody else could have made or can write is not taken up.
Status checkPartial(const struct stat &facts, const std::string &partial) {
  if (S_ISREG(facts.st_mode) && facts.st_uid == geteuid() &&
      facts.st_nlink <= 1 && (facts.st_mode & 022) == 0)
    return {};
  return refuse(partial, "is in the way: must be a regular file that this user "
                         "owns and only this user can write");
}

} // namespace

Status OutputFile::lockPartial(bool resume) {
  std::string name = "." + baseName + ".partial";
  // A writer that ends between our steps makes us start again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    constexpr int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int number = retry([&] {
      return openat(directory.get(), name.c_str(), flags | O_CREAT | O_EXCL,
                    0600);
    });
    bool created = number >= 0;
    if (!created && errno == EEXIST)
      number =
          retry([&] { return openat(directory.get(), name.c_str(), flags); });
    if (number < 0 && errno == ENOENT && !created)
      continue;
    if (number < 0)
      return outputError(partial, "cannot create", errno);
    Descriptor opened(number);
    auto fail = [&](const char *what) {
      Error error = outputError(partial, what, errno);
      if (created)
        unlinkat(directory.get(), name.c_str(), 0);
      return error;
    };
    struct stat facts, named;
    if (fstat(number, &facts) != 0)
      return fail("cannot look at it");
    if (Status status = checkPartial(facts, partial))
      return status;
    if (retry([&] { return flock(number, LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK)
        return fail("cannot lock");
      return refuse(outputPath,
                    "is being written by " + lockHolder(facts.st_ino));
    }
    if (fstatat(directory.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) !=
            0 ||
        named.st_ino != facts.st_ino || named.st_dev != facts.st_dev)
      continue;
    if (!created && !resume) {
      unlinkat(directory.get(), name.c_str(), 0);
      continue;
    }
    file = std::move(opened);
    isResumed = !created;
    byteCount = static_cast<uint64_t>(facts.st_size);
    owned = true;
    return {};
  }
  return refuse(partial, "is made and removed again by another process");
}

Result<OutputFile> OutputFile::open(const std::string &path,
                                    const OutputOptions &options) {
  auto [folder, name] = splitPath(path);
  if (name.empty() || name == "." || name == ".." ||
      path.find('\0') != std::string::npos)
    return refuse(path, "is not the path of a file");
  OutputFile out;
  out.options = options;
  out.outputPath = path;
  out.baseName = name;
  out.partial = (folder == "/" ? "" : folder) + "/." + name + ".partial";
  out.directory = Descriptor(retry([&, &folder = folder] {
    return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }));
  if (!out.directory)
    return outputError(folder, "cannot open the output's folder", errno);
  if (Status status = checkOutput(out.directory.get(), name, path, options))
    return std::move(*status);
  if (Status status = out.lockPartial(options.resume))
    return std::move(*status);
  return out;
}

OutputFile::OutputFile(OutputFile &&other) noexcept {
  *this = std::move(other);
}

OutputFile &OutputFile::operator=(OutputFile &&other) noexcept {
  outputPath.swap(other.outputPath);
  baseName.swap(other.baseName);
  partial.swap(other.partial);
  std::swap(directory, other.directory);
  std::swap(file, other.file);
  std::swap(options, other.options);
  std::swap(mapping, other.mapping);
  std::swap(byteCount, other.byteCount);
  std::swap(isResumed, other.isResumed);
  std::swap(keep, other.keep);
  std::swap(owned, other.owned);
  return *this;
}

OutputFile::~OutputFile() {
  unmap();
  if (owned && !keep)
    abandon();
}

void OutputFile::abandon() {
  unlinkat(directory.get(), ("." + baseName + ".partial").c_str(), 0);
  owned = false;
}

void OutputFile::unmap() {
  if (mapping)
    munmap(mapping, static_cast<size_t>(byteCount));
  mapping = nullptr;
}

Status OutputFile::reserve(uint64_t bytes) {
  unmap();
  if (bytes > static_cast<uint64_t>(INT64_MAX))
    return outputError(
        partial, "cannot take " + std::to_string(bytes) + " bytes", EFBIG);
  off_t length = static_cast<off_t>(bytes);
  int failed = 0;
  if (bytes > 0) {
    do
      failed = posix_fallocate(file.get(), 0, length);
    while (failed == EINTR);
  }
  if (failed == 0 && bytes < byteCount &&
      retry([&] { return ftruncate(file.get(), length); }) != 0)
    failed = errno;
  if (failed == ENOSPC || failed == EDQUOT)
    return outputError(partial, roomText(file.get(), bytes), failed);
  if (failed != 0)
    return outputError(
        partial, "cannot take " + std::to_string(bytes) + " bytes", failed);
  byteCount = bytes;
  return {};
}

Status OutputFile::writeAt(uint64_t offset, Bytes bytes) {
  if (offset > static_cast<uint64_t>(INT64_MAX) ||
      bytes.size > static_cast<uint64_t>(INT64_MAX) - offset)
    return outputError(partial, "cannot write", EFBIG);
  uint64_t done = 0;
  while (done < bytes.size) {
    ssize_t wrote = retry([&] {
      return pwrite(file.get(), bytes.data + done,
                    static_cast<size_t>(bytes.size - done),
                    static_cast<off_t>(offset + done));
    });
    if (wrote <= 0)
      return outputError(partial,
                         "cannot write " + std::to_string(bytes.size) +
                             " bytes at " + std::to_string(offset),
                         wrote < 0 ? errno : EIO);
    done += static_cast<uint64_t>(wrote);
  }
  if (offset + bytes.size > byteCount) {
    unmap();
    byteCount = offset + bytes.size;
  }
  return {};
}

Result<uint8_t *> OutputFile::map() {
  if (mapping || byteCount == 0)
    return mapping;
  void *address = mmap(nullptr, static_cast<size_t>(byteCount),
                       PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED)
    return outputError(partial, "cannot map", errno);
  mapping = static_cast<uint8_t *>(address);
  return mapping;
}

Status OutputFile::sync() {
  bool ok =
      !mapping || msync(mapping, static_cast<size_t>(byteCount), MS_SYNC) == 0;
  if (ok && retry([&] { return fsync(file.get()); }) == 0)
    return {};
  // The kernel reports a lost write once only: what is there cannot be trusted.
  keep = false;
  return outputError(partial, "cannot make it last (fsync)", errno);
}

Status OutputFile::publish() {
  if (Status status = sync())
    return status;
  unmap();
  if (fchmod(file.get(), options.mode & ~currentUmask()) != 0)
    return outputError(partial, "cannot set its mode", errno);
  std::string name = "." + baseName + ".partial";
  int directoryNumber = directory.get();
  int failed;
  if (options.replace) {
    if (Status status =
            checkOutput(directoryNumber, baseName, outputPath, options))
      return status;
    failed = renameat(directoryNumber, name.c_str(), directoryNumber,
                      baseName.c_str());
  } else {
    failed = renameat2(directoryNumber, name.c_str(), directoryNumber,
                       baseName.c_str(), RENAME_NOREPLACE);
    // A file system without the flag: a second name, which never replaces.
    if (failed != 0 && (errno == EINVAL || errno == ENOSYS)) {
      failed = linkat(directoryNumber, name.c_str(), directoryNumber,
                      baseName.c_str(), 0);
      if (failed == 0)
        unlinkat(directoryNumber, name.c_str(), 0);
    }
  }
  if (failed != 0)
    return outputError(outputPath, "cannot rename the finished file", errno);
  owned = false;
  if (retry([&] { return fsync(directoryNumber); }) != 0)
    return outputError(outputPath,
                       "is complete, but its folder could not be made to last "
                       "(fsync)",
                       errno);
  if (file.close() != 0 && errno != EINTR)
    return outputError(outputPath, "cannot close", errno);
  return {};
}
