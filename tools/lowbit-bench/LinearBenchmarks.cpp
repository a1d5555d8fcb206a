//===- LinearBenchmarks.cpp - Linears against their limits ----------------===//
//
// Each repetition measures the kernel and its limits one after the other:
//
//   read the pages | kernel over cold matrices | read the pages
//   kernel on matrices that stay in L2 | integer peak (float peak)
//
// so that a ratio compares neighbours in time. `share_min` is the kernel's
// weights per second over the smaller of what memory delivers and what the
// kernel itself does from L2.
//
//===----------------------------------------------------------------------===//

#include "KernelCode.h"
#include "StrictLinear.h"

#include <cmath>
#include <cstring>

using namespace lowbit;
using namespace lowbit::bench;

namespace {

/// Rows from which a linear is bound by arithmetic, not by memory.
constexpr int64_t manyRows = 32;

struct LinearChoice {
  WeightType type;
  MatrixShape shape;
  int64_t rows, planes;
  int threads;

  int64_t bucket() const { return rows == 1 ? 1 : rows < manyRows ? 16 : 32; }
  int64_t items() const {
    int64_t tile = type.format ? type.format->tileRows() : tileRows;
    int64_t rowsOfItem = bucket() == 32 ? std::max(tile, 2 * tileRows) : tile;
    return (shape.outputs + rowsOfItem - 1) / rowsOfItem;
  }
  std::string text() const;
};

std::string LinearChoice::text() const {
  std::string activation = planes == 2 ? "i16" : planes == 1 ? "i8" : "f32";
  std::string text = "lowbit.kernel @linear family \"linear\" {type = " +
                     type.tensorType(shape) + ", activation = " + activation +
                     ", bucket = " + std::to_string(bucket()) +
                     ", bias = false, residual = false, y_stride = " +
                     std::to_string(shape.outputs);
  if (planes == 0)
    text += ", x_offset = 0, x_stride = " + std::to_string(shape.inputs);
  return text + "}";
}

class LinearCase final : public Case {
public:
  LinearCase(Session &session, LinearChoice choice)
      : session(session), choice(std::move(choice)),
        team(session.team(this->choice.threads)) {}

  Status prepare() override;
  Status measure(benchmark::State &state) override;
  Status verdict() override;

private:
  /// Seconds of the kernel over `count` matrices from `next` on.
  double passCold(int64_t count);
  /// Weights per second of all threads, each on tiles that stay in its L2.
  double rateInCache();
  /// The kernel on items of one matrix.
  void callOn(uint8_t *weight, int64_t begin, int64_t end, int thread);
  Status checkTile(int64_t matrix, int64_t m, int64_t t);
  Status checkAll(int64_t matrix);
  Status checkSome(int64_t matrix);
  double weights() const {
    return static_cast<double>(choice.shape.outputs * choice.shape.inputs);
  }
  bool isInteger() const { return choice.planes > 0; }
  bool isMemoryBound() const { return choice.rows < manyRows; }

  Session &session;
  LinearChoice choice;
  Team &team;
  KernelCode code;
  KernelCall call;
  WeightPages pages;
  Activations activations;
  Memory y;
  std::vector<uint8_t *> arguments;
  std::unique_ptr<ReadLimit> memory;
  int64_t next = 0, matricesPerPass = 1, itemsInCache = 1, passesInCache = 1;
  double bestWeights = 0, bestInCache = 0, bestAdds = 0, bestPeak = 0;
};

} // namespace

