//===- SolverBenchmarks.cpp - Scale search on every core ------------------===//
//
// Weights per second and core of the solvers of Numerics on normal random
// weights with an importance for each column, one solver on each thread, as
// materialize runs them.
//
//===----------------------------------------------------------------------===//

#include "Session.h"
#include "lowbit/Numerics/Solver.h"
#include "lowbit/Transforms/FormatNames.h"

#include <random>

using namespace lowbit;
using namespace lowbit::bench;

namespace {

constexpr int64_t columns = 4096;
/// Tiles of 16 rows that a thread solves in one repetition.
constexpr int64_t tiles = 24;

class SolverCase final : public Case {
public:
  SolverCase(Team &team, IntegerFormat format, SolverKind kind)
      : team(team), format(format), kind(kind) {}

  Status prepare() override {
    std::mt19937_64 random(3);
    std::normal_distribution<float> normal(0.0f, 0.02f);
    weights.resize(static_cast<size_t>(tiles * tileRows * columns));
    for (float &weight : weights)
      weight = normal(random);
    importance.resize(static_cast<size_t>(columns));
    for (float &h : importance)
      h = 0.1f + static_cast<float>(random() % 1000) * 1e-3f;
    for (int thread = 0; thread < team.size(); ++thread)
      solvers.push_back(std::make_unique<TileSolver>(format, columns, kind,
                                                     importance.data()));
    results.resize(solvers.size());
    return std::nullopt;
  }

  Status measure(benchmark::State &state) override {
    float factor = 1;
    if (format.hasFactor())
      factor = 2e-4f;
    std::vector<std::optional<Defect>> defects(solvers.size());
    double seconds = team.time([&](int thread) {
      auto i = static_cast<size_t>(thread);
      for (int64_t tile = 0; tile < tiles && !defects[i]; ++tile) {
        TileInput input;
        input.weights = weights.data() + tile * tileRows * columns;
        input.stride = columns;
        input.rows = tileRows;
        input.columns = columns;
        defects[i] = solvers[i]->solve(input, factor, results[i]);
      }
    });
    for (const auto &defect : defects)
      if (defect)
        return Error{ExitCode::Internal, describe(*defect)};
    state.SetIterationTime(seconds);
    state.counters["mweights_per_s"] =
        static_cast<double>(weights.size()) / seconds * 1e-6;
    state.SetLabel("per core");
    return std::nullopt;
  }

private:
  Team &team;
  IntegerFormat format;
  SolverKind kind;
  std::vector<float> weights, importance;
  std::vector<std::unique_ptr<TileSolver>> solvers;
  std::vector<IntegerTile> results;
};

} // namespace

void bench::registerSolvers(Session &session) {
  for (const char *name :
       {"int8-g64", "int4-g64", "int4-g64-stored", "int4-row", "int3-g64",
        "int2-g64", "int2-g64-half", "int2-g64-e4m3-half"})
    for (SolverKind kind : {SolverKind::Nearest, SolverKind::Search})
      for (int threads : session.getOptions().threads) {
        Result<IntegerFormat> format = parseFormatName(name);
        if (!format)
          continue;
        session.add(std::string("solver/") + name +
                        (kind == SolverKind::Search ? "/search" : "/nearest") +
                        "/threads:" + std::to_string(threads),
                    [&session, threads, kind, format = *format] {
                      return std::make_unique<SolverCase>(session.team(threads),
                                                          format, kind);
                    });
      }
}
