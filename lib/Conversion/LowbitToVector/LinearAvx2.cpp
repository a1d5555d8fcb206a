//===- LinearAvx2.cpp - Sums by vpmaddubsw ----------------------*- C++ -*-===//
//
// `vpmaddubsw` adds two products u8·s8 to an i16 and saturates, so the largest
// possible sum of every i16 accumulator is tracked while emitting, and before
// it could exceed 32767 the accumulator is flushed: `vpmaddwd` with a constant
// widens it to i32 and multiplies it with what its digits count. The constants
// also join the two planes of 16-bit activations: 256·hi + lo.
//
// Digits stay at their bit where the bound allows; those higher up are shifted
// down first (StepCut::Small). Bytes above 63 fit no bound: LinearAvx2Wide.cpp,
// which takes panels against two planes, too.
//
// The i32 sums of a panel start at what the zero point takes off, so that it
// costs no instruction on vectors.
//
//===----------------------------------------------------------------------===//

#include "Avx2Lanes.h"
#include "LinearDot.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace lowbit;

namespace {

/// Largest |Σ₂ u8·s8| for a code (or masked byte) of at most `code`.
constexpr int64_t pairBound(int64_t code) { return 2 * 128 * code; }
constexpr int64_t maxWord = 32767;

class Avx2Dot final : public IntegerDot {
public:
  Avx2Dot(const LinearKernel &linear, KernelBuilder &k,
          const LinearArguments &arguments);

  Sums start() override;
  Sums accumulate(Sums sums, Value codes, Value column,
                  int64_t columns) override;
  Sums finish(Sums sums) override;
  bool sumsSteps() const override { return !linear.weights.hasStoredZeros(); }
  SmallVector<int64_t> tokenCounts(int64_t tiles) const override {
    return {4, 1};
  }
  SmallVector<Sums> panelSums(ArrayRef<Value> panels, const PanelPlace &place,
                              int64_t count, PanelSpan span) override;

private:
  /// Sums in i32 are Σ c·q · 2^scaleLog2.
  int64_t sumIndex(int64_t plane, int64_t half) const {
    return (linear.combinesPlanes() ? 0 : plane) * 2 + half;
  }
  /// Adds an i16 accumulator, `factor` times, to the i32 sums.
  void flush(Sums &sums, Value words, int factor, int64_t plane, int64_t half);
  /// Adds columns whose sums fit the i16 accumulators [unit][plane][half]; a
  /// null accumulator is zero.
  void addColumns(SmallVector<Value> &sums, Value codes, Value x,
                  int64_t columns, ArrayRef<int64_t> halves);
  /// Adds at most `periodColumns` columns to the i32 sums.
  void addPeriod(Sums &sums, Value codes, Value x, int64_t columns,
                 ArrayRef<int64_t> halves);
  size_t wordIndex(const CodeStep &step, int64_t plane, int64_t half) const {
    size_t unit = llvm::find(units, step.unitLog2) - units.begin();
    return (unit * 2 + plane) * 2 + half;
  }
  int64_t bytesOf(int64_t columns) const {
    return linear.weights.shape->blocks(columns) *
           linear.weights.shape->blockBytes();
  }
  void panelPeriod(SmallVector<Value> &sums, Value panel, Value x,
                   int64_t count, int64_t steps);

  Avx2Lanes lanes;
  SmallVector<CodeStep> codeSteps; // of a block
  SmallVector<int> units;          // distinct values of unitLog2
  int scaleLog2 = 0;               // the largest −unitLog2
  /// Columns until an i16 could overflow, and columns that are emitted as one
  /// piece: short ones, since LLVM moves the broadcasts of long ones to memory.
  int64_t flushColumns, turnColumns;
};

} // namespace

Avx2Dot::Avx2Dot(const LinearKernel &linear, KernelBuilder &k,
                 const LinearArguments &arguments)
    : IntegerDot(linear, k, arguments), lanes(k) {
  codeSteps = linear.weights.shape->steps(StepCut::Small);
  for (const CodeStep &step : codeSteps) {
    if (!llvm::is_contained(units, step.unitLog2))
      units.push_back(step.unitLog2);
    scaleLog2 = std::max(scaleLog2, -step.unitLog2);
  }
  SmallVector<int64_t> bounds(units.size()); // of a block
  for (const CodeStep &step : codeSteps)
    bounds[wordIndex(step, 0, 0) / 4] +=
        pairBound(linear.weights.shape->largestByte(step));
  int64_t blocks = 1, bound = *llvm::max_element(bounds);
  assert(bound <= maxWord && "a block fits the i16 sums");
  while (2 * blocks * bound <= maxWord)
    blocks *= 2;
  flushColumns = blocks * linear.weights.shape->columns();
  turnColumns = flushColumns <= 32
                    ? flushColumns
                    : std::max<int64_t>(16, linear.weights.shape->columns());
}

