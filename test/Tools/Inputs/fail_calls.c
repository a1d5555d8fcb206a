/*===- fail_calls.c - Makes the k-th system call on a file fail
------------===*\
 *
 * Loaded by LD_PRELOAD (test/Tools/fault_injection.py). Calls on files under
 * FAULT_ROOT, on what was opened there and on memory files are counted, over
 * all processes together, in the 8 bytes of the file FAULT_COUNTER. Call number
 * FAULT_AT (from 1; 0: none) fails; which calls count is a matter of
FAULT_MODE:
 *
 *   eio     every call fails once with EIO
 *   enospc  calls that take room, this one and all after it, with ENOSPC
 *   eintr   calls that a signal can interrupt, once, without having done
 *           anything
 *   short   reads and writes of more than one byte do half of it, once
 *
 * A line `call path` for each call that failed goes to the file FAULT_LOG. A
 * close that fails has closed, as on Linux.
 *
\*===----------------------------------------------------------------------===*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES = 1024, NAME = 512 };

static char names[FILES][NAME]; /* path of a descriptor; empty: not watched */
static const char *root, *mode;
static size_t rootLength;
static long failAt, logFile = -1;
static _Atomic long *counter;

/* `syscall` itself is replaced below: the real one. */
typedef long Syscall(long, ...);

static Syscall *sys(void) {
  static Syscall *found;
  if (!found)
    found = (Syscall *)dlsym(RTLD_NEXT, "syscall");
  return found;
}
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("FAULT_COUNTER"), *log = getenv("FAULT_LOG");
  root = getenv("FAULT_ROOT");
  mode = getenv("FAULT_MODE");
  if (!path || !log || !root || !mode || !getenv("FAULT_AT"))
    abort();
  rootLength = strlen(root);
  failAt = atol(getenv("FAULT_AT"));
  long file = sys()(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  void *page = (void *)sys()(SYS_mmap, NULL, 8L, PROT_READ | PROT_WRITE,
                             MAP_SHARED, file, 0L);
  if (file < 0 || page == MAP_FAILED)
    abort();
  sys()(SYS_close, file);
  logFile =
      sys()(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  counter = page;
}

static const char *nameOf(int file) {
  return file >= 0 && file < FILES && names[file][0] ? names[file] : NULL;
}

/* The path of a call if it is to be watched, in `full`. */
static const char *watched(int directory, const char *path, char *full) {
  if (!counter || !path)
    return NULL;
  if (path[0] != '/') {
    const char *folder = nameOf(directory);
    if (!folder)
      return NULL;
    snprintf(full, NAME, "%s/%s", folder, path);
    return full;
  }
  if (strncmp(path, root, rootLength) != 0)
    return NULL;
  snprintf(full, NAME, "%s", path);
  return full;
}

enum Kind {
  OPEN = 1,
  CREATE = 2,
  READ = 4,
  WRITE = 8,
  ROOM = 16,
  OTHER = 32,
  INTERRUPTED = 64
};

/* Counts a call and says whether it fails; errno is set then. */
static int fails(const char *call, const char *path, int kind) {
  if (!path || !counter || failAt < 0)
    return 0;
  int isEio = strcmp(mode, "eio") == 0, isFull = strcmp(mode, "enospc") == 0;
  int isShort = strcmp(mode, "short") == 0;
  if (isFull && !(kind & (CREATE | WRITE | ROOM)))
    return 0;
  if (isShort && !(kind & (READ | WRITE)))
    return 0;
  if (strcmp(mode, "eintr") == 0 &&
      !(kind & (OPEN | CREATE | READ | WRITE | INTERRUPTED)))
    return 0;
  long number = atomic_fetch_add(counter, 1) + 1;
  if (failAt == 0 || number < failAt || (number > failAt && !isFull))
    return 0;
  char line[NAME + 64];
  int length = snprintf(line, sizeof line, "%s %s\n", call, path);
  sys()(SYS_write, logFile, line, length);
  errno = isEio ? EIO : isFull ? ENOSPC : EINTR;
  return isShort ? 2 : 1;
}

static int remember(int file, const char *path) {
  if (file >= 0 && file < FILES)
    snprintf(names[file], NAME, "%s", path ? path : "");
  return file;
}

#define OPEN_BODY(directory)                                                   \
  mode_t bits = 0;                                                             \
  if (flags & (O_CREAT | __O_TMPFILE)) {                                       \
    va_list list;                                                              \
    va_start(list, flags);                                                     \
    bits = va_arg(list, mode_t);                                               \
    va_end(list);                                                              \
  }                                                                            \
  char full[NAME];                                                             \
  const char *name = watched(directory, path, full);                           \
  if (fails("open", name, flags & O_CREAT ? CREATE : OPEN))                    \
    return -1;                                                                 \
  return remember((int)sys()(SYS_openat, directory, path, flags, bits), name);

int open(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD) }
int open64(const char *path, int flags, ...) { OPEN_BODY(AT_FDCWD) }
int openat(int directory, const char *path, int flags, ...) {
  OPEN_BODY(directory)
}
int openat64(int directory, const char *path, int flags, ...) {
  OPEN_BODY(directory)
}

