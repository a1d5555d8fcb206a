//===- SolverBenchmarks.cpp - Scale search on every core ------------------===//
//
// Weights per second and core of the encoders of Numerics (solve, pack,
// measure) on normal random weights with an importance for each column, one on
// each thread, as materialize runs them.
//
//===----------------------------------------------------------------------===//

#include "Session.h"
#include "lowbit/Transforms/FormatNames.h"

#include <random>

using namespace lowbit;
using namespace lowbit::bench;

namespace {

constexpr int64_t columns = 4096;
/// Rows that a thread solves in one repetition.
constexpr int64_t rows = 384;

class SolverCase final : public Case {
public:
  SolverCase(Team &team, FormatPtr format, std::string solver)
      : team(team), format(std::move(format)), solver(std::move(solver)) {}

  Status prepare() override {
    std::mt19937_64 random(3);
    std::normal_distribution<float> normal(0.0f, 0.02f);
    weights.resize(static_cast<size_t>(rows * columns));
    for (float &weight : weights)
      weight = normal(random);
    importance.resize(static_cast<size_t>(columns));
    for (float &h : importance)
      h = 0.1f + static_cast<float>(random() % 1000) * 1e-3f;
    EncoderOptions options;
    options.solver = solver;
    options.importance = importance.data();
    places = *format->places(rows, columns);
    for (int thread = 0; thread < team.size(); ++thread) {
      encoders.push_back(format->makeEncoder(columns, options));
      results.emplace_back(static_cast<size_t>(places.tileBytes));
    }
    return std::nullopt;
  }

  Status measure(benchmark::State &state) override {
    TensorFacts facts;
    if (format->needsScan())
      facts.factor = 2e-4f;
    std::vector<std::optional<Defect>> defects(encoders.size());
    double seconds = team.time([&](int thread) {
      auto i = static_cast<size_t>(thread);
      ErrorSums sums;
      for (int64_t tile = 0; tile < places.tiles && !defects[i]; ++tile) {
        TileInput input;
        input.weights = weights.data() + tile * places.tileRows * columns;
        input.stride = columns;
        input.rows = places.tileRows;
        input.columns = columns;
        defects[i] = encoders[i]->encode(input, facts, results[i].data(), sums);
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
  FormatPtr format;
  std::string solver;
  TilePlaces places;
  std::vector<float> weights, importance;
  std::vector<std::unique_ptr<TileEncoder>> encoders;
  std::vector<std::vector<uint8_t>> results;
};

} // namespace

void bench::registerSolvers(Session &session) {
  for (const char *name :
       {"int8-g64", "int4-g64", "int4-g64-stored", "int4-row", "int3-g64",
        "int2-g64", "int2-g64-half", "int2-g64-e4m3-half"})
    for (const char *solver : {"nearest", "search"})
      for (int threads : session.getOptions().threads) {
        Result<FormatPtr> format = parseFormatName(name);
        if (!format)
          continue;
        session.add(std::string("solver/") + name + "/" + solver +
                        "/threads:" + std::to_string(threads),
                    [&session, threads, solver, format = *format] {
                      return std::make_unique<SolverCase>(session.team(threads),
                                                          format, solver);
                    });
      }
}
