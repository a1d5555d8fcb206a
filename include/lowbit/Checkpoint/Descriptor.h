//===- Descriptor.h - An owned file descriptor ------------------*- C++ -*-===//
//
// And what every use of one needs: calls that a signal interrupts are made
// again, what is written in pieces is written to the end.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_DESCRIPTOR_H
#define LOWBIT_CHECKPOINT_DESCRIPTOR_H

#include "lowbit/Checkpoint/Bytes.h"

#include <cerrno>
#include <utility>

namespace lowbit {

/// Closes its file descriptor; move-only.
class Descriptor {
public:
  Descriptor() = default;
  explicit Descriptor(int number) : number(number) {}
  Descriptor(Descriptor &&other) noexcept
      : number(std::exchange(other.number, -1)) {}
  Descriptor &operator=(Descriptor &&other) noexcept {
    std::swap(number, other.number);
    return *this;
  }
  ~Descriptor() { close(); }

  /// The descriptor, or -1.
  int get() const { return number; }
  explicit operator bool() const { return number >= 0; }
  /// Closes now; the result of close(2), 0 where nothing was open.
  int close();

private:
  int number = -1;
};

/// Repeats a system call that a signal interrupted.
template <typename Call> auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR)
    result = call();
  return result;
}

/// Writes all of `bytes` at the place where `file` is; false, and errno says
/// why, where that fails.
bool writeAll(int file, Bytes bytes);

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_DESCRIPTOR_H
