//===- MomentBenchmarks.cpp - What calibration spends its time on ---------===//
//
// `second_moments` against the peak of fused multiply-adds: half of a matrix
// product, counted as rows · K · (K + 1) / 2. Float linears are among the
// linears (`linear/bf16/…/rows:512/f32`). Outputs are checked in f64.
//
//===----------------------------------------------------------------------===//

#include "KernelCode.h"
#include "Session.h"

#include <cmath>
#include <cstring>
#include <random>

using namespace lowbit;
using namespace lowbit::bench;

namespace {

class MomentCase final : public Case {
public:
  MomentCase(Session &session, int64_t columns, int64_t rows, int threads)
      : session(session), columns(columns), rows(rows),
        team(session.team(threads)) {}

  Status prepare() override;
  Status measure(benchmark::State &state) override;
  Status verdict() override {
    if (bestAdds > bestPeak * limitTolerance)
      return Error{ExitCode::Internal,
                   "beat its limit, so the limit is wrong: multiply-adds"};
    return std::nullopt;
  }

private:
  double pass() {
    return team.timeSteps(
        1, (columns + 15) / 16, [&](int64_t, Share share, int thread) {
          uint8_t *arguments[] = {x.data(), moments.data()};
          call.run(thread, arguments, rows, share.begin, share.end);
        });
  }
  Status check() const;

  Session &session;
  int64_t columns, rows;
  Team &team;
  KernelCode code;
  KernelCall call;
  Memory x, moments;
  int64_t passes = 0;
  double bestAdds = 0, bestPeak = 0;
};

} // namespace

Status MomentCase::prepare() {
  std::string c = std::to_string(columns);
  Result<KernelCode> made = KernelCode::compile(
      "lowbit.kernel @moments family \"second_moments\" {columns = " + c +
          ", x_offset = 0, x_stride = " + c + "}",
      session.getOptions().variant, session.getOptions().dump);
  if (!made)
    return made.error();
  code = std::move(*made);
  Result<KernelCall> madeCall = KernelCall::make(code, "moments", team.size());
  if (!madeCall)
    return madeCall.error();
  call = std::move(*madeCall);
  for (auto [memory, bytes] : {std::pair{&x, rows * columns * 4},
                               std::pair{&moments, columns * columns * 4}}) {
    Result<Memory> allocated = Memory::allocate(bytes, "moments");
    if (!allocated)
      return allocated.error();
    *memory = std::move(*allocated);
  }
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < rows * columns; ++i)
    reinterpret_cast<float *>(x.data())[i] = normal(random);
  pass();
  passes = 1;
  return check();
}

Status MomentCase::check() const {
  auto *values = reinterpret_cast<const float *>(x.data());
  auto *sums = reinterpret_cast<const float *>(moments.data());
  for (int64_t sample = 0; sample < 500; ++sample) {
    int64_t i = sample * 7919 % columns;
    int64_t j = sample % 5 == 0 ? i : sample * 104729 % (i + 1);
    double expected = 0, magnitude = 0;
    for (int64_t m = 0; m < rows; ++m) {
      double product = static_cast<double>(values[m * columns + i]) *
                       values[m * columns + j];
      expected += product;
      magnitude += std::abs(product);
    }
    auto times = static_cast<double>(passes);
    double actual = sums[i * columns + j];
    if (!(std::abs(actual - expected * times) < 1e-5 * magnitude * times))
      return Error{ExitCode::Internal,
                   "wrong: h[" + std::to_string(i) + "][" + std::to_string(j) +
                       "] is " + std::to_string(actual) + ", must be near " +
                       std::to_string(expected * times)};
  }
  return std::nullopt;
}

Status MomentCase::measure(benchmark::State &state) {
  double peak = peakRate(team, floatPeak());
  double seconds = pass();
  ++passes;
  peak = std::max(peak, peakRate(team, floatPeak()));
  double adds = static_cast<double>(rows) * static_cast<double>(columns) *
                static_cast<double>(columns + 1) / 2 / seconds;
  state.SetIterationTime(seconds);
  state.counters["gflops"] = 2e-9 * adds;
  state.counters["peak_gops"] = 2e-9 * peak;
  state.counters["share_peak"] = adds / peak;
  bestAdds = std::max(bestAdds, adds);
  bestPeak = std::max(bestPeak, peak);
  return check();
}

void bench::registerMoments(Session &session) {
  for (int64_t columns : {2048, 8192})
    for (int64_t rows : {512})
      for (int threads : session.getOptions().threads)
        session.add("second_moments/" + std::to_string(columns) +
                        "/rows:" + std::to_string(rows) +
                        "/threads:" + std::to_string(threads),
                    [&session, columns, rows, threads] {
                      return std::make_unique<MomentCase>(session, columns,
                                                          rows, threads);
                    });
}
