//===- File.cpp - Reading files that may be hostile -----------------------===//
#include "lowbit/Checkpoint/File.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace lowbit;

bool FileIdentity::operator==(const FileIdentity &other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         modifiedSeconds == other.modifiedSeconds &&
         modifiedNanoseconds == other.modifiedNanoseconds;
}

namespace {

// O_NONBLOCK: opening a FIFO must not wait for its other end.
constexpr int readFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

FileIdentity identityOf(const struct stat &facts) {
  return {facts.st_dev, facts.st_ino, static_cast<uint64_t>(facts.st_size),
          facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec};
}

const char *kindOf(mode_t mode) {
  if (S_ISDIR(mode))
    return "a directory";
  if (S_ISFIFO(mode))
    return "a FIFO";
  if (S_ISSOCK(mode))
    return "a socket";
  return "a device";
}

Error notRegular(std::string_view path, const char *kind) {
  return badInput(path, {}, std::string("is ") + kind + ", not a regular file");
}

/// The identity of an open file, which must be a regular one.
Result<FileIdentity> regularFile(const Descriptor &file,
                                 std::string_view path) {
  struct stat facts;
  if (fstat(file.get(), &facts) != 0)
    return fileError(path, "cannot look at it", errno);
  if (!S_ISREG(facts.st_mode))
    return notRegular(path, kindOf(facts.st_mode));
  return identityOf(facts);
}

Error openError(std::string_view path, int errorNumber) {
  if (errorNumber == ENXIO)
    return notRegular(path, "a socket or a device without a driver");
  return fileError(path, "cannot open", errorNumber);
}

Result<Descriptor> openPath(const std::string &path, int flags) {
  if (path.find('\0') != std::string::npos)
    return badInput(path, {}, "is no path: has a NUL byte");
  int number = retry([&] { return ::open(path.c_str(), flags); });
  if (number < 0)
    return openError(path, errno);
  return Descriptor(number);
}

/// openat2 below `directory`; -1 and errno where it fails.
int openBeneath(int directory, const char *name, int flags, uint64_t resolve) {
  struct open_how how = {};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve;
  // EAGAIN: something was renamed on the way; the kernel could not be sure.
  int number;
  unsigned attempts = 0;
  do
    number = retry([&] {
      return static_cast<int>(
          syscall(SYS_openat2, directory, name, &how, sizeof how));
    });
  while (number < 0 && errno == EAGAIN && ++attempts < 1000);
  return number;
}

Result<std::string> readWhole(const Descriptor &file, std::string_view path,
                              uint64_t limit) {
  Result<FileIdentity> identity = regularFile(file, path);
  if (!identity)
    return identity.error();
  auto tooLarge = [&](uint64_t size) {
    return badInput(path, {},
                    "is " + std::to_string(size) + " bytes, limit " +
                        std::to_string(limit));
  };
  if (identity->size > limit)
    return tooLarge(identity->size);
  // One byte more than the file claims: growth shows.
  std::string text(static_cast<size_t>(identity->size) + 1, '\0');
  size_t filled = 0;
  while (true) {
    ssize_t got = retry([&] {
      return ::read(file.get(), text.data() + filled, text.size() - filled);
    });
    if (got < 0)
      return fileError(path, "cannot read", errno);
    filled += static_cast<size_t>(got);
    if (got == 0)
      break;
    if (filled > limit)
      return tooLarge(filled);
    if (filled == text.size())
      text.resize(filled * 2);
  }
  text.resize(filled);
  return text;
}

} // namespace

//===----------------------------------------------------------------------===//
// MappedFile
//===----------------------------------------------------------------------===//

Result<MappedFile> MappedFile::map(const Descriptor &file, std::string path) {
  Result<FileIdentity> identity = regularFile(file, path);
  if (!identity)
    return identity.error();
  MappedFile result;
  if (identity->size > 0) {
    void *address = mmap(nullptr, static_cast<size_t>(identity->size),
                         PROT_READ, MAP_SHARED, file.get(), 0);
    if (address == MAP_FAILED)
      return fileError(path, "cannot map", errno);
    result.data = static_cast<const uint8_t *>(address);
  }
  result.identity = *identity;
  result.fileName = std::move(path);
  return result;
}

