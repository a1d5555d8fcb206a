//===- Memory.cpp - Buffers that kernels may touch ------------------------===//
#include "lowbit/Runtime/Memory.h"

#include "lowbit/Runtime/Plan.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace lowbit;

/// Buffers from this size on are aligned for huge pages.
static constexpr size_t hugePage = size_t(2) << 20;

Memory::~Memory() {
  if (mapping)
    munmap(mapping, mappingBytes);
}

Memory::Memory(Memory &&other) { *this = std::move(other); }

Memory &Memory::operator=(Memory &&other) {
  std::swap(start, other.start);
  std::swap(bytes, other.bytes);
  std::swap(mapping, other.mapping);
  std::swap(mappingBytes, other.mappingBytes);
  return *this;
}

// Small buffers end at the guard page exactly; large ones start at a huge page
// instead and have the guard after their last page.
Result<Memory> Memory::allocate(int64_t size, const std::string &what) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto fail = [&](const char *reason) {
    return Error{ExitCode::Memory, "cannot allocate " + std::to_string(size) +
                                       " bytes for " + what + ": " + reason};
  };
  if (size < 0 || size > (int64_t(1) << 46))
    return fail("not a possible size");
  size_t used = (static_cast<size_t>(size) + 63) / 64 * 64 + bufferSlack;
  size_t pages = (used + page - 1) / page * page;
  bool large = pages >= 2 * hugePage;
  Memory memory;
  memory.mappingBytes = pages + page + (large ? hugePage : 0);
  void *base = mmap(nullptr, memory.mappingBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return fail(strerror(errno));
  memory.mapping = base;
  auto address = reinterpret_cast<uintptr_t>(base);
  if (large)
    address = (address + hugePage - 1) / hugePage * hugePage;
  auto *first = reinterpret_cast<uint8_t *>(address);
  if (mprotect(first + pages, page, PROT_NONE) != 0)
    return fail(strerror(errno));
  if (large) // Advice only: without huge pages everything works, slower.
    (void)madvise(first, pages, MADV_HUGEPAGE);
  memory.start = large ? first : first + (pages - used);
  memory.bytes = size;
  return memory;
}

/// The number after `key` in a file of lines, or −1.
static int64_t readNumber(const char *path, const char *key) {
  FILE *file = fopen(path, "re");
  if (!file)
    return -1;
  char line[256];
  int64_t value = -1;
  while (value < 0 && fgets(line, sizeof(line), file))
    if (strncmp(line, key, strlen(key)) == 0 &&
        sscanf(line + strlen(key), "%" SCNd64, &value) != 1)
      value = -1;
  fclose(file);
  return value;
}

int64_t lowbit::availableMemory() {
  int64_t available =
      std::max<int64_t>(readNumber("/proc/meminfo", "MemAvailable:"), 0);
  available *= 1024;
  // "max" does not parse as a number: no limit.
  int64_t limit = readNumber("/sys/fs/cgroup/memory.max", "");
  int64_t current = readNumber("/sys/fs/cgroup/memory.current", "");
  if (limit >= 0 && current >= 0)
    available = std::min(available, std::max<int64_t>(limit - current, 0));
  return available;
}
