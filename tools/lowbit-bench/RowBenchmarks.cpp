//===- RowBenchmarks.cpp - Activations become integers --------------------===//
//
// `quantize_rows` with each prologue, for one row and for 512. Every integer is
// checked: q · scale is at most half a step (and what f32 rounds) away from the
// value, computed in f64, and the sums are those of the integers.
//
//===----------------------------------------------------------------------===//

#include "KernelCode.h"
#include "Session.h"

#include <cmath>
#include <random>

using namespace lowbit;
using namespace lowbit::bench;

namespace {

constexpr int64_t sumGroup = 64;

struct RowChoice {
  std::string prologue;
  int64_t columns, planes, rows;
  int threads;

  /// Columns of a row of the input buffer: a gate has its two halves there.
  int64_t stride() const { return prologue == "gate" ? 2 * columns : columns; }
  int64_t padded() const { return (columns + 63) / 64 * 64 + 64; }
  std::string text() const;
};

std::string RowChoice::text() const {
  std::string c = std::to_string(columns), s = std::to_string(stride());
  std::string view = "x_offset = 0, x_stride = " + s;
  if (prologue == "rms_norm")
    view += ", eps = 1.0e-5 : f32";
  if (prologue == "gate")
    view = "gate_offset = 0, gate_stride = " + s + ", up_offset = " + c +
           ", up_stride = " + s;
  return "lowbit.kernel @rows family \"quantize_rows\" {prologue = \"" +
         prologue + "\", columns = " + c +
         ", planes = " + std::to_string(planes) +
         ", sum_group = " + std::to_string(sumGroup) + ", " + view + "}";
}

class RowCase final : public Case {
public:
  RowCase(Session &session, RowChoice choice)
      : session(session), choice(std::move(choice)),
        team(session.team(this->choice.threads)) {}

  Status prepare() override;
  Status measure(benchmark::State &state) override;

private:
  Status check() const;
  /// What the prologue gives, in f64.
  std::vector<double> expected(int64_t row) const;
  double pass(int64_t calls);

  Session &session;
  RowChoice choice;
  Team &team;
  KernelCode code;
  KernelCall call;
  Memory x, gain, q, scales, sums;
  std::vector<uint8_t *> arguments;
  int64_t calls = 1;
};

} // namespace

Status RowCase::prepare() {
  Result<KernelCode> made = KernelCode::compile(
      choice.text(), session.getOptions().variant, session.getOptions().dump);
  if (!made)
    return made.error();
  code = std::move(*made);
  Result<KernelCall> madeCall = KernelCall::make(code, "rows", team.size());
  if (!madeCall)
    return madeCall.error();
  call = std::move(*madeCall);
  int64_t groups = (choice.columns + sumGroup - 1) / sumGroup;
  int64_t planeRows = choice.rows * choice.planes;
  for (auto [memory, bytes] : {std::pair{&x, choice.rows * choice.stride() * 4},
                               std::pair{&gain, choice.columns * 4},
                               std::pair{&q, planeRows * choice.padded()},
                               std::pair{&scales, choice.rows * 4},
                               std::pair{&sums, planeRows * groups * 4}}) {
    Result<Memory> allocated = Memory::allocate(bytes, "rows");
    if (!allocated)
      return allocated.error();
    *memory = std::move(*allocated);
  }
  std::mt19937_64 random(4);
  std::normal_distribution<float> normal(0.0f, 1.5f);
  for (Memory *memory : {&x, &gain})
    for (int64_t i = 0; i < memory->size() / 4; ++i)
      reinterpret_cast<float *>(memory->data())[i] = normal(random);
  arguments = {x.data()};
  if (choice.prologue == "rms_norm")
    arguments.push_back(gain.data());
  if (choice.prologue == "gate")
    arguments.push_back(x.data());
  for (Memory *memory : {&q, &scales, &sums})
    arguments.push_back(memory->data());
  pass(1);
  calls = std::max<int64_t>(1, static_cast<int64_t>(0.01 / pass(1)));
  return check();
}

