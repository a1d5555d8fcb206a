//===- Descriptor.cpp - An owned file descriptor --------------------------===//
#include "lowbit/Checkpoint/Descriptor.h"

#include <unistd.h>

using namespace lowbit;

int Descriptor::close() {
  int closing = std::exchange(number, -1);
  return closing < 0 ? 0 : ::close(closing);
}

bool lowbit::writeAll(int file, Bytes bytes) {
  for (uint64_t done = 0; done < bytes.size;) {
    ssize_t count = retry(
        [&] { return write(file, bytes.data + done, bytes.size - done); });
    if (count < 0)
      return false;
    done += static_cast<uint64_t>(count);
  }
  return true;
}
