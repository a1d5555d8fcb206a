//===- CommandLine.h - What lowbit-run was asked to do ----------*- C++ -*-===//
#ifndef LOWBIT_TOOLS_LOWBIT_RUN_COMMANDLINE_H
#define LOWBIT_TOOLS_LOWBIT_RUN_COMMANDLINE_H

#include <cstdint>
#include <string>
#include <vector>

namespace lowbit::run {

/// The flags, with their defaults.
struct CommandLine {
  std::string model;

  // Text.
  std::string prompt, promptFile;
  int64_t tokens = -1;
  bool ignoreEnd = false, parseSpecial = false, noDisplayPrompt = false;

  // Sampling.
  double temperature = 0.8;
  int64_t topK = 40;
  double topP = 0.95, minP = 0.05;
  int64_t seed = -1;

  // Figures.
  std::string perplexityFile, compareWith, protocol = "lowbit";
  int64_t windows = 0;
  bool bench = false;
  int64_t benchPrompt = 512, benchTokens = 128, repetitions = 5;
  std::string format;

  // Numbers in and out.
  bool tokenize = false;
  std::string idsFile, logitsFile;

  // How it runs.
  int64_t threads = 0, context = 0, width = -1;
  std::string variant, weights = "automatic", engine = "kernels";
  std::string device = "cpu";
  int64_t schedule = 0;
  bool trust = false;

  // The artifact itself.
  bool inspect = false, verify = false, listVariants = false,
       listDevices = false;
};

/// Reads the arguments. Returns −1 to go on, or the exit code: after --help and
/// --version (0), and after a problem that it has printed (2).
int parseCommandLine(int argc, char **argv, CommandLine &line);

} // namespace lowbit::run

#endif // LOWBIT_TOOLS_LOWBIT_RUN_COMMANDLINE_H
