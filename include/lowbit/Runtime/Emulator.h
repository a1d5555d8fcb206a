//===- Emulator.h - Runs block programs on the host -------------*- C++ -*-===//
//
// Runs kernels of the target `emulated`: GPU kernels whose threads are fibers.
// A fiber gives up the processor where its block or warp has to come together
// and goes on when the others have come; blocks run one after another. With a
// seed the next fiber is drawn by lot each time, fibers also change at accesses
// to shared memory, and blocks come in any order, so that a missing barrier
// shows.
//
// Every access to shared memory is checked: it lies in the block's memory, what
// is read was written, and two threads that touch a byte, one of them writing,
// have a barrier in between (of the block, or of the warp that both are in).
// What a kernel does wrong ends the run with a message that names the thread
// and the place.
//
//   Emulator emulator(/*seed=*/1);
//   kernel(args, rows, 0, items, emulator.scratch());
//   if (Status failure = emulator.takeFailure()) …
//
// One thread of the host at a time uses an emulator.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_EMULATOR_H
#define LOWBIT_RUNTIME_EMULATOR_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/EmulatorAbi.h"

#include <cstdint>
#include <memory>

namespace lowbit {

/// See the head of this file.
class Emulator {
public:
  /// Whether this machine's processor has an emulator: x86-64. On another one
  /// every launch fails.
  static bool isSupported();

  /// Threads in the order of their numbers where `seed` is 0.
  explicit Emulator(uint64_t seed);
  ~Emulator();
  Emulator(const Emulator &) = delete;
  Emulator &operator=(const Emulator &) = delete;

  /// What a kernel of the target `emulated` takes as its `scratch`.
  uint8_t *scratch();

  /// What a kernel did wrong since the last call (exit 70), or exit 6 where
  /// there was no memory for the stacks. After a failure kernels do nothing
  /// until it is taken.
  Status takeFailure();

  /// Fibers that ran to their end, and changes from one to another.
  uint64_t threadsRun() const;
  uint64_t switches() const;

private:
  class Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_EMULATOR_H
