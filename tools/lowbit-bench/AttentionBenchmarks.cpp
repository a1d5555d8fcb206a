//===- AttentionBenchmarks.cpp - Decoding at 2,048 positions --------------===//
//
// One row attends to 2,048 keys; one repetition goes through the layers of a
// cache that fills the session's pages, as a decode step of a deep model does.
// Outputs are checked against softmax in f64.
//
//===----------------------------------------------------------------------===//

#include "KernelCode.h"
#include "Session.h"
#include "lowbit/Numerics/Float.h"

#include <cmath>
#include <cstring>
#include <random>

using namespace lowbit;
using namespace lowbit::bench;

namespace {

/// Positions of a page, and pages of the one sequence.
constexpr int64_t pagePositions = 64, sequencePages = 32;
constexpr int64_t positions = pagePositions * sequencePages;

struct AttentionChoice {
  const char *name;
  int64_t heads, kvHeads, headDim;
  bool isInteger;
  int threads;

  int64_t elements() const { return kvHeads * headDim * pagePositions; }
  int64_t elementBytes() const { return isInteger ? 1 : 2; }
  /// Of one layer in one page: K, V, and their scales.
  int64_t layerBytes() const {
    return 2 * elements() * elementBytes() +
           (isInteger ? 2 * kvHeads * pagePositions * 4 : 0);
  }
  std::string text(int64_t pageBytes) const {
    auto n = [](int64_t value) { return std::to_string(value); };
    return "lowbit.kernel @attention family \"attention\" {heads = " +
           n(heads) + ", kv_heads = " + n(kvHeads) +
           ", head_dim = " + n(headDim) +
           ", cache = " + (isInteger ? "i8" : "f16") +
           ", page_bytes = " + n(pageBytes) +
           ", pages_per_sequence = " + n(sequencePages) +
           ", scale = 0.1 : f32, q_offset = 0, q_stride = " +
           n(heads * headDim) + "}";
  }
};

class AttentionCase final : public Case {
public:
  AttentionCase(Session &session, AttentionChoice choice)
      : session(session), choice(choice), team(session.team(choice.threads)) {}

  Status prepare() override;
  Status measure(benchmark::State &state) override;
  Status verdict() override;

private:
  void fillCache();
  double pass();
  Status check(int64_t layer) const;
  /// Element of K ([head_dim][64]) or V ([64][head_dim]) as a number.
  double element(int64_t layer, bool isValue, int64_t head, int64_t position,
                 int64_t d) const;
  double usefulBytes() const {
    return static_cast<double>(layers * sequencePages * choice.layerBytes());
  }

  Session &session;
  AttentionChoice choice;
  Team &team;
  KernelCode code;
  KernelCall call;
  int64_t layers = 0, pageBytes = 0;
  Memory q, y, rows, pageTable;
  std::unique_ptr<ReadLimit> memory;
  double bestRate = 0;
};

} // namespace

Status AttentionCase::prepare() {
  layers = session.pages().size() / (sequencePages * choice.layerBytes());
  pageBytes = layers * choice.layerBytes();
  Result<KernelCode> made =
      KernelCode::compile(choice.text(pageBytes), session.getOptions().variant,
                          session.getOptions().dump);
  if (!made)
    return made.error();
  code = std::move(*made);
  Result<KernelCall> madeCall =
      KernelCall::make(code, "attention", team.size());
  if (!madeCall)
    return madeCall.error();
  call = std::move(*madeCall);
  for (auto [memory, bytes] : {std::pair{&q, choice.heads * choice.headDim * 4},
                               std::pair{&y, choice.heads * choice.headDim * 4},
                               std::pair{&rows, int64_t(8)},
                               std::pair{&pageTable, sequencePages * 4}}) {
    Result<Memory> allocated = Memory::allocate(bytes, "attention");
    if (!allocated)
      return allocated.error();
    *memory = std::move(*allocated);
  }
  std::mt19937_64 random(5);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < choice.heads * choice.headDim; ++i)
    reinterpret_cast<float *>(q.data())[i] = normal(random);
  reinterpret_cast<int32_t *>(rows.data())[1] = positions - 1;
  // Pages lie in no order.
  for (int64_t i = 0; i < sequencePages; ++i)
    reinterpret_cast<int32_t *>(pageTable.data())[i] =
        static_cast<int32_t>(i * 11 % sequencePages);
  fillCache();
  pass();
  if (Status status = check(layers - 1))
    return status;
  memory = std::make_unique<ReadLimit>(team, session.pages().data(),
                                       sequencePages * pageBytes);
  return std::nullopt;
}

void AttentionCase::fillCache() {
  std::mt19937_64 random(6);
  int64_t count = sequencePages * layers;
  for (int64_t i = 0; i < count; ++i) {
    uint8_t *layer = session.pages().data() + i * choice.layerBytes();
    int64_t words = 2 * choice.elements() * choice.elementBytes() / 8;
    for (int64_t w = 0; w < words; ++w) {
      // f16: ±(1/8 … 2).
      uint64_t bits = random();
      if (!choice.isInteger)
        bits = (bits & 0x8FFF8FFF8FFF8FFFu) | 0x3000300030003000u;
      std::memcpy(layer + w * 8, &bits, 8);
    }
    auto *scales = reinterpret_cast<float *>(layer + 2 * choice.elements() *
                                                         choice.elementBytes());
    for (int64_t s = 0; choice.isInteger && s < 2 * choice.kvHeads * 64; ++s)
      scales[s] = static_cast<float>(1 + random() % 100) * 1e-4f;
  }
  session.pageContents = "cache";
}