Status LinearCase::prepare() {
  Result<KernelCode> made = KernelCode::compile(
      choice.text(), session.getOptions().variant, session.getOptions().dump);
  if (!made)
    return made.error();
  code = std::move(*made);
  Result<KernelCall> madeCall = KernelCall::make(code, "linear", team.size());
  if (!madeCall)
    return madeCall.error();
  call = std::move(*madeCall);
  Result<WeightPages> filled =
      WeightPages::fill(session, choice.type, choice.shape);
  if (!filled)
    return filled.error();
  pages = std::move(*filled);
  Result<Activations> rows = Activations::make(
      choice.type, choice.rows, choice.shape.inputs, choice.planes);
  if (!rows)
    return rows.error();
  activations = std::move(*rows);
  Result<Memory> outputs =
      Memory::allocate(choice.rows * choice.shape.outputs * 4, "outputs");
  if (!outputs)
    return outputs.error();
  y = std::move(*outputs);
  arguments = activations.arguments();
  arguments.push_back(nullptr); // the weight
  arguments.push_back(y.data());

  passCold(1);
  if (Status status = checkAll(0))
    return status;
  constexpr double passSeconds = 0.1;
  double seconds = passCold(1);
  matricesPerPass = std::clamp<int64_t>(
      static_cast<int64_t>(passSeconds / seconds), 1, pages.count());
  if (!isMemoryBound())
    return std::nullopt;
  memory =
      std::make_unique<ReadLimit>(team, pages.matrix(0), pages.usedBytes());
  itemsInCache =
      std::clamp<int64_t>(secondLevelCache() / 2 / pages.places().tileBytes, 1,
                          std::max<int64_t>(choice.items() / team.size(), 1));
  double once = weights() / static_cast<double>(choice.items()) *
                static_cast<double>(itemsInCache * team.size());
  constexpr double cacheSeconds = 0.02;
  passesInCache = 4;
  double rate = rateInCache();
  passesInCache =
      std::max<int64_t>(4, static_cast<int64_t>(cacheSeconds * rate / once));
  return std::nullopt;
}

double LinearCase::passCold(int64_t count) {
  int64_t first = next;
  next = (next + count) % pages.count();
  return team.timeSteps(count, choice.items(),
                        [&](int64_t step, Share share, int thread) {
                          callOn(pages.matrix((first + step) % pages.count()),
                                 share.begin, share.end, thread);
                        });
}

void LinearCase::callOn(uint8_t *weight, int64_t begin, int64_t end,
                        int thread) {
  constexpr size_t mostArguments = 8;
  uint8_t *here[mostArguments];
  std::copy(arguments.begin(), arguments.end(), here);
  here[arguments.size() - 2] = weight;
  call.run(thread, here, choice.rows, begin, end);
}

double LinearCase::rateInCache() {
  double seconds = team.time([&](int thread) {
    int64_t first =
        std::min<int64_t>(thread * itemsInCache, choice.items() - itemsInCache);
    for (int64_t i = 0; i < passesInCache; ++i)
      callOn(pages.matrix(0), first, first + itemsInCache, thread);
  });
  return weights() / static_cast<double>(choice.items()) *
         static_cast<double>(itemsInCache * passesInCache * team.size()) /
         seconds;
}

/// Compares the outputs of a tile of row `m` with the naive result of a matrix.
Status LinearCase::checkTile(int64_t matrix, int64_t m, int64_t t) {
  const TilePlaces &places = pages.places();
  const uint8_t *bytes = pages.matrix(matrix);
  TensorFacts facts;
  if (choice.type.format)
    if (auto defect =
            choice.type.format->readTrailer(bytes + places.trailer(), facts))
      return Error{ExitCode::Internal, describe(*defect)};
  int64_t tileRows = places.tileRows;
  int64_t rows = std::min(tileRows, choice.shape.outputs - t * tileRows);
  std::vector<float> expected(static_cast<size_t>(tileRows));
  if (Status status =
          strictTile(choice.type, bytes + t * places.tileBytes, facts.factor,
                     rows, activations, m, expected.data()))
    return status;
  auto *actual = reinterpret_cast<const float *>(y.data()) +
                 m * choice.shape.outputs + t * tileRows;
  for (int64_t r = 0; r < rows; ++r)
    if (std::memcmp(&expected[r], &actual[r], 4) != 0)
      return Error{ExitCode::Internal,
                   "wrong: row " + std::to_string(m) + ", output " +
                       std::to_string(t * tileRows + r) + " is " +
                       std::to_string(actual[r]) + ", must be " +
                       std::to_string(expected[r])};
  return std::nullopt;
}

/// Every output of the first and the last row, 64 outputs of each between.
Status LinearCase::checkAll(int64_t matrix) {
  int64_t tiles = pages.places().tiles;
  for (int64_t m = 0; m < choice.rows; ++m) {
    bool isWhole = m == 0 || m == choice.rows - 1;
    for (int64_t i = 0; i < (isWhole ? tiles : 4); ++i)
      if (Status status =
              checkTile(matrix, m, isWhole ? i : (m * 37 + i * 101) % tiles))
        return status;
  }
  return std::nullopt;
}