double RowCase::pass(int64_t count) {
  return team.timeSteps(
      count, choice.rows, [&](int64_t, Share share, int thread) {
        call.run(thread, arguments.data(), choice.rows, share.begin, share.end);
      });
}

std::vector<double> RowCase::expected(int64_t row) const {
  auto *values =
      reinterpret_cast<const float *>(x.data()) + row * choice.stride();
  auto *gains = reinterpret_cast<const float *>(gain.data());
  std::vector<double> result(values, values + choice.columns);
  double squares = 0;
  for (double v : result)
    squares += v * v;
  double mean = squares / static_cast<double>(choice.columns);
  for (int64_t k = 0; k < choice.columns; ++k) {
    if (choice.prologue == "rms_norm")
      result[k] *= gains[k] / std::sqrt(mean + 1e-5);
    if (choice.prologue == "gate")
      result[k] *= values[choice.columns + k] / (1 + std::exp(-result[k]));
  }
  return result;
}

Status RowCase::check() const {
  int64_t groups = (choice.columns + sumGroup - 1) / sumGroup;
  for (int64_t row : {int64_t(0), choice.rows / 2, choice.rows - 1}) {
    double scale = reinterpret_cast<const float *>(scales.data())[row];
    std::vector<double> values = expected(row);
    std::vector<int64_t> expectedSums(
        static_cast<size_t>(choice.planes * groups));
    for (int64_t k = 0; k < choice.columns; ++k) {
      double whole = 0;
      for (int64_t plane = 0; plane < choice.planes; ++plane) {
        int64_t i = (row * choice.planes + plane) * choice.padded() + k;
        auto byte = static_cast<int8_t>(q.data()[i]);
        expectedSums[plane * groups + k / sumGroup] += byte;
        whole = whole * 256 + byte;
      }
      // f32 steps before rounding can be off by some 10^-6 of the value.
      if (std::abs(whole * scale - values[k]) >
          0.5001 * scale + 4e-6 * std::abs(values[k]))
        return Error{ExitCode::Internal,
                     "wrong: row " + std::to_string(row) + ", column " +
                         std::to_string(k) + " stands for " +
                         std::to_string(whole * scale) + ", must be near " +
                         std::to_string(values[k])};
    }
    auto *actual = reinterpret_cast<const int32_t *>(sums.data()) +
                   row * choice.planes * groups;
    for (size_t i = 0; i < expectedSums.size(); ++i)
      if (actual[i] != expectedSums[i])
        return Error{ExitCode::Internal, "wrong: sum " + std::to_string(i) +
                                             " of row " + std::to_string(row)};
  }
  return std::nullopt;
}

Status RowCase::measure(benchmark::State &state) {
  double seconds = pass(calls) / static_cast<double>(calls);
  auto elements = static_cast<double>(choice.rows * choice.columns);
  state.SetIterationTime(seconds);
  state.counters["ns_per_element"] = seconds * 1e9 / elements;
  state.counters["gb_per_s"] =
      static_cast<double>(choice.rows * (choice.stride() * 4 +
                                         choice.planes * choice.columns)) /
      seconds * 1e-9;
  return check();
}

void bench::registerRows(Session &session) {
  for (const char *prologue : {"none", "rms_norm", "gate"})
    for (int64_t columns : {4096, 14336})
      for (int64_t planes : {1, 2})
        for (int64_t rows : {1, 512})
          for (int threads : session.getOptions().threads) {
            if (rows == 1 && threads > 1)
              continue; // one row is one item
            RowChoice choice{prologue, columns, planes, rows, threads};
            session.add(std::string("quantize_rows/") + prologue + "/" +
                            std::to_string(columns) +
                            "/rows:" + std::to_string(rows) +
                            (planes == 2 ? "/i16" : "/i8") +
                            "/threads:" + std::to_string(threads),
                        [&session, choice] {
                          return std::make_unique<RowCase>(session, choice);
                        });
          }
}