void Avx2Dot::flush(Sums &sums, Value words, int factor, int64_t plane,
                    int64_t half) {
  if (linear.combinesPlanes() && plane == 0)
    factor *= 256;
  assert(factor <= maxWord && "the factor is an i16");
  Value &sum = sums[sumIndex(plane, half)];
  Value wide = lanes.multiplyWords(words, lanes.wordConstant(factor));
  sum = sum ? k.add(sum, wide) : wide;
}

//===----------------------------------------------------------------------===//
// In place
//===----------------------------------------------------------------------===//

Sums Avx2Dot::start() {
  return Sums(linear.combinesPlanes() ? 2 : 2 * linear.planes,
              k.zero(lanes.sums()));
}

Sums Avx2Dot::accumulate(Sums sums, Value codes, Value column,
                         int64_t columns) {
  // The bounds of i16 are tracked; that i32 holds a whole sum follows here.
  assert(linear.sumColumns() * linear.weights.shape->largest() * 128 *
                 (linear.combinesPlanes() ? 256 : 1) <=
             (int64_t(INT32_MAX) >> scaleLog2) &&
         "a sum fits i32");
  Value x = k.offset(row, column);
  int64_t periods = columns / flushColumns;
  auto addAll = [&](ArrayRef<int64_t> halves) {
    auto period = [&](Value index, ValueRange carried) {
      Sums next(carried);
      addPeriod(next, k.element(codes, index, bytesOf(flushColumns)),
                k.element(x, index, flushColumns), flushColumns, halves);
      return next;
    };
    sums = k.forLoop(k.index(0), k.index(periods), 1, sums, period);
    if (int64_t rest = columns % flushColumns)
      addPeriod(sums, k.offset(codes, periods * bytesOf(flushColumns)),
                k.offset(x, periods * flushColumns), rest, halves);
  };
  // Both halves share the broadcasts of the activations while the accumulators
  // leave enough of the 16 registers.
  if (units.size() * linear.planes * 2 <= 8) {
    addAll({0, 1});
  } else {
    addAll({0});
    addAll({1});
  }
  return sums;
}

void Avx2Dot::addPeriod(Sums &sums, Value codes, Value x, int64_t columns,
                        ArrayRef<int64_t> halves) {
  SmallVector<Value> words(units.size() * 4);
  int64_t turns = columns / turnColumns;
  if (turns > 1) {
    SmallVector<size_t> used;
    for (size_t u = 0; u < units.size(); ++u)
      for (int64_t plane = 0; plane < linear.planes; ++plane)
        for (int64_t half : halves)
          used.push_back((u * 2 + plane) * 2 + half);
    auto turn = [&](Value index, ValueRange carried) {
      SmallVector<Value> next(words.size());
      for (auto [i, value] : llvm::zip_equal(used, carried))
        next[i] = value;
      addColumns(next, k.element(codes, index, bytesOf(turnColumns)),
                 k.element(x, index, turnColumns), turnColumns, halves);
      SmallVector<Value> packed;
      for (size_t i : used)
        packed.push_back(next[i]);
      return packed;
    };
    SmallVector<Value> initial(used.size(), k.zero(lanes.words()));
    for (auto [i, value] : llvm::zip_equal(
             used, k.forLoop(k.index(0), k.index(turns), 1, initial, turn)))
      words[i] = value;
  } else {
    turns = 0;
  }
  if (int64_t rest = columns - turns * turnColumns)
    addColumns(words, k.offset(codes, turns * bytesOf(turnColumns)),
               k.offset(x, turns * turnColumns), rest, halves);
  for (size_t i = 0; i < words.size(); ++i)
    if (words[i])
      flush(sums, words[i], 1 << (units[i / 4] + scaleLog2), i / 2 % 2, i % 2);
}

void Avx2Dot::addColumns(SmallVector<Value> &sums, Value codes, Value x,
                         int64_t columns, ArrayRef<int64_t> halves) {
  const DecodeShape &shape = *linear.weights.shape;
  for (int64_t block = 0; block < shape.blocks(columns); ++block) {
    Value blockCodes = k.offset(codes, block * shape.blockBytes());
    BlockWords words[2] = {{k, blockCodes, 32},
                           {k, k.offset(blockCodes, 32), 32}};
    for (const CodeStep &step : codeSteps) {
      Value code[2];
      for (int64_t half : halves)
        code[half] = shape.emit(k, step, words[half]);
      for (int64_t plane = 0; plane < linear.planes; ++plane) {
        int64_t at = plane * linear.planeStride() + block * shape.columns() +
                     step.column;
        Value activations = broadcastBytes(k.offset(x, at), 8);
        for (int64_t half : halves) {
          Value product = lanes.multiplyBytes(code[half], activations);
          Value &sum = sums[wordIndex(step, plane, half)];
          sum = sum ? k.add(sum, product) : product;
        }
      }
    }
  }
}

