//===- Codegen.h - How long code generation takes ---------------*- C++ -*-===//
//
// All kernels of a model of a named shape, from import to the linked code
// object, without weights: the checkpoint is a file of holes that only has the
// right header and size.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_CODEGEN_H
#define LOWBIT_TOOLS_BENCH_CODEGEN_H

#include "lowbit/Checkpoint/Error.h"

#include <string>

namespace lowbit::bench {

struct CodegenOptions {
  /// `1B` or `8B`.
  std::string shape;
  std::string recipe;
  std::string target = "x86_64";
  unsigned jobs = 1;
  int repetitions = 1;
  /// JSON in place of a table.
  bool json = false;
  /// Where kernels' code goes; empty: nowhere.
  std::string dump;
};

/// Compiles and returns what is to be printed. Errors: an unknown shape (exit
/// 2), no room for temporary files (exit 5), those of the stages.
Result<std::string> measureCodegen(const CodegenOptions &options);

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_CODEGEN_H
