//===- LinearAvx2Wide.cpp - Sums by vpmaddwd --------------------*- C++ -*-===//
//
// Codes of up to 8 bits times 16-bit activations in one instruction: the
// activations (256·hi + lo, or one plane as it is) are written once per token
// to scratch as i16, in the order in which the codes become words: of 4
// columns, 0 and 2 are the low bytes of a word, 1 and 3 the high ones. Words
// have room for signs: panels hold steps, |step| ≤ 255.
//
// An i32 holds the sum of 128 columns: 128 · 255 · 32768 < 2^31. Longer sums
// that do not fit are kept as 256·hi + lo, which gives the same f: hi and lo
// stay below 2^24, so the fma of Spec.md, section 3 rounds the exact sum once,
// whatever the split.
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
  static constexpr int64_t slabTokens = 120;
  static int64_t rowBytes(const LinearKernel &linear) {
    return linear.planeStride() * 2;
  }

  int64_t scratchBytes() const override { return maxDotScratchBytes(linear); }
  void beginRow(Value token) override;
  int64_t rowTiles() const override { return 4; }
  Sums start() override;
  Sums accumulate(Sums sums, Value codes, Value column,
                  int64_t columns) override;
  Sums finish(Sums sums) override;
  int64_t stepBytes() const override { return 128; }
  bool sumsSteps() const override { return true; }
  void storeStep(Value bytes, Value step, Value zeros) override;
  int64_t blockTokens() const override { return slabTokens; }
  int64_t passTiles() const override { return 16; }
  void beginSlab(Value firstToken, Value endToken, Value column) override;
  SmallVector<int64_t> tokenCounts(int64_t tiles) const override {
    return {6, 2, 1};
  }
  SmallVector<Sums> panelSums(ArrayRef<Value> panels, const PanelPlace &place,
                              int64_t count, PanelSpan span) override;

private:
  /// Sums longer than an i32 are split; those of one walk have numbers of at
  /// most `largest`.
  bool isSplit(int64_t largest) const {
    return linear.planes == 2 && !linear.sumFits(largest);
  }
  int64_t largestCode() const { return linear.weights.shape->largest(); }
  /// Adds a sum of at most 128 columns, halves of the rows apart, to {sum} or
  /// {hi, lo}.
  void addExact(MutableArrayRef<Value> sums, ArrayRef<Value> exact);
  Sums addSteps(Value panel, Value x, int64_t count, Value steps);

  Avx2Lanes lanes;
};

} // namespace

void Avx2WideDot::addExact(MutableArrayRef<Value> sums, ArrayRef<Value> exact) {
  bool isWhole = sums.size() == exact.size();
  Value lowByte = k.splat(k.i32(255), 8);
  for (auto [half, sum] : llvm::enumerate(exact)) {
    sums[half] = k.add(sums[half], isWhole ? sum : k.shrs(sum, 8));
    if (!isWhole)
      sums[half + 2] = k.add(sums[half + 2], k.andi(sum, lowByte));
  }
}

//===----------------------------------------------------------------------===//
// In place
//===----------------------------------------------------------------------===//

void Avx2WideDot::beginRow(Value token) {
  row = arguments.scratch;
  widenActivations(linear, k, activation(token, k.index(0)), row,
                   k.index((linear.inputs + 15) / 16 * 16));
}

Sums Avx2WideDot::start() {
  return Sums(isSplit(largestCode()) ? 4 : 2, k.zero(lanes.sums()));
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
  addExact(sums, exact);
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

void Avx2WideDot::storeStep(Value bytes, Value step, Value zeros) {
  const GroupedWeights &weights = linear.weights;
  auto word = [&](int32_t value) {
    return k.bitcast(k.splat(k.i32(value * 0x10001)), bytes.getType());
  };
  Value zero = word(weights.zero);
  if (zeros)
    zero = k.bitcast(k.ori(zeros, k.shl(zeros, 16)), bytes.getType());
  Value parts[] = {k.andi(bytes, word(255)), k.shru(bytes, 8)};
  for (auto [odd, codes] : llvm::enumerate(parts)) {
    Value product = weights.multiplier == 1
                        ? codes
                        : k.mul(codes, word(weights.multiplier));
    k.store(k.sub(product, zero), k.offset(step, odd * 64), 64);
  }
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

/// Σ of `steps` (i64) steps in i32, [token][half].
Sums Avx2WideDot::addSteps(Value panel, Value x, int64_t count, Value steps) {
  constexpr int64_t unroll = 1;
  SmallVector<Value> initial(count * 2, k.zero(lanes.sums()));
  return k.forLoop(
      k.index(0), steps, unroll, initial, [&](Value step, ValueRange carried) {
        Sums sums(carried);
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
}

SmallVector<Sums> Avx2WideDot::panelSums(ArrayRef<Value> panels,
                                         const PanelPlace &place, int64_t count,
                                         PanelSpan span) {
  Value token = k.sub(place.token, place.firstToken);
  Value x = k.element(k.element(arguments.scratch, token, slabStride),
                      k.sub(place.column, place.firstColumn), 2);
  constexpr int64_t periodSteps = periodColumns / stepColumns;
  int64_t perToken = 2;
  Sums sums;
  if (!isSplit(linear.weights.largestStep())) {
    Value steps = span.periods ? k.mul(span.periods, k.index(periodSteps))
                               : k.index(span.columns / stepColumns);
    sums = addSteps(panels[0], x, count, steps);
  } else {
    assert(span.periods && "the sum of a group fits an i32");
    perToken = 4;
    Sums initial(count * perToken, k.zero(lanes.sums()));
    sums = k.forLoop(
        k.index(0), span.periods, 1, initial,
        [&](Value period, ValueRange carried) {
          Sums next(carried);
          Sums exact =
              addSteps(k.element(panels[0], period, periodSteps * stepBytes()),
                       k.element(x, period, periodColumns * 2), count,
                       k.index(periodSteps));
          for (int64_t c = 0; c < count; ++c)
            addExact(MutableArrayRef(next).slice(c * perToken, perToken),
                     ArrayRef(exact).slice(c * 2, 2));
          return next;
        });
  }
  SmallVector<Sums> result;
  for (int64_t c = 0; c < count; ++c)
    result.push_back(
        finish(Sums(ArrayRef<Value>(sums).slice(c * perToken, perToken))));
  return result;
}

int64_t lowbit::maxDotScratchBytes(const LinearKernel &linear) {
  int64_t bytes = 0;
  // Bucket 16 may have both walks.
  if (linear.bucket <= 16 && usesWords(linear, CodePlace::InPlace))
    bytes = Avx2WideDot::rowBytes(linear);
  if (linear.bucket != 1 && usesWords(linear, CodePlace::Panel))
    bytes = std::max(bytes, Avx2WideDot::slabTokens * Avx2WideDot::slabStride);
  return bytes;
}

std::unique_ptr<IntegerDot>
lowbit::createAvx2WideDot(const LinearKernel &linear, KernelBuilder &k,
                          const LinearArguments &arguments) {
  return std::make_unique<Avx2WideDot>(linear, k, arguments);
}