Result<MappedFile> MappedFile::open(const std::string &path) {
  Result<Descriptor> file = openPath(path, readFlags);
  if (!file)
    return file.error();
  return map(*file, path);
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : data(std::exchange(other.data, nullptr)),
      identity(std::exchange(other.identity, {})),
      fileName(std::move(other.fileName)), folder(std::move(other.folder)),
      nameInFolder(std::move(other.nameInFolder)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data, other.data);
  std::swap(identity, other.identity);
  fileName.swap(other.fileName);
  folder.swap(other.folder);
  nameInFolder.swap(other.nameInFolder);
  return *this;
}

MappedFile::~MappedFile() {
  if (data)
    munmap(const_cast<uint8_t *>(data), static_cast<size_t>(identity.size));
}

Status MappedFile::checkUnchanged() const {
  // The mapping holds the inode, so its number cannot be given to a new file.
  Result<Descriptor> file = folder ? folder->openFile(nameInFolder, O_PATH)
                                   : openPath(fileName, O_PATH | O_CLOEXEC);
  struct stat facts;
  if (!file)
    return Error{ExitCode::IO,
                 file.error().message + ", but it was there when opened"};
  if (fstat(file->get(), &facts) != 0)
    return outputError(fileName, "cannot look at it", errno);
  if (identityOf(facts) == identity)
    return {};
  std::string change = "changed while it was in use";
  if (identityOf(facts).inode != identity.inode)
    change = "was replaced while it was in use";
  else if (static_cast<uint64_t>(facts.st_size) != identity.size)
    change += ": was " + std::to_string(identity.size) + " bytes, is " +
              std::to_string(facts.st_size);
  return Error{ExitCode::IO, escaped(fileName, 1024) + ": " + change};
}

//===----------------------------------------------------------------------===//
// Folder
//===----------------------------------------------------------------------===//

