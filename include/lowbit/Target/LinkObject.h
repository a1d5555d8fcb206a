//===- LinkObject.h - Objects to one shared object --------------*- C++ -*-===//
//
// Links what emitObjects made with `ld.lld` (an external program, of the
// project's LLVM) and proves of the result what Spec.md, 5.1 promises of a code
// object.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TARGET_LINKOBJECT_H
#define LOWBIT_TARGET_LINKOBJECT_H

#include "lowbit/Checkpoint/Error.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace lowbit {

/// Links `objects` (ELF, one machine) to a shared object that passes
/// verifyCodeObject; the bytes depend on the objects and their order alone.
/// Errors: no linker (exit 5), what the linker says (exit 70).
Result<std::string> linkObjects(llvm::ArrayRef<std::string> objects);

/// Refuses (exit 70) a shared object that has needed libraries, undefined
/// symbols, constructors or destructors, IFUNCs, text relocations, a segment
/// that is writable and executable, or that exports anything but
/// `lowbit_kernels`. Says which and where.
Status verifyCodeObject(llvm::StringRef bytes);

} // namespace lowbit

#endif // LOWBIT_TARGET_LINKOBJECT_H
