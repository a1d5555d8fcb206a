//===- SharedMemory.cpp - A block's memory, and who touched it ------------===//
#include "SharedMemory.h"

#include <algorithm>

using namespace lowbit;

void SharedMemory::begin(int64_t newSize, uint64_t epoch) {
  size = newSize;
  firstEpoch = epoch;
  if (bytes.size() >= static_cast<size_t>(size))
    return;
  bytes.resize(static_cast<size_t>(size));
  records.resize(static_cast<size_t>(size));
}

/// Whether `earlier`, by a thread of warp `earlierWarp` (or `many`), comes
/// before `now` on every schedule.
bool SharedMemory::isOrdered(const AccessTime &earlier, int32_t earlierWarp,
                             const AccessTime &now) {
  return earlier.thread == -1 || earlier.blockEpoch < now.blockEpoch ||
         earlier.thread == now.thread ||
         (earlierWarp == now.warp() && earlier.warpEpoch < now.warpEpoch);
}

void SharedMemory::addReader(Record &record, const AccessTime &time) {
  if (record.read.thread == -1 ||
      isOrdered(record.read, record.readWarp, time)) {
    record.read = time;
    record.readWarp = time.warp();
    return;
  }
  record.read.thread = many;
  if (record.readWarp != time.warp())
    record.readWarp = many;
  record.read.warpEpoch = std::max(record.read.warpEpoch, time.warpEpoch);
}

std::string SharedMemory::access(const uint8_t *address, int64_t count,
                                 bool isWrite, const AccessTime &time) {
  int64_t begin = address - bytes.data();
  auto complain = [&](int64_t at, const std::string &what) {
    return "thread " + std::to_string(time.thread) +
           (isWrite ? " writes" : " reads") + " shared byte " +
           std::to_string(at) + what;
  };
  auto byThread = [](const AccessTime &other) {
    return other.thread == many ? std::string("several threads")
                                : "thread " + std::to_string(other.thread);
  };
  if (begin < 0 || count < 0 || begin + count > size)
    return complain(begin, ", the block has " + std::to_string(size));
  for (int64_t at = begin; at < begin + count; ++at) {
    Record &record = records[static_cast<size_t>(at)];
    if (!isOrdered(record.write, record.write.warp(), time))
      return complain(at, " that " + byThread(record.write) +
                              " wrote, without a barrier between them");
    if (!isWrite) {
      if (record.write.thread == -1 || record.write.blockEpoch < firstEpoch)
        return complain(at, " that nobody wrote");
      addReader(record, time);
      continue;
    }
    if (!isOrdered(record.read, record.readWarp, time))
      return complain(at, " that " + byThread(record.read) +
                              " read, without a barrier between them");
    record.write = time;
    record.read.thread = -1;
  }
  return "";
}
