//===- Session.h - What all benchmarks of a run share -----------*- C++ -*-===//
//
// Options, teams of threads, one large buffer of cold pages, and what went
// wrong. Google Benchmark calls a benchmark once for each repetition; the
// session keeps the case (its code and data) from the first to the last.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_SESSION_H
#define LOWBIT_TOOLS_BENCH_SESSION_H

#include "Limits.h"
#include "Team.h"
#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/KernelTable.h"
#include "lowbit/Runtime/Memory.h"

#include <benchmark/benchmark.h>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lowbit::bench {

/// N × K of a linear.
struct MatrixShape {
  int64_t outputs, inputs;
};

/// What the command line chose.
struct Options {
  std::vector<std::string> formats;
  std::vector<MatrixShape> shapes;
  std::vector<int64_t> rows;
  /// `i8`, `i16`.
  std::vector<std::string> activations;
  std::vector<int> threads;
  /// The variant of kernels; limits are always those of the machine.
  Variant variant = Variant::Portable;
  /// Bytes of cold pages.
  int64_t pageBytes = 0;
  Clock clock = Clock::Wall;
  /// Where kernels' code goes; empty: nowhere.
  std::string dump;
};

/// One benchmark: its code and data, made when it is first run.
class Case {
public:
  virtual ~Case() = default;
  /// Generates code, makes data, and checks one output.
  virtual Status prepare() = 0;
  /// One repetition; calls state.SetIterationTime once.
  virtual Status measure(benchmark::State &state) = 0;
  /// After the last repetition: wrong outputs, or a limit that was beaten.
  virtual Status verdict() { return std::nullopt; }
};

/// See the head of this file.
class Session {
public:
  using MakeCase = std::function<std::unique_ptr<Case>()>;

  /// Allocates the pages. Errors: threads, memory.
  static Result<std::unique_ptr<Session>> create(Options options);

  const Options &getOptions() const { return options; }
  Team &team(int threads) { return *teams.at(threads); }
  const Memory &pages() const { return pageMemory; }
  /// A number that benchmarks set to say what the pages hold now.
  std::string pageContents;

  /// Registers a benchmark with Google Benchmark.
  void add(const std::string &name, MakeCase make);
  /// Ends the case at hand.
  void finish();
  /// Whether a case failed, was wrong or beat its limit.
  const std::vector<std::string> &failures() const { return failureLines; }

private:
  explicit Session(Options options) : options(std::move(options)) {}
  void run(benchmark::State &state, const std::string &name,
           const MakeCase &make);

  Options options;
  std::map<int, std::unique_ptr<Team>> teams;
  Memory pageMemory;
  std::string activeName;
  std::unique_ptr<Case> active;
  std::vector<std::string> failureLines;
};

/// How much more than its limit a kernel may seem to do before the limit counts
/// as beaten: what two measurements of the same thing differ by.
constexpr double limitTolerance = 1.03;

void registerLimits(Session &session);
void registerLinears(Session &session);
void registerRows(Session &session);
void registerAttention(Session &session);
void registerMoments(Session &session);
void registerSolvers(Session &session);

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_SESSION_H
