//===- LinearAvx2Wide.cpp - Sums by vpmaddwd, bytes above 63 ----*- C++ -*-===//
//
// Codes of up to 8 bits times 16-bit activations in one instruction: the
// activations (256·hi + lo, or one plane as it is) are written once per token
// to scratch as i16, in the order in which the codes become words: of 4
// columns, 0 and 2 are the low bytes of a word, 1 and 3 the high ones.
//
// An i32 holds the sum of 128 columns: 128 · 255 · 32768 < 2^31. Longer sums
// are kept as 256·hi + lo, which gives the same f: hi and lo stay below 2^24,
// so the fma of Spec.md, section 3 rounds the exact sum once, whatever the
// split.
//
//===----------------------------------------------------------------------===//

#include "Avx2Lanes.h"
#include "LinearDot.h"

using namespace mlir;
using namespace lowbit;

namespace {

class Avx2WideDot final : public IntegerDot {
public:
  Avx2WideDot(const LinearKernel &linear, KernelBuilder &k,
              const LinearArguments &arguments)
      : IntegerDot(linear, k, arguments), lanes(k) {}

  /// Bytes of a token's i16 in a slab; the odd line keeps tokens apart in L1.
  static constexpr int64_t slabStride = slabColumns * 2 + 64;
  static constexpr int64_t slabTokens = 60;
  static int64_t rowBytes(const LinearKernel &linear) {
    return linear.planeStride() * 2;
  }

  int64_t scratchBytes() const override { return maxDotScratchBytes(linear); }
  void beginRow(Value token) override;
  Sums start() override;
  Sums accumulate(Sums sums, Value codes, Value column,
                  int64_t columns) override;
  Sums finish(Sums sums) override;
  int64_t stepBytes() const override { return 128; }
  void storeStep(Value bytes, Value step) override;
  int64_t blockTokens() const override { return slabTokens; }
  void beginSlab(Value firstToken, Value endToken, Value column) override;
  SmallVector<int64_t> tokenCounts(int64_t tiles) const override {
    return {4, 1};
  }
  SmallVector<Sums> panelSums(ArrayRef<Value> panels, const PanelPlace &place,
                              int64_t count, PanelSpan span) override;

private:
  /// Sums longer than an i32 are split.
  bool isSplit() const {
    return linear.planes == 2 && !linear.combinesPlanes();
  }
  /// Adds a sum of at most 128 columns to {sum} or {hi, lo}.
  void addExact(SmallVectorImpl<Value> &sums, size_t at, Value sum);

  Avx2Lanes lanes;
};

} // namespace

void Avx2WideDot::addExact(SmallVectorImpl<Value> &sums, size_t at, Value sum) {
  if (!isSplit()) {
    sums[at] = k.add(sums[at], sum);
    return;
  }
  Value lowByte = k.splat(k.i32(255), 8);
  sums[at] = k.add(sums[at], k.shrs(sum, 8));
  sums[at + 2] = k.add(sums[at + 2], k.andi(sum, lowByte));
}

//===----------------------------------------------------------------------===//
// In place
//===----------------------------------------------------------------------===//

void Avx2WideDot::beginRow(Value token) {
  row = arguments.scratch;
  // With the zeros behind the last column: a block may go beyond it, and what a
  // code of 0 stands for in a table need not be 0.
  widenActivations(linear, k, activation(token, k.index(0)), row,
                   k.index(linear.planeStride()));
}

Sums Avx2WideDot::start() {
  return Sums(isSplit() ? 4 : 2, k.zero(lanes.sums()));
}

Sums Avx2WideDot::accumulate(Sums sums, Value codes, Value column,
                             int64_t columns) {
  assert(columns <= 128 && "an i32 holds the sum");
  Value x = k.element(row, column, 2);
  SmallVector<Value> exact(2);
  const DecodeShape &shape = *linear.weights.shape;
  SmallVector<CodeStep> steps = shape.steps(StepCut::Whole);
  for (int64_t block = 0; block < shape.blocks(columns); ++block) {
    Value blockCodes = k.offset(codes, block * shape.blockBytes());
    for (int64_t half = 0; half < 2; ++half) {
      BlockWords words(k, k.offset(blockCodes, half * 32), 32);
      for (const CodeStep &step : steps) {
        Value code = shape.emit(k, step, words);
        Value even = k.andi(code, lanes.wordConstant(255));
        Value odd = k.shru(code, 8);
        int64_t at = (block * shape.columns() + step.column) * 2;
        Value xEven = broadcastBytes(k.offset(x, at), 8);
        Value xOdd = broadcastBytes(k.offset(x, at + 4), 8);
        Value sum = k.add(lanes.multiplyWords(even, xEven),
                          lanes.multiplyWords(odd, xOdd));
        exact[half] = exact[half] ? k.add(exact[half], sum) : sum;
      }
    }
  }
  for (int64_t half = 0; half < 2; ++half)
    addExact(sums, half, exact[half]);
  return sums;
}

