//===- Fiber.h - Stacks that are switched by hand ---------------*- C++ -*-===//
//
// A fiber is a stack and a place in it. Switching saves the registers that a
// function must keep and nothing else; the floating-point environment belongs
// to the thread. Known to AddressSanitizer.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_RUNTIME_FIBER_H
#define LOWBIT_LIB_RUNTIME_FIBER_H

#include <cstddef>
#include <cstdint>

namespace lowbit {

/// Whether this machine has fibers (x86-64).
constexpr bool hasFibers() {
#if defined(__x86_64__)
  return true;
#else
  return false;
#endif
}

/// One stack. The memory is the owner's.
class Fiber {
public:
  using Entry = void (*)(void *context);

  /// Makes the next switch to this fiber call entry(context), which must not
  /// return. `stack` is 16-byte aligned. A fiber that ran may be started again.
  void start(uint8_t *stack, size_t bytes, Entry entry, void *context);
  /// Leaves the running fiber `from` and goes on where this one left.
  void switchFrom(Fiber &from);
  /// As switchFrom, where `from` will not go on.
  void leaveFrom(Fiber &from) { leave(from, /*isLast=*/true); }
  /// To be called first by an entry.
  void entered();

private:
  void leave(Fiber &from, bool isLast);

  void *stackPointer = nullptr;
  const uint8_t *stack = nullptr;
  size_t stackBytes = 0;
  /// AddressSanitizer's.
  void *fakeStack = nullptr;
  Fiber *cameFrom = nullptr;
};

} // namespace lowbit

#endif // LOWBIT_LIB_RUNTIME_FIBER_H
