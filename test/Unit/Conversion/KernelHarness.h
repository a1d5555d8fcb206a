//===- KernelHarness.h - Builds kernels and calls them ----------*- C++ -*-===//
//
// From text to callable code, for tests that compare kernels with naive loops:
//
//   KernelHarness kernels(R"(
//     lowbit.kernel @g family "gate" {columns = 7, …}
//   )");
//   for (uint32_t variant : runnableVariants())
//     kernels.run("g", variant, {gate.data(), up.data(), y.data()}, rows,
//     rows);
//
// All variants of the target are compiled; `run` splits the items at every
// place that a seed says, as threads would.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TEST_UNIT_CONVERSION_KERNELHARNESS_H
#define LOWBIT_TEST_UNIT_CONVERSION_KERNELHARNESS_H

#include "LoadedCode.h"
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit::test {

/// Variants of x86_64 that this CPU runs, ascending. Prints once how many were
/// skipped.
const std::vector<uint32_t> &runnableVariants();

/// A variant for tests alone: what a family emits for AVX-512, compiled for
/// AVX2, so that its wider register tiles run on every CPU that has AVX2. Only
/// for families without instructions of their own.
constexpr uint32_t wideVariant = 100;

/// runnableVariants(), and wideVariant where the CPU has AVX2.
std::vector<uint32_t> variantsWithWide();

/// For the kernels of the target `emulated`: what a family emits for a GPU, run
/// by the emulator.
constexpr uint32_t emulatedVariant = 101;

/// runnableVariants(), and emulatedVariant.
std::vector<uint32_t> variantsWithEmulated();

/// Kernels compiled from `lowbit.kernel` operations. Failures are reported to
/// GoogleTest; the object is then `!ok()`.
class KernelHarness {
public:
  /// Parses `text`, emits every kernel for every variant of `target` (and
  /// wideVariant where `wide`) and links them; loads the code where the target
  /// is this machine's.
  explicit KernelHarness(std::string_view text,
                         std::string_view target = "x86_64", bool wide = false);
  ~KernelHarness();

  bool ok() const { return loaded.ok(); }
  /// The objects before linking (for cross tests), and the code object.
  const std::vector<std::string> &objects() const { return objectFiles; }
  const std::string &code() const { return codeObject; }
  /// The kernel's function for a variant, or null.
  KernelFunction find(std::string_view name, uint32_t variant) const;
  /// Scratch that the kernel's family asks for.
  int64_t scratchBytes(std::string_view name);

  /// Calls the kernel over [0, items) in pieces cut by `seed` (0: one piece, in
  /// order; else random pieces in random order), with fresh poisoned scratch
  /// whose redzone is checked. `seed` is also that of the emulator's schedule;
  /// what the emulator finds wrong fails the test.
  void run(std::string_view name, uint32_t variant,
           std::vector<const void *> args, int64_t rows, int64_t items,
           uint64_t seed = 0);

private:
  bool build(std::string_view target, bool wide);
  void buildEmulated();
  void runEmulated(std::string_view name, std::vector<uint8_t *> args,
                   int64_t rows, int64_t items, uint64_t seed);

  /// The context and the module of `lowbit.kernel` operations.
  struct Module;
  std::unique_ptr<Module> module;
  /// Of the target `emulated` alone: runs emulatedVariant and no other.
  const bool isEmulated;
  std::vector<std::string> objectFiles;
  std::string codeObject;
  LoadedCode loaded;
  /// The code of the target `emulated`, made when it is first asked for.
  std::unique_ptr<KernelHarness> emulated;
};

/// An array as the runtime lays out buffers: 64-byte aligned, 64 bytes of slack
/// that may be read behind it. In front of it, and behind it including the
/// slack, lies a pattern that `intact` checks.
class GuardedBytes {
public:
  explicit GuardedBytes(size_t bytes);
  uint8_t *data() { return start; }
  const uint8_t *data() const { return start; }
  size_t size() const { return bytes; }
  /// Whether nothing was written outside.
  bool intact() const;
  /// Fills the array itself with the pattern, which is a NaN as f32.
  void poison();

private:
  static constexpr size_t zone = 256;
  std::vector<uint8_t> storage;
  uint8_t *start;
  size_t bytes;
};

/// A guarded array of T.
template <typename T> class Guarded {
public:
  explicit Guarded(size_t count) : bytes(count * sizeof(T)) {}
  explicit Guarded(const std::vector<T> &values) : Guarded(values.size()) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  }
  T *data() { return reinterpret_cast<T *>(bytes.data()); }
  const T *data() const { return reinterpret_cast<const T *>(bytes.data()); }
  size_t size() const { return bytes.size() / sizeof(T); }
  T &operator[](size_t i) { return data()[i]; }
  const T &operator[](size_t i) const { return data()[i]; }
  bool intact() const { return bytes.intact(); }
  void poison() { bytes.poison(); }
  std::vector<T> values() const { return {data(), data() + size()}; }

private:
  GuardedBytes bytes;
};

/// Compares to the bit (all NaNs are equal) and reports the first difference
/// with both bit patterns. False where they differ or nothing was compared.
bool equalBits(const float *expected, const float *actual, size_t count,
               std::string_view what);
bool equalBytes(const void *expected, const void *actual, size_t bytes,
                std::string_view what);

} // namespace lowbit::test

#endif // LOWBIT_TEST_UNIT_CONVERSION_KERNELHARNESS_H
