//===- EmulatorAbi.h - What emulated kernels call ---------------*- C++ -*-===//
//
// A kernel of the target `emulated` has the ABI of every kernel (Spec.md, 5.1),
// but its `scratch` points at a machine: a table of the functions below, by
// which it starts its blocks and does what threads do together. The compiler
// writes calls through the table (lib/Conversion/TilesToHost), the runner
// fills it (Runtime/Emulator.h), so a code object needs no symbol.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_EMULATORABI_H
#define LOWBIT_RUNTIME_EMULATORABI_H

#include <cstdint>

namespace lowbit {

struct EmulatorMachine;

/// One thread of a block: runs from the first to the last instruction.
using EmulatedThread = void (*)(uint8_t *const *args, int64_t rows,
                                int64_t block, int64_t thread,
                                EmulatorMachine *machine);

/// What a warp's lanes exchange.
enum class EmulatedShuffle : int32_t {
  Xor = 0,  ///< with lane `lane ^ operand`
  Index = 1 ///< from lane `operand`
};

/// Matrix products of a warp (PTX ISA, "Matrix multiply-accumulate operation
/// using mma instruction"; fragments as there).
enum class EmulatedMma : int32_t {
  /// m16n8k32, row.col, u8 × s8 → s32: registers a0…a3, b0, b1, c0…c3.
  U8S8 = 0
};

/// The table, in this order: every field is 8 bytes.
struct EmulatorMachine {
  /// Shared memory of the block that runs.
  uint8_t *shared;
  /// Runs blocks begin … end − 1 of `threads` threads with `sharedBytes` bytes
  /// of shared memory.
  void (*launch)(EmulatorMachine *machine, EmulatedThread thread,
                 uint8_t *const *args, int64_t rows, int64_t begin, int64_t end,
                 int64_t threads, int64_t sharedBytes);
  /// Waits for all threads of the block.
  void (*barrier)(EmulatorMachine *machine);
  /// Waits for all lanes of the warp, and orders their memory accesses.
  void (*warpBarrier)(EmulatorMachine *machine);
  /// The value of another lane; all lanes take part.
  uint32_t (*shuffle)(EmulatorMachine *machine, EmulatedShuffle kind,
                      uint32_t value, int32_t operand);
  /// Multiplies fragments; `registers` holds a, b and c, and then c is the
  /// result. All lanes take part.
  void (*mma)(EmulatorMachine *machine, EmulatedMma kind, uint32_t *registers);
  /// Is told of every access to shared memory before it happens.
  void (*access)(EmulatorMachine *machine, const uint8_t *address,
                 int64_t bytes, int32_t isWrite);
};

/// Places of the table's fields.
enum class EmulatorSlot {
  Shared,
  Launch,
  Barrier,
  WarpBarrier,
  Shuffle,
  Mma,
  Access
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_EMULATORABI_H
