//===- Progress.h - What a person sees of a long job ------------*- C++ -*-===//
//
// Everything goes to stderr: a bar where that is a terminal, else a line every
// few seconds, or one JSON object per event with --log-jsonl. Nothing is shown
// of work that takes less than two seconds.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_PROGRESS_H
#define LOWBIT_PIPELINES_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace lowbit {

/// The log of one process.
class Progress {
public:
  explicit Progress(bool jsonLines);
  ~Progress();

  /// One line that a user should know.
  void note(const std::string &text);

  /// Begins a piece of work of `total` units (0: unknown); ends the one before.
  void begin(const std::string &what, int64_t total);
  /// `units` more are done. From any thread.
  void advance(int64_t units);
  /// The work is complete.
  void end();

private:
  void show(double elapsed, bool isLast);
  void clearBar();
  void emitJson(const std::string &event, const std::string &text,
                double elapsed);

  const bool jsonLines;
  const bool isTerminal;
  std::mutex mutex;
  std::string what;
  int64_t total = 0, done = 0;
  bool isRunning = false, barShown = false, wasShown = false;
  std::chrono::steady_clock::time_point start, lastShown;
};

} // namespace lowbit

#endif // LOWBIT_PIPELINES_PROGRESS_H