Sums Avx2WideDot::finish(Sums sums) {
  Sums result;
  for (size_t i = 0; i < sums.size(); i += 2)
    result.push_back(lanes.join(sums[i], sums[i + 1]));
  return result;
}

//===----------------------------------------------------------------------===//
// From a panel: a step is 64 bytes of even columns, then 64 of odd ones
//===----------------------------------------------------------------------===//

void Avx2WideDot::storeStep(Value bytes, Value step) {
  Value lowByte = k.bitcast(k.splat(k.i32(0x00ff00ff)), bytes.getType());
  k.store(k.andi(bytes, lowByte), step, 64);
  k.store(k.shru(bytes, 8), k.offset(step, 64), 64);
}

void Avx2WideDot::beginSlab(Value firstToken, Value endToken, Value column) {
  int64_t padded =
      (linear.inputs + periodColumns - 1) / periodColumns * periodColumns;
  Value rest = k.sub(k.index(padded), column);
  Value isWhole =
      k.compare(arith::CmpIPredicate::sge, rest, k.index(slabColumns));
  Value columns = k.select(isWhole, k.index(slabColumns), rest);
  k.forLoop(firstToken, endToken, 1, [&](Value token) {
    Value index = k.sub(token, firstToken);
    widenActivations(linear, k, activation(token, column),
                     k.element(arguments.scratch, index, slabStride), columns);
  });
}

SmallVector<Sums> Avx2WideDot::panelSums(ArrayRef<Value> panels,
                                         const PanelPlace &place, int64_t count,
                                         PanelSpan span) {
  constexpr int64_t unroll = 2;
  Value token = k.sub(place.token, place.firstToken);
  Value x = k.element(k.element(arguments.scratch, token, slabStride),
                      k.sub(place.column, place.firstColumn), 2);
  // Σ of up to 128 columns in i32 [token][half].
  auto addSteps = [&](Value panel, Value x, int64_t columns) {
    SmallVector<Value> initial(count * 2, k.zero(lanes.sums()));
    return k.forLoop(
        k.index(0), k.index(columns / stepColumns), unroll, initial,
        [&](Value step, ValueRange carried) {
          SmallVector<Value> sums(carried);
          Value codes = k.element(panel, step, stepBytes());
          Value activations = k.element(x, step, stepColumns * 2);
          for (int64_t part = 0; part < 2 * unroll; ++part) { // even, odd, …
            Value code[2];
            for (int64_t half = 0; half < 2; ++half)
              code[half] = k.load(lanes.words(),
                                  k.offset(codes, part * 64 + half * 32), 32);
            for (int64_t c = 0; c < count; ++c) {
              Value broadcast = broadcastBytes(
                  k.offset(activations, c * slabStride + part * 4), 8);
              for (int64_t half = 0; half < 2; ++half) {
                Value &sum = sums[c * 2 + half];
                sum = k.add(sum, lanes.multiplyWords(code[half], broadcast));
              }
            }
          }
          return sums;
        });
  };
  int64_t perToken = start().size();
  SmallVector<Value> sums(count * perToken, k.zero(lanes.sums()));
  auto addAll = [&](SmallVector<Value> &to, ArrayRef<Value> exact) {
    for (int64_t c = 0; c < count; ++c)
      for (int64_t half = 0; half < 2; ++half)
        addExact(to, c * perToken + half, exact[c * 2 + half]);
  };
  if (!span.periods)
    addAll(sums, addSteps(panels[0], x, span.columns));
  else
    sums = k.forLoop(
        k.index(0), span.periods, 1, sums,
        [&](Value period, ValueRange carried) {
          SmallVector<Value> next(carried);
          int64_t bytes = periodColumns / stepColumns * stepBytes();
          addAll(next, addSteps(k.element(panels[0], period, bytes),
                                k.element(x, period, periodColumns * 2),
                                periodColumns));
          return next;
        });
  SmallVector<Sums> result;
  for (int64_t c = 0; c < count; ++c)
    result.push_back(
        finish(Sums(ArrayRef<Value>(sums).slice(c * perToken, perToken))));
  return result;
}

int64_t lowbit::maxDotScratchBytes(const LinearKernel &linear) {
  if (!needsWords(linear))
    return 0;
  return linear.bucket == 1 ? Avx2WideDot::rowBytes(linear)
                            : Avx2WideDot::slabTokens * Avx2WideDot::slabStride;
}

std::unique_ptr<IntegerDot>
lowbit::createAvx2WideDot(const LinearKernel &linear, KernelBuilder &k,
                          const LinearArguments &arguments) {
  return std::make_unique<Avx2WideDot>(linear, k, arguments);
}