double AttentionCase::pass() {
  return team.timeSteps(
      layers, choice.kvHeads, [&](int64_t layer, Share share, int thread) {
        uint8_t *arguments[] = {
            q.data(), rows.data(), pageTable.data(),
            session.pages().data() + layer * choice.layerBytes(), y.data()};
        call.run(thread, arguments, 1, share.begin, share.end);
      });
}

double AttentionCase::element(int64_t layer, bool isValue, int64_t head,
                              int64_t position, int64_t d) const {
  auto *table = reinterpret_cast<const int32_t *>(pageTable.data());
  const uint8_t *place = session.pages().data() +
                         table[position / pagePositions] * pageBytes +
                         layer * choice.layerBytes();
  int64_t slot = position % pagePositions;
  int64_t i = isValue ? (head * pagePositions + slot) * choice.headDim + d
                      : (head * choice.headDim + d) * pagePositions + slot;
  i += isValue ? choice.elements() : 0;
  if (!choice.isInteger) {
    uint16_t bits;
    std::memcpy(&bits, place + i * 2, 2);
    return f16ToFloat(bits);
  }
  auto *scales = reinterpret_cast<const float *>(place + 2 * choice.elements());
  int64_t s = (isValue ? choice.kvHeads + head : head) * pagePositions + slot;
  return static_cast<double>(static_cast<int8_t>(place[i])) * scales[s];
}

Status AttentionCase::check(int64_t layer) const {
  auto *queries = reinterpret_cast<const float *>(q.data());
  auto *outputs = reinterpret_cast<const float *>(y.data());
  for (int64_t h : {int64_t(0), choice.heads / 2, choice.heads - 1}) {
    int64_t head = h / (choice.heads / choice.kvHeads);
    std::vector<double> weights(positions);
    double largest = -1e300, sum = 0;
    for (int64_t j = 0; j < positions; ++j) {
      for (int64_t d = 0; d < choice.headDim; ++d)
        weights[j] += 0.1f * queries[h * choice.headDim + d] *
                      element(layer, false, head, j, d);
      largest = std::max(largest, weights[j]);
    }
    for (double &weight : weights)
      sum += weight = std::exp(weight - largest);
    for (int64_t d = 0; d < choice.headDim; ++d) {
      double expected = 0;
      for (int64_t j = 0; j < positions; ++j)
        expected += weights[j] / sum * element(layer, true, head, j, d);
      double actual = outputs[h * choice.headDim + d];
      if (!(std::abs(actual - expected) < 1e-4))
        return Error{ExitCode::Internal,
                     "wrong: head " + std::to_string(h) + ", element " +
                         std::to_string(d) + " is " + std::to_string(actual) +
                         ", must be near " + std::to_string(expected)};
    }
  }
  return std::nullopt;
}

Status AttentionCase::measure(benchmark::State &state) {
  double read = memory->measure(0);
  double seconds = pass();
  read = std::max(read, memory->measure(1));
  double peak = peakRate(team, floatPeak());
  double rate = usefulBytes() / seconds;
  double adds = static_cast<double>(2 * layers * positions * choice.heads *
                                    choice.headDim) /
                seconds;
  state.SetIterationTime(seconds / static_cast<double>(layers));
  state.counters["gb_per_s"] = rate * 1e-9;
  state.counters["gflops"] = 2e-9 * adds;
  state.counters["read_gb_per_s"] = read * 1e-9;
  state.counters["peak_gops"] = 2e-9 * peak;
  state.counters["share_read"] = rate / read;
  state.counters["share_peak"] = adds / peak;
  bestRate = std::max(bestRate, rate);
  return check(layers - 1);
}

Status AttentionCase::verdict() {
  if (bestRate > memory->best() * limitTolerance)
    return Error{ExitCode::Internal,
                 "beat its limit, so the limit is wrong: GB/s read, " +
                     std::to_string(bestRate * 1e-9) + " of " +
                     std::to_string(memory->best() * 1e-9)};
  return std::nullopt;
}

void bench::registerAttention(Session &session) {
  struct Model {
    const char *name;
    int64_t heads, kvHeads, headDim;
  };
  for (Model model : {Model{"1B", 32, 8, 64}, Model{"8B", 32, 8, 128}})
    for (bool isInteger : {false, true})
      for (int threads : session.getOptions().threads) {
        AttentionChoice choice{model.name,    model.heads, model.kvHeads,
                               model.headDim, isInteger,   threads};
        session.add(std::string("attention/") + model.name + "/2048/" +
                        (isInteger ? "i8" : "f16") +
                        "/threads:" + std::to_string(threads),
                    [&session, choice] {
                      return std::make_unique<AttentionCase>(session, choice);
                    });
      }
}
