//===- Compile.h - From a model folder to an artifact -----------*- C++ -*-===//
//
// The whole way through, as one function: import, the recipe's passes, layout,
// plan, code generation (in a child process), and last the weights, which are
// streamed into their places in the output, whose every size is known by then.
// The output appears whole or not at all.
//
//   CompileOptions options;
//   options.input = "models/books-7m";
//   options.output = "books.lowbit";
//   options.recipe = "int4-g64";
//   Result<std::string> report = compileModel(options);
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_COMPILE_H
#define LOWBIT_PIPELINES_COMPILE_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Pipelines/Stage.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// What to compile, and how.
struct CompileOptions {
  /// A model folder, or a module that `emit` wrote.
  std::string input;
  /// The model folder of a module; empty: the folder that the module is in.
  std::string modelFolder;
  std::string output;
  /// Name or path; empty: the one that the module was made with.
  std::string recipe;
  Stage emit = Stage::Artifact;
  /// `x86_64`, `aarch64`; empty: the one that the module was planned for, else
  /// x86_64.
  std::vector<std::string> targets;
  /// Threads, ≥ 1. Does not change the bytes.
  unsigned jobs = 1;
  /// Take up what an interrupted run left.
  bool resume = false;
  /// Say sizes, memory and time; write nothing.
  bool dryRun = false;
  /// Replace an output that exists.
  bool force = false;
  /// Most positions of a sequence; 0: those that the module was planned for,
  /// else those that the model was made for.
  int64_t context = 0;
  /// Cache type, a name of parseCacheName (`f16`, `i4-g32`); empty: the
  /// recipe's.
  std::string cache;
  /// Profile of calibration; empty: none.
  std::string profile;
  /// `one-shot` (with the profile, if any), `sequential`; empty: sequential
  /// where a text is given.
  std::string calibration;
  /// Text of a sequential calibration; how many of its tokens (0: 65,536, or
  /// all where it has fewer), in windows of how many (0: 512, or as many as the
  /// model has positions).
  std::string calibrationText;
  int64_t calibrationTokens = 0;
  int64_t calibrationContext = 0;
  /// Compare what the module computes in f64 before and after each pass, on
  /// sample tokens.
  bool verifyNumerics = false;
  bool allowUnused = false;
  bool allowNonfinite = false;
  /// As in EmitOptions.
  std::string ptxas;
  /// Where modules of each stage and the kernels' code go; empty: nowhere.
  std::string dump;
  bool logJsonLines = false;
  /// The running program, which generates code when started as a child.
  std::string program;
  /// Ends the run early (exit 75, resumable) once true; may be null.
  const std::atomic<bool> *stop = nullptr;
};

/// Whether weights are packed block by block; of options that compileModel does
/// not refuse.
inline bool isSequential(const CompileOptions &options) {
  return !options.calibrationText.empty();
}

/// Compiles; the text is for stdout. What goes wrong is one line and an exit
/// code (Spec.md, section 7); nothing is left behind then, but for a run that
/// was stopped, which `resume` takes up.
Result<std::string> compileModel(const CompileOptions &options);

} // namespace lowbit

#endif // LOWBIT_PIPELINES_COMPILE_H
