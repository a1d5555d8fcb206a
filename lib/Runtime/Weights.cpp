//===- Weights.cpp - Weights as kernels read them -------------------------===//
#include "lowbit/Runtime/Weights.h"

#include "lowbit/Checkpoint/Descriptor.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Runtime/ThreadPool.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

using namespace lowbit;

/// Threads take pieces of this size, so that one page fault of a huge page and
/// the read into it happen on the same thread.
static constexpr uint64_t pieceBytes = uint64_t(4) << 20;

/// Reads all of [offset, offset + size) of a file; an errno, or −1 where the
/// file ends early.
static int readFully(int descriptor, uint8_t *to, uint64_t size,
                     uint64_t offset) {
  while (size > 0) {
    ssize_t count = retry([&] {
      return pread(descriptor, to, size, static_cast<off_t>(offset));
    });
    if (count < 0)
      return errno;
    if (count == 0)
      return -1;
    to += count;
    offset += static_cast<uint64_t>(count);
    size -= static_cast<uint64_t>(count);
  }
  return 0;
}

static Status copyAll(const Artifact &artifact, Memory &copy,
                      ThreadPool &pool) {
  uint64_t size = artifact.weightsBytes();
  std::atomic<uint64_t> next{0};
  std::atomic<int> failure{0};
  pool.run([&](int) {
    for (uint64_t at;
         failure == 0 && (at = next.fetch_add(pieceBytes)) < size;) {
      int code = readFully(artifact.descriptor(), copy.data() + at,
                           std::min(pieceBytes, size - at),
                           artifact.weightsOffset() + at);
      if (code != 0)
        failure = code;
    }
  });
  if (failure > 0)
    return Error{ExitCode::IO,
                 fileError(artifact.path(), "read", failure).message};
  if (failure < 0)
    return Error{ExitCode::IO, escaped(artifact.path()) +
                                   ": became shorter while it was read"};
  return artifact.checkUnchanged();
}

Result<Weights> Weights::load(const Artifact &artifact, WeightsMode mode,
                              ThreadPool &pool) {
  Weights weights;
  weights.begin = artifact.weightsOffset();
  auto size = static_cast<int64_t>(artifact.weightsBytes());
  bool fits = size <= availableMemory() / 4 * 3;
  if (mode == WeightsMode::Copy && !fits)
    return Error{
        ExitCode::Memory,
        escaped(artifact.path()) + ": weights of " + std::to_string(size) +
            " bytes do not fit into the memory available (" +
            std::to_string(availableMemory()) + " bytes); use --weights=map"};
  if (mode == WeightsMode::Map || !fits || size == 0) {
    weights.start = artifact.weights();
    return weights;
  }
  auto copy = Memory::allocate(size, "weights");
  if (!copy)
    return copy.error();
  if (auto error = copyAll(artifact, *copy, pool))
    return *error;
  weights.copy = std::move(*copy);
  weights.start = weights.copy.data();
  return weights;
}