/// 256 outputs of what was just timed.
Status LinearCase::checkSome(int64_t matrix) {
  for (int64_t i = 0; i < 16; ++i)
    if (Status status = checkTile(matrix, i * 67 % choice.rows,
                                  (i * 101 + next) % pages.places().tiles))
      return status;
  return std::nullopt;
}

Status LinearCase::measure(benchmark::State &state) {
  double read = memory ? memory->measure(0) : 0;
  double seconds = passCold(matricesPerPass);
  // y is that of the cold pass only until the next call.
  if (Status status = checkSome((next + pages.count() - 1) % pages.count()))
    return status;
  if (memory)
    read = std::max(read, memory->measure(1));
  double inCache = memory ? rateInCache() : 0;
  double peak = peakRate(team, isInteger() ? integerPeak(choice.type.codeBits())
                                           : floatPeak());
  double passWeights = weights() * static_cast<double>(matricesPerPass);
  double rate = passWeights / seconds;
  double adds = rate * static_cast<double>(choice.rows);
  double bytes = static_cast<double>(pages.matrixBytes()) / weights();

  state.SetIterationTime(seconds / static_cast<double>(matricesPerPass));
  auto &counters = state.counters;
  counters["bits_per_weight"] = 8 * bytes;
  counters["gb_per_s"] = rate * bytes * 1e-9;
  counters["gweights_per_s"] = rate * 1e-9;
  counters["gops"] = 2e-9 * adds;
  counters["peak_gops"] = 2e-9 * peak;
  counters["share_peak"] = adds / peak;
  if (isInteger())
    counters["share_chain"] = adds / peakRate(team, integerChain());
  if (memory) {
    counters["read_gb_per_s"] = read * 1e-9;
    counters["cache_gweights_per_s"] = inCache * 1e-9;
    counters["share_read"] = rate * bytes / read;
    counters["share_cache"] = rate / inCache;
    counters["share_min"] = rate / std::min(read / bytes, inCache);
    bestInCache = std::max(bestInCache, inCache);
  }
  bestWeights = std::max(bestWeights, rate);
  bestAdds = std::max(bestAdds, adds);
  bestPeak = std::max(bestPeak, peak);
  return std::nullopt;
}

Status LinearCase::verdict() {
  auto beaten = [&](const char *limit, double kernel, double most) {
    return Error{ExitCode::Internal,
                 std::string("beat its limit, so the limit is wrong: ") +
                     limit + ", " + std::to_string(kernel * 1e-9) + " of " +
                     std::to_string(most * 1e-9)};
  };
  double bytes = static_cast<double>(pages.matrixBytes()) / weights();
  if (memory && bestWeights * bytes > memory->best() * limitTolerance)
    return beaten("GB/s read", bestWeights * bytes, memory->best());
  if (memory && bestWeights > bestInCache * limitTolerance)
    return beaten("Gweights/s from L2", bestWeights, bestInCache);
  if (bestAdds > bestPeak * limitTolerance)
    return beaten("multiply-adds", bestAdds, bestPeak);
  return std::nullopt;
}

void bench::registerLinears(Session &session) {
  const Options &options = session.getOptions();
  for (const std::string &format : options.formats) {
    Result<WeightType> type = WeightType::parse(format);
    if (!type)
      continue; // main has refused it
    std::vector<std::string> activations =
        type->format && type->format->sumColumns() > 0
            ? options.activations
            : std::vector<std::string>{"f32"};
    for (MatrixShape shape : options.shapes)
      for (int64_t rows : options.rows)
        for (const std::string &activation : activations)
          for (int threads : options.threads) {
            int64_t planes = activation == "i16"  ? 2
                             : activation == "i8" ? 1
                                                  : 0;
            LinearChoice choice{*type, shape, rows, planes, threads};
            session.add("linear/" + format + "/" +
                            std::to_string(shape.outputs) + "x" +
                            std::to_string(shape.inputs) +
                            "/rows:" + std::to_string(rows) + "/" + activation +
                            "/threads:" + std::to_string(threads),
                        [&session, choice] {
                          return std::make_unique<LinearCase>(session, choice);
                        });
          }
  }
}
