//===- Memory.h - Buffers that kernels may touch ----------------*- C++ -*-===//
//
// Anonymous memory, zero at first, that starts at a multiple of 64, can be read
// 64 bytes past its end (Spec.md, section 5.1) and ends at an inaccessible page
// so that a kernel that runs on is stopped by the machine.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_MEMORY_H
#define LOWBIT_RUNTIME_MEMORY_H

#include "lowbit/Checkpoint/Error.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace lowbit {

/// One such buffer; owns its pages.
class Memory {
public:
  Memory() = default;
  ~Memory();
  Memory(Memory &&other);
  Memory &operator=(Memory &&other);

  /// `size` bytes and slack, in huge pages where the kernel gives them and the
  /// buffer is large. `what` names the buffer in the error (exit 6).
  static Result<Memory> allocate(int64_t size, const std::string &what);

  uint8_t *data() const { return start; }
  int64_t size() const { return bytes; }

private:
  uint8_t *start = nullptr;
  int64_t bytes = 0;
  void *mapping = nullptr;
  size_t mappingBytes = 0;
};

/// Memory that could be allocated now without swapping, in bytes: what the
/// system has available, within the limit of the control group.
int64_t availableMemory();

} // namespace lowbit

#endif // LOWBIT_RUNTIME_MEMORY_H
