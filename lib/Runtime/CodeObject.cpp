//===- CodeObject.cpp - Machine code out of an artifact -------------------===//
#include "lowbit/Runtime/CodeObject.h"

#include "lowbit/Checkpoint/Message.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace lowbit;

namespace {

/// The exported table; see Spec.md, section 5.1.
struct TableEntry {
  const char *name;
  uint32_t variant;
  uint32_t reserved;
  KernelFunction function;
};
struct Table {
  uint32_t abi;
  uint32_t count;
  const TableEntry *entries;
};

constexpr uint32_t kernelAbi = 1;
constexpr uint32_t maxKernels = 1 << 20;

/// The bytes in an anonymous file that nobody can change any more.
Result<Descriptor> seal(Bytes bytes, const std::string &file) {
  auto fail = [&](const char *action) {
    return Error{ExitCode::IO,
                 escaped(file) + ": code: " + action + ": " + strerror(errno)};
  };
  Descriptor memory(
      memfd_create("lowbit-code", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory)
    return fail("memfd_create");
  if (!writeAll(memory.get(), bytes))
    return fail("write");
  if (fcntl(memory.get(), F_ADD_SEALS,
            F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return fail("seal");
  return memory;
}

Status readTable(const Table *exported, const std::string &file,
                 KernelTable &table) {
  auto fail = [&](const std::string &what) {
    return Error{ExitCode::Mismatch, escaped(file) + ": code: " + what};
  };
  if (exported->abi != kernelAbi)
    return fail("kernel table has ABI " + std::to_string(exported->abi) +
                ", this runner has " + std::to_string(kernelAbi));
  if (exported->count > maxKernels)
    return fail("kernel table has " + std::to_string(exported->count) +
                " entries, at most " + std::to_string(maxKernels));
  for (uint32_t i = 0; i < exported->count; ++i) {
    const TableEntry &entry = exported->entries[i];
    std::string at = "kernel table entry " + std::to_string(i);
    if (!entry.name || !entry.function)
      return fail(at + " is empty");
    if (entry.variant >= variantCount)
      return fail(at + " has variant " + std::to_string(entry.variant) +
                  ", known are 0 to " + std::to_string(variantCount - 1));
    KernelFunction &slot = table[entry.name][entry.variant];
    if (slot)
      return fail(at + " repeats " + quoted(entry.name));
    slot = entry.function;
  }
  return {};
}

} // namespace

CodeObject::~CodeObject() {
  if (handle)
    dlclose(handle);
}

CodeObject::CodeObject(CodeObject &&other) { *this = std::move(other); }

CodeObject &CodeObject::operator=(CodeObject &&other) {
  std::swap(table, other.table);
  std::swap(handle, other.handle);
  std::swap(memory, other.memory);
  return *this;
}

Result<CodeObject> CodeObject::load(Bytes elf, const std::string &file) {
  if (auto error = checkCodeObject(elf, file))
    return *error;
  auto sealed = seal(elf, file);
  if (!sealed)
    return sealed.error();
  CodeObject object;
  object.memory = std::move(*sealed);
  std::string path = "/proc/self/fd/" + std::to_string(object.memory.get());
  object.handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!object.handle) {
    const char *why = dlerror();
    return Error{ExitCode::IO, escaped(file) + ": code: cannot be loaded: " +
                                   escaped(why ? why : "unknown reason")};
  }
  const auto *exported =
      static_cast<const Table *>(dlsym(object.handle, "lowbit_kernels"));
  if (!exported)
    return Error{ExitCode::Mismatch,
                 escaped(file) + ": code: no \"lowbit_kernels\""};
  if (auto error = readTable(exported, file, object.table))
    return *error;
  return object;
}
