//===- KernelCode.h - Kernels generated in this process ---------*- C++ -*-===//
//
// From the text of `lowbit.kernel` operations to callable functions, by the
// project's own passes, back end, linker and loader.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_KERNELCODE_H
#define LOWBIT_TOOLS_BENCH_KERNELCODE_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/CodeObject.h"
#include "lowbit/Runtime/KernelTable.h"
#include "lowbit/Runtime/Memory.h"

#include <map>
#include <string>
#include <vector>

namespace lowbit::bench {

/// Compiled kernels of one variant. Move-only.
class KernelCode {
public:
  /// Compiles all kernels of `text`; leaves the code in `dump` where that is
  /// not empty. Errors are those of the passes, the back end and the loader.
  static Result<KernelCode> compile(const std::string &text, Variant variant,
                                    const std::string &dump);

  KernelFunction function(const std::string &name) const {
    return functions.at(name);
  }
  /// Scratch that the kernel's family asks for.
  int64_t scratchBytes(const std::string &name) const {
    return scratch.at(name);
  }

private:
  CodeObject code;
  std::map<std::string, KernelFunction> functions;
  std::map<std::string, int64_t> scratch;
};

/// One kernel with the scratch of each thread.
class KernelCall {
public:
  /// Exit 6 where there is no memory for the scratch.
  static Result<KernelCall> make(const KernelCode &code,
                                 const std::string &name, int threads);

  /// Items begin … end−1 on `thread`.
  void run(int thread, uint8_t *const *arguments, int64_t rows, int64_t begin,
           int64_t end) const {
    function(arguments, rows, begin, end,
             scratch[static_cast<size_t>(thread)].data());
  }

private:
  KernelFunction function = nullptr;
  std::vector<Memory> scratch;
};

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_KERNELCODE_H