long syscall(long number, ...) {
  long a[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; ++i)
    a[i] = va_arg(list, long);
  va_end(list);
  char full[NAME];
  const char *name = number == SYS_openat2
                         ? watched((int)a[0], (const char *)a[1], full)
                         : NULL;
  if (fails("open", name, OPEN))
    return -1;
  long result = sys()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  return name ? remember((int)result, name) : result;
}

int memfd_create(const char *name, unsigned flags) {
  if (fails("memfd_create", "memory file", ROOM))
    return -1;
  return remember((int)sys()(SYS_memfd_create, name, flags), "memory file");
}

int close(int file) {
  int failed = fails("close", nameOf(file), INTERRUPTED);
  int error = errno;
  if (file >= 0 && file < FILES)
    names[file][0] = '\0';
  long result = sys()(SYS_close, file);
  if (!failed)
    return (int)result;
  errno = error;
  return -1;
}

#define TRANSFER(name, kind, type, ...)                                        \
  int failed = fails(#name, nameOf(file), kind);                               \
  if (failed == 1)                                                             \
    return -1;                                                                 \
  if (failed == 2 && size > 1)                                                 \
    size /= 2;                                                                 \
  return (ssize_t)sys()(SYS_##type, file, data, size, ##__VA_ARGS__);

ssize_t read(int file, void *data,
             size_t size){TRANSFER(read, READ, read)} ssize_t
    write(int file, const void *data,
          size_t size){TRANSFER(write, WRITE, write)} ssize_t
    pread(int file, void *data, size_t size,
          off_t at){TRANSFER(pread, READ, pread64, at)} ssize_t
    pread64(int file, void *data, size_t size,
            off_t at){TRANSFER(pread, READ, pread64, at)} ssize_t
    pwrite(int file, const void *data, size_t size,
           off_t at){TRANSFER(pwrite, WRITE, pwrite64, at)} ssize_t
    pwrite64(int file, const void *data, size_t size,
             off_t at){TRANSFER(pwrite, WRITE, pwrite64, at)} ssize_t
    writev(int file, const struct iovec *parts, int count) {
  if (fails("writev", nameOf(file), WRITE) == 1)
    return -1;
  return (ssize_t)sys()(SYS_writev, file, parts, count);
}

#define MAP_BODY                                                               \
  if (!(flags & MAP_ANONYMOUS) && fails("mmap", nameOf(file), OTHER))          \
    return MAP_FAILED;                                                         \
  return (void *)sys()(SYS_mmap, address, size, protection, flags, file, at);

void *mmap(void *address, size_t size, int protection, int flags, int file,
           off_t at) {
  MAP_BODY
}
void *mmap64(void *address, size_t size, int protection, int flags, int file,
             off_t at) {
  MAP_BODY
}

int fsync(int file) {
  return fails("fsync", nameOf(file), ROOM | INTERRUPTED)
             ? -1
             : (int)sys()(SYS_fsync, file);
}
int ftruncate(int file, off_t size) {
  return fails("ftruncate", nameOf(file), ROOM | INTERRUPTED)
             ? -1
             : (int)sys()(SYS_ftruncate, file, size);
}
int ftruncate64(int file, off_t size) { return ftruncate(file, size); }
int posix_fallocate(int file, off_t at, off_t size) {
  if (fails("posix_fallocate", nameOf(file), ROOM | INTERRUPTED))
    return errno;
  return REAL(posix_fallocate)(file, at, size);
}
int posix_fallocate64(int file, off_t at, off_t size) {
  return posix_fallocate(file, at, size);
}
int msync(void *address, size_t size, int flags) {
  /* Of a mapping: of the one output that there is. */
  return fails("msync", "a mapped file", ROOM)
             ? -1
             : (int)sys()(SYS_msync, address, size, flags);
}
int flock(int file, int operation) {
  return fails("flock", nameOf(file), INTERRUPTED)
             ? -1
             : (int)sys()(SYS_flock, file, operation);
}
int fchmod(int file, mode_t bits) {
  return fails("fchmod", nameOf(file), OTHER)
             ? -1
             : (int)sys()(SYS_fchmod, file, bits);
}
int fstat(int file, struct stat *facts) {
  return fails("fstat", nameOf(file), OTHER)
             ? -1
             : (int)sys()(SYS_fstat, file, facts);
}
int fstat64(int file, struct stat64 *facts) {
  return fstat(file, (struct stat *)facts);
}

int renameat2(int from, const char *old, int to, const char *path,
              unsigned flags) {
  char full[NAME];
  return fails("rename", watched(to, path, full), ROOM)
             ? -1
             : (int)sys()(SYS_renameat2, from, old, to, path, flags);
}
int renameat(int from, const char *old, int to, const char *path) {
  return renameat2(from, old, to, path, 0);
}
int rename(const char *old, const char *path) {
  return renameat2(AT_FDCWD, old, AT_FDCWD, path, 0);
}
int linkat(int from, const char *old, int to, const char *path, int flags) {
  char full[NAME];
  return fails("link", watched(to, path, full), ROOM)
             ? -1
             : (int)sys()(SYS_linkat, from, old, to, path, flags);
}
int mkdirat(int directory, const char *path, mode_t bits) {
  char full[NAME];
  return fails("mkdir", watched(directory, path, full), ROOM)
             ? -1
             : (int)sys()(SYS_mkdirat, directory, path, bits);
}
int mkdir(const char *path, mode_t bits) {
  return mkdirat(AT_FDCWD, path, bits);
}