namespace {

/// `../../blobs` of `directory` where its path ends in `snapshots/<rev>`.
Descriptor openBlobs(const std::string &path, const Descriptor &directory) {
  char *real = realpath(path.c_str(), nullptr);
  std::string whole = real ? real : "";
  free(real);
  size_t slash = whole.rfind('/');
  std::string_view parent = slash == std::string::npos
                                ? std::string_view()
                                : std::string_view(whole).substr(0, slash);
  constexpr std::string_view snapshots = "/snapshots";
  if (parent.size() < snapshots.size() ||
      parent.substr(parent.size() - snapshots.size()) != snapshots)
    return {};
  return Descriptor(openat(directory.get(), "../../blobs",
                           O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/// Where a link of a cache snapshot leads: X of `../../blobs/X`, else nothing.
std::string blobOf(int directory, const std::string &name) {
  constexpr std::string_view prefix = "../../blobs/";
  char target[PATH_MAX];
  ssize_t length = readlinkat(directory, name.c_str(), target, sizeof target);
  if (length <= 0 || static_cast<size_t>(length) >= sizeof target)
    return {};
  std::string_view text(target, static_cast<size_t>(length));
  if (text.substr(0, prefix.size()) != prefix ||
      !Folder::isPlainName(text.substr(prefix.size())))
    return {};
  return std::string(text.substr(prefix.size()));
}

} // namespace

bool Folder::isPlainName(std::string_view name) {
  if (name.empty() || name.size() > NAME_MAX || name == "." || name == "..")
    return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || c == ':' || c == 0x7F ||
           static_cast<unsigned char>(c) < 0x20;
  });
}

std::string Folder::pathOf(std::string_view name) const {
  std::string path = folderPath;
  path += path.empty() || path.back() == '/' ? "" : "/";
  path += name;
  return path;
}

Result<std::shared_ptr<const Folder>> Folder::open(const std::string &path) {
  Result<Descriptor> directory =
      openPath(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (!directory)
    return directory.error();
  std::shared_ptr<Folder> folder(new Folder);
  folder->folderPath = path;
  folder->directory = std::move(*directory);
  folder->blobs = openBlobs(path, folder->directory);
  return std::shared_ptr<const Folder>(std::move(folder));
}

Result<std::vector<std::string>> Folder::list(size_t limit) const {
  int number = openat(directory.get(), ".",
                      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
  if (number < 0)
    return fileError(folderPath, "cannot list", errno);
  DIR *stream = fdopendir(number);
  if (!stream) {
    Error error = fileError(folderPath, "cannot list", errno);
    ::close(number);
    return error;
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent *entry = readdir(stream)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..")
      names.emplace_back(name);
    if (names.size() > limit)
      break;
    errno = 0;
  }
  int readError = errno;
  closedir(stream);
  if (names.size() > limit)
    return badInput(folderPath, {},
                    "has more than " + std::to_string(limit) +
                        " files, which is the limit");
  if (readError != 0)
    return fileError(folderPath, "cannot list", readError);
  std::sort(names.begin(), names.end());
  return names;
}

bool Folder::has(std::string_view name) const {
  struct stat facts;
  return isPlainName(name) &&
         fstatat(directory.get(), std::string(name).c_str(), &facts,
                 AT_SYMLINK_NOFOLLOW) == 0;
}

Result<Descriptor> Folder::openFile(const std::string &name, int flags) const {
  std::string path = pathOf(name);
  if (!isPlainName(name))
    return badInput(folderPath, {},
                    "has no file " + quoted(name) +
                        ": must be a plain file name of at most 255 bytes, "
                        "without folders");
  flags |= O_CLOEXEC;
  int number = openBeneath(directory.get(), name.c_str(), flags, 0);
  if (number < 0 && errno == EXDEV && blobs) {
    std::string blob = blobOf(directory.get(), name);
    errno = EXDEV;
    if (!blob.empty())
      number =
          openBeneath(blobs.get(), blob.c_str(), flags, RESOLVE_NO_SYMLINKS);
  }
  if (number >= 0)
    return Descriptor(number);
  if (errno == EXDEV)
    return badInput(path, {}, "is a link that leads outside its folder");
  if (errno == ELOOP)
    return badInput(
        path, {},
        "is a link that is not followed: a loop, or a blob that is a link");
  if (errno == ENOSYS)
    return Error{ExitCode::IO, escaped(path, 1024) +
                                   ": cannot open: openat2 is missing, Linux "
                                   "5.6 or later is needed"};
  return openError(path, errno);
}

Result<MappedFile> Folder::map(const std::string &name) const {
  Result<Descriptor> file = openFile(name, readFlags);
  if (!file)
    return file.error();
  Result<MappedFile> mapped = MappedFile::map(*file, pathOf(name));
  if (mapped) {
    mapped->folder = shared_from_this();
    mapped->nameInFolder = name;
  }
  return mapped;
}

Result<std::string> Folder::read(const std::string &name,
                                 uint64_t limit) const {
  Result<Descriptor> file = openFile(name, readFlags);
  if (!file)
    return file.error();
  return readWhole(*file, pathOf(name), limit);
}

Result<std::string> lowbit::readFile(const std::string &path, uint64_t limit) {
  Result<Descriptor> file = openPath(path, readFlags);
  if (!file)
    return file.error();
  return readWhole(*file, path, limit);
}

//===----------------------------------------------------------------------===//
// SIGBUS
//===----------------------------------------------------------------------===//

namespace {
void reportMappedFileFault(int) {
  static constexpr char line[] =
      "error: a mapped file was cut or could not be read while it was in use\n";
  // Only async-signal-safe calls; a failed write changes nothing here.
  ssize_t ignored = write(STDERR_FILENO, line, sizeof line - 1);
  (void)ignored;
  _exit(static_cast<int>(ExitCode::IO));
}
} // namespace

void lowbit::exitOnMappedFileFault() {
  struct sigaction action = {};
  action.sa_handler = reportMappedFileFault;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}
