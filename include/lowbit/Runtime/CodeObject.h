//===- CodeObject.h - Machine code out of an artifact -----------*- C++ -*-===//
//
// Checks that a linked ELF object is as plain as Spec.md section 5.1 wants,
// copies it into a sealed memfd and loads that. The checks find damage and
// mistakes of the compiler; they do not make hostile code safe (Trust.h does,
// by not running it).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_CODEOBJECT_H
#define LOWBIT_RUNTIME_CODEOBJECT_H

#include "lowbit/Checkpoint/Bytes.h"
#include "lowbit/Checkpoint/Descriptor.h"
#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/KernelTable.h"

#include <string>

namespace lowbit {

/// Refuses (exit 7) what is not a 64-bit little-endian shared object, and one
/// with needed libraries, undefined symbols, constructors or destructors,
/// indirect functions, text relocations or relocations other than relative
/// ones, thread-local storage, an interpreter, a segment that is writable and
/// executable, an executable stack, or anything but one exported object
/// `lowbit_kernels`. Exit 4 for another machine. `file` is for messages.
Status checkCodeObject(Bytes elf, const std::string &file);

/// A loaded code object. Move-only.
class CodeObject {
public:
  CodeObject() = default;
  ~CodeObject();
  CodeObject(CodeObject &&other);
  CodeObject &operator=(CodeObject &&other);

  /// Checks and loads the object and reads its table. Exit 7 for anything that
  /// checkCodeObject refuses and for a table of another ABI, 5 when the system
  /// does not load it.
  static Result<CodeObject> load(Bytes elf, const std::string &file);

  const KernelTable &kernels() const { return table; }

private:
  KernelTable table;
  void *handle = nullptr;
  /// Stays open while the object is loaded: the loader knows objects by their
  /// path, and /proc/self/fd/N must not come to mean another one.
  Descriptor memory;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_CODEOBJECT_H