Sums Avx2Dot::finish(Sums sums) {
  Sums result;
  for (size_t i = 0; i < sums.size(); i += 2) {
    Value sum = lanes.join(sums[i], sums[i + 1]);
    result.push_back(scaleLog2 ? k.shrs(sum, scaleLog2) : sum);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// From a panel: bytes are whole codes
//===----------------------------------------------------------------------===//

/// Adds `steps` steps, which the i16 accumulators hold, to the i32 sums
/// [token][half].
void Avx2Dot::panelPeriod(SmallVector<Value> &sums, Value panel, Value x,
                          int64_t count, int64_t steps) {
  constexpr int64_t unroll = 2; // short: see turnColumns
  auto body = [&](Value step, ValueRange carried) {
    SmallVector<Value> next(carried);
    Value codes = k.element(panel, step, 64);
    Value activations = k.element(x, step, stepColumns);
    for (int64_t u = 0; u < unroll; ++u) {
      Value code[2];
      for (int64_t half = 0; half < 2; ++half)
        code[half] =
            k.load(lanes.bytes(), k.offset(codes, u * 64 + half * 32), 32);
      for (int64_t c = 0; c < count; ++c) {
        int64_t at = c * linear.planeStride() + u * stepColumns;
        Value broadcast = broadcastBytes(k.offset(activations, at), 8);
        for (int64_t half = 0; half < 2; ++half) {
          Value &sum = next[c * 2 + half];
          sum = k.add(sum, lanes.multiplyBytes(code[half], broadcast));
        }
      }
    }
    return next;
  };
  SmallVector<Value> words(count * 2, k.zero(lanes.words()));
  words = k.forLoop(k.index(0), k.index(steps), unroll, words, body);
  for (int64_t c = 0; c < count; ++c) {
    Sums here(ArrayRef<Value>(sums).slice(c * 2, 2));
    for (int64_t half = 0; half < 2; ++half)
      flush(here, words[c * 2 + half], linear.weights.multiplier, 0, half);
    llvm::copy(here, sums.begin() + c * 2);
  }
}

SmallVector<Sums> Avx2Dot::panelSums(ArrayRef<Value> panels,
                                     const PanelPlace &place, int64_t count,
                                     PanelSpan span) {
  // Steps until an i16 could overflow, a power of two that divides the span.
  int64_t limit = maxWord / pairBound(linear.weights.shape->largest());
  int64_t spanSteps =
      (span.periods ? periodColumns : span.columns) / stepColumns;
  int64_t steps =
      std::min<int64_t>(llvm::bit_floor<uint64_t>(limit), spanSteps);
  assert(steps >= 2 && spanSteps % steps == 0 && "whole periods");

  Value x = activation(place.token, place.column);
  Value pieces = k.index(spanSteps / steps);
  if (span.periods)
    pieces = k.mul(span.periods, pieces);
  SmallVector<Value> initial(count * 2, k.zero(lanes.sums()));
  for (int64_t c = 0; sumsSteps() && c < count; ++c) {
    Value plain = k.load(k.getBuilder().getI32Type(),
                         k.offset(place.sums, c * linear.sumCount() * 4));
    Value offset = k.splat(k.mul(plain, k.i32(-linear.weights.zero)), 8);
    initial[c * 2] = initial[c * 2 + 1] = offset;
  }
  SmallVector<Value> sums = k.forLoop(
      k.index(0), pieces, 1, initial, [&](Value piece, ValueRange carried) {
        SmallVector<Value> next(carried);
        panelPeriod(next, k.element(panels[0], piece, steps * 64),
                    k.element(x, piece, steps * stepColumns), count, steps);
        return next;
      });
  SmallVector<Sums> result;
  for (int64_t c = 0; c < count; ++c)
    result.push_back({lanes.join(sums[c * 2], sums[c * 2 + 1])});
  return result;
}

bool lowbit::usesWords(const LinearKernel &linear, CodePlace place) {
  // Two steps of a panel must fit an i16.
  return 2 * pairBound(linear.weights.shape->largest()) > maxWord ||
         (place == CodePlace::Panel && linear.planes == 2);
}

std::unique_ptr<IntegerDot>
lowbit::createAvx2Dot(const LinearKernel &linear, KernelBuilder &k,
                      const LinearArguments &arguments) {
  return std::make_unique<Avx2Dot>(linear, k, arguments);
}
