//===- LoadedCode.h - A code object that tests call -------------*- C++ -*-===//
#ifndef LOWBIT_TEST_UNIT_CONVERSION_LOADEDCODE_H
#define LOWBIT_TEST_UNIT_CONVERSION_LOADEDCODE_H

#include <cstdint>
#include <string_view>

namespace lowbit::test {

/// Spec.md, 5.1.
using KernelFunction = void (*)(uint8_t *const *args, int64_t rows,
                                int64_t begin, int64_t end, uint8_t *scratch);

/// A code object of this machine, loaded as long as this lives.
class LoadedCode {
public:
  LoadedCode() = default;
  ~LoadedCode();
  LoadedCode(const LoadedCode &) = delete;
  LoadedCode &operator=(const LoadedCode &) = delete;

  /// Loads the ELF `code`, once; a failure is reported to GoogleTest.
  void load(std::string_view code);
  bool ok() const { return library; }
  /// The kernel's function for a variant, or null.
  KernelFunction find(std::string_view name, uint32_t variant) const;

private:
  /// Stays open: the loader knows libraries by their path, which is the
  /// number of the file, and would take another one of that number for this.
  int file = -1;
  void *library = nullptr;
};

} // namespace lowbit::test

#endif // LOWBIT_TEST_UNIT_CONVERSION_LOADEDCODE_H
