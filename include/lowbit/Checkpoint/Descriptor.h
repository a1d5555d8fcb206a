//===- Descriptor.h - An owned file descriptor ------------------*- C++ -*-===//
#ifndef LOWBIT_CHECKPOINT_DESCRIPTOR_H
#define LOWBIT_CHECKPOINT_DESCRIPTOR_H

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

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_DESCRIPTOR_H
