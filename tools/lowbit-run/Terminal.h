//===- Terminal.h - Standard output and error, with care --------*- C++ -*-===//
//
// Results go to standard output and failures to write them are exit 5; whatever
// a model says cannot drive the terminal.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_LOWBIT_RUN_TERMINAL_H
#define LOWBIT_TOOLS_LOWBIT_RUN_TERMINAL_H

#include "lowbit/Runtime/lowbit_runtime.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace lowbit::run {

/// Makes descriptors 0 to 2 exist (files opened later must not become standard
/// output), installs the message for a file cut short while mapped (exit 5) and
/// for memory that runs out (exit 6).
void prepareProcess();

/// Seconds since prepareProcess.
double sinceStart();

/// `lowbit-run: MESSAGE` on standard error.
void printError(const std::string &message);

/// Prints the error, frees it, and returns its code.
int fail(lowbit_error *error);
/// Prints a message and returns the code.
int fail(int code, const std::string &message);

/// Writes model text to standard output at once. On a terminal, control
/// characters other than newline and tab are shown, not obeyed.
void writeText(std::string_view text);

/// Flushes standard output: `code`, or 5 where anything was not written.
int finish(int code);

/// Shows progress on standard error when something takes more than two
/// seconds: `what: done of all, ETA`.
class ProgressLine {
public:
  explicit ProgressLine(std::string what);
  ~ProgressLine();
  void update(int64_t done, int64_t all);

private:
  std::string what;
  double begun;
  double shown = 0;
  bool isTerminal;
};

/// Reads a whole file, `-` being standard input. 0, or the exit code of a
/// problem that was printed.
int readInput(const std::string &path, std::string &text);

/// 1234567 as `1.18 MiB`.
std::string readableBytes(double bytes);

} // namespace lowbit::run

#endif // LOWBIT_TOOLS_LOWBIT_RUN_TERMINAL_H
