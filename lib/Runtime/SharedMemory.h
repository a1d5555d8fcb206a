//===- SharedMemory.h - A block's memory, and who touched it ----*- C++ -*-===//
//
// The shared memory of an emulated block with a record of every byte: who wrote
// it and who read it last, and before or after which barriers. Two accesses are
// in order where a barrier of the block, or of the warp of both threads, lies
// between them.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_RUNTIME_SHAREDMEMORY_H
#define LOWBIT_LIB_RUNTIME_SHAREDMEMORY_H

#include <cstdint>
#include <string>
#include <vector>

namespace lowbit {

/// When a thread accesses memory: barriers of its block and of its warp that it
/// has passed.
struct AccessTime {
  int32_t thread;
  uint32_t warpEpoch;
  /// Counts on from block to block.
  uint64_t blockEpoch;

  int32_t warp() const { return thread / 32; }
};

/// See the head of this file.
class SharedMemory {
public:
  /// Begins a block with `bytes` bytes, none of them written, whose barriers
  /// count from `firstEpoch` on: more than any before.
  void begin(int64_t bytes, uint64_t firstEpoch);
  uint8_t *data() { return bytes.data(); }

  /// Records an access; what is wrong with it, or nothing.
  std::string access(const uint8_t *address, int64_t count, bool isWrite,
                     const AccessTime &time);

private:
  /// Of one byte. `thread` is −1 where nobody has, `many` where several threads
  /// of one warp have, `warp` is `many` where several warps have.
  struct Record {
    AccessTime write{-1, 0, 0};
    AccessTime read{-1, 0, 0};
    int32_t readWarp = -1;
  };
  static constexpr int32_t many = -2;
  static bool isOrdered(const AccessTime &earlier, int32_t earlierWarp,
                        const AccessTime &now);
  static void addReader(Record &record, const AccessTime &time);

  std::vector<uint8_t> bytes;
  std::vector<Record> records;
  int64_t size = 0;
  uint64_t firstEpoch = 0;
};

} // namespace lowbit

#endif // LOWBIT_LIB_RUNTIME_SHAREDMEMORY_H
