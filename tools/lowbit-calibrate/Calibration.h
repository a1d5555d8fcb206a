//===- Calibration.h - From a model and a text to a profile -----*- C++ -*-===//
#ifndef LOWBIT_TOOLS_CALIBRATE_CALIBRATION_H
#define LOWBIT_TOOLS_CALIBRATE_CALIBRATION_H

#include "lowbit/Checkpoint/Error.h"

#include <atomic>
#include <cstdint>
#include <string>

namespace lowbit::calibrate {

/// Rows that a sample has at most.
constexpr int64_t maxSampleRows = 512;

/// What is calibrated, and how.
struct CalibrationOptions {
  std::string modelFolder;
  std::string text;
  std::string output;
  /// Tokens of the text to take, from its beginning; 0: as many as
  /// `defaultCalibrationTokens`, or all where it has fewer.
  int64_t tokens = 0;
  /// Tokens of a window, BOS included; 0: 512, or as many as the model has
  /// positions.
  int64_t context = 0;
  /// `diagonal` or `full`.
  std::string moments = "diagonal";
  /// Threads, as clampThreads takes them. Does not change the bytes.
  int64_t threads = 0;
  bool force = false;
  bool allowUnused = false;
  bool logJsonLines = false;
  /// Measure what the machine allows as well, and report the share of it.
  bool measure = false;
  /// The running program, which generates code when started as a child.
  std::string program;
  /// Ends the run early (exit 75) once true; may be null.
  const std::atomic<bool> *stop = nullptr;
};

/// Writes the profile; the text is for stdout. What goes wrong is one line and
/// an exit code (Spec.md, section 7); nothing is left behind then.
Result<std::string> calibrate(const CalibrationOptions &options);

} // namespace lowbit::calibrate

#endif // LOWBIT_TOOLS_CALIBRATE_CALIBRATION_H
