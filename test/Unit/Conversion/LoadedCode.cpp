//===- LoadedCode.cpp - A code object that tests call -----------*- C++ -*-===//

#include "LoadedCode.h"
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using namespace lowbit::test;

LoadedCode::~LoadedCode() {
  if (library)
    dlclose(library);
  if (file >= 0)
    close(file);
}

void LoadedCode::load(std::string_view code) {
  file = memfd_create("lowbit-kernels", MFD_CLOEXEC);
  if (file < 0 ||
      write(file, code.data(), code.size()) != ssize_t(code.size())) {
    ADD_FAILURE() << "no memory file";
    return;
  }
  std::string path = "/proc/self/fd/" + std::to_string(file);
  library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    ADD_FAILURE() << dlerror();
}

KernelFunction LoadedCode::find(std::string_view name, uint32_t variant) const {
  struct Entry {
    const char *name;
    uint32_t variant, reserved;
    KernelFunction function;
  };
  struct Table {
    uint32_t abi, count;
    const Entry *entries;
  };
  auto *table = library ? static_cast<Table *>(dlsym(library, "lowbit_kernels"))
                        : nullptr;
  for (uint32_t i = 0; table && i < table->count; ++i)
    if (name == table->entries[i].name && table->entries[i].variant == variant)
      return table->entries[i].function;
  return nullptr;
}
