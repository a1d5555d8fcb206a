//===- Session.cpp - What all benchmarks of a run share -------------------===//

#include "Session.h"

using namespace lowbit;
using namespace lowbit::bench;

Result<std::unique_ptr<Session>> Session::create(Options options) {
  std::unique_ptr<Session> session(new Session(std::move(options)));
  const Options &chosen = session->options;
  for (int threads : chosen.threads) {
    Result<std::unique_ptr<Team>> team = Team::create(threads, chosen.clock);
    if (!team)
      return team.error();
    session->teams[threads] = std::move(*team);
  }
  Result<Memory> pages = Memory::allocate(chosen.pageBytes, "cold pages");
  if (!pages)
    return pages.error();
  session->pageMemory = std::move(*pages);
  return session;
}

void Session::add(const std::string &name, MakeCase make) {
  benchmark::RegisterBenchmark(
      name.c_str(),
      [this, name, make](benchmark::State &state) { run(state, name, make); })
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond)
      ->ComputeStatistics("min",
                          [](const std::vector<double> &values) {
                            return *std::min_element(values.begin(),
                                                     values.end());
                          })
      ->ComputeStatistics("max", [](const std::vector<double> &values) {
        return *std::max_element(values.begin(), values.end());
      });
}

void Session::finish() {
  if (active)
    if (Status status = active->verdict())
      failureLines.push_back(activeName + ": " + status->message);
  active.reset();
  activeName.clear();
}

void Session::run(benchmark::State &state, const std::string &name,
                  const MakeCase &make) {
  if (activeName != name) {
    finish();
    activeName = name;
    active = make();
    if (Status status = active->prepare()) {
      failureLines.push_back(name + ": " + status->message);
      active.reset();
    }
  }
  if (!active)
    return state.SkipWithError("failed, see the last lines");
  for (auto _ : state)
    if (Status status = active->measure(state)) {
      failureLines.push_back(name + ": " + status->message);
      active.reset();
      return state.SkipWithError("failed, see the last lines");
    }
}

//===----------------------------------------------------------------------===//
// The limits on their own
//===----------------------------------------------------------------------===//

namespace {

class ReadCase final : public Case {
public:
  ReadCase(Session &session, int threads)
      : session(session), team(session.team(threads)) {}

  Status prepare() override {
    auto *words = reinterpret_cast<uint64_t *>(session.pages().data());
    int64_t count = session.pages().size() / 8;
    team.time([&](int thread) {
      Share share = team.share(count, thread);
      uint64_t random = 88172645463325252u + static_cast<uint64_t>(thread);
      for (int64_t i = share.begin; i < share.end; ++i) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        words[i] = random;
      }
    });
    session.pageContents = "random words";
    limit = std::make_unique<ReadLimit>(team, session.pages().data(),
                                        session.pages().size());
    return std::nullopt;
  }

  Status measure(benchmark::State &state) override {
    double rate = limit->measure();
    state.SetIterationTime(static_cast<double>(session.pages().size()) / rate);
    state.SetLabel(limit->describe());
    state.counters["gb_per_s"] = rate * 1e-9;
    return std::nullopt;
  }

private:
  Session &session;
  Team &team;
  std::unique_ptr<ReadLimit> limit;
};

class PeakCase final : public Case {
public:
  PeakCase(Team &team, PeakLoop loop) : team(team), loop(std::move(loop)) {}
  Status prepare() override { return std::nullopt; }
  Status measure(benchmark::State &state) override {
    double rate = peakRate(team, loop);
    state.SetIterationTime(1 / rate * 1e9); // of 10^9 multiply-adds
    state.SetLabel(loop.name);
    state.counters["gops"] = 2e-9 * rate;
    state.counters["clock_ghz"] = clockRate(team) * 1e-9;
    return std::nullopt;
  }

private:
  Team &team;
  PeakLoop loop;
};

} // namespace

void bench::registerLimits(Session &session) {
  for (int threads : session.getOptions().threads) {
    std::string suffix = "/threads:" + std::to_string(threads);
    session.add("limit/read" + suffix, [&session, threads] {
      return std::make_unique<ReadCase>(session, threads);
    });
    const std::pair<const char *, PeakLoop> peaks[] = {
        {"integer", integerPeak(4)},
        {"integer8", integerPeak(8)},
        {"integer_chain", integerChain()},
        {"float", floatPeak()}};
    for (const auto &[name, peak] : peaks)
      session.add("limit/" + std::string(name) + suffix, [&session, threads,
                                                          loop = peak] {
        return std::make_unique<PeakCase>(session.team(threads), loop);
      });
  }
}
