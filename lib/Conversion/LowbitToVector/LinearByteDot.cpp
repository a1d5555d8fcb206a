//===- LinearByteDot.cpp - Sums by dot products of four bytes ---*- C++ -*-===//
//
// Machines with an instruction `i32 += Σ₄ u8·s8` per lane, and those that can
// do it in a few instructions without saturation. Digits stay in place: a digit
// masked at bit e is digit·2^e, so the sums of each place have an accumulator
// of their own, which is shifted right once at the end. That is exact, since
// every term is a multiple of 2^e.
//
// AVX-512 VNNI takes the activations as a broadcast memory operand, so a step
// is one `vpandd` and one `vpdpbusd` for each plane. A target that has the
// registers of AVX-512 but not the feature `avx512vnni` gets the same code with
// the instruction written out: that is how this file is tested elsewhere.
//
//===----------------------------------------------------------------------===//

#include "ByteProducts.h"
#include "LinearDot.h"

using namespace mlir;
using namespace lowbit;

namespace {

class ByteDot final : public IntegerDot {
public:
  ByteDot(const LinearKernel &linear, KernelBuilder &k,
          const LinearArguments &arguments);

  Sums start() override;
  Sums accumulate(Sums sums, Value codes, Value column,
                  int64_t columns) override;
  Sums finish(Sums sums) override;
  int64_t jointTiles() const override { return isWide ? 2 : 1; }
  SmallVector<int64_t> tokenCounts(int64_t tiles) const override;
  SmallVector<Sums> panelSums(ArrayRef<Value> panels, const PanelPlace &place,
                              int64_t count, PanelSpan span) override;

private:
  int64_t slot(const CodeStep &step, int64_t plane, int64_t copy) const;
  SmallVector<Sums> joinPlanes(ArrayRef<Value> sums) const;

  bool isWide;
  /// Of a block.
  SmallVector<CodeStep> codeSteps;
  /// Distinct values of unitLog2; each has `copies` accumulators per plane, so
  /// that the latency of one dot product is hidden.
  SmallVector<int> units;
  int64_t copies = 1;
};

} // namespace

ByteDot::ByteDot(const LinearKernel &linear, KernelBuilder &k,
                 const LinearArguments &arguments)
    : IntegerDot(linear, k, arguments) {
  const TargetInfo &target = k.getTarget();
  isWide = target.hasAvx512Vnni;
  codeSteps = linear.weights.shape->steps(StepCut::InPlace);
  for (const CodeStep &step : codeSteps)
    if (!llvm::is_contained(units, step.unitLog2))
      units.push_back(step.unitLog2);
  int64_t chains = units.size() * linear.planes;
  if (isWide && chains < 8)
    copies = 8 / chains;
}

//===----------------------------------------------------------------------===//
// In place
//===----------------------------------------------------------------------===//

int64_t ByteDot::slot(const CodeStep &step, int64_t plane, int64_t copy) const {
  int64_t unit = llvm::find(units, step.unitLog2) - units.begin();
  return (unit * linear.planes + plane) * copies + copy;
}

Sums ByteDot::start() {
  return Sums(units.size() * linear.planes * copies, k.zero(k.i32x16()));
}

Sums ByteDot::accumulate(Sums sums, Value codes, Value column,
                         int64_t columns) {
  const DecodeShape &shape = *linear.weights.shape;
  VectorType bytes = k.vectorType(k.getBuilder().getI8Type(), 64);
  Value x = k.offset(row, column);
  SmallVector<int64_t> used(units.size());
  for (int64_t block = 0; block < shape.blocks(columns); ++block) {
    BlockWords words(k, k.offset(codes, block * shape.blockBytes()), 64);
    for (const CodeStep &step : codeSteps) {
      Value code = k.bitcast(shape.emit(k, step, words), bytes);
      int64_t unit = slot(step, 0, 0) / (linear.planes * copies);
      int64_t copy = used[unit]++ % copies;
      for (int64_t plane = 0; plane < linear.planes; ++plane) {
        Value &sum = sums[slot(step, plane, copy)];
        int64_t at = plane * linear.planeStride() + block * shape.columns() +
                     step.column;
        sum = dotBytes(k, sum, code, broadcastBytes(k.offset(x, at), 16));
      }
    }
  }
  return sums;
}

Sums ByteDot::finish(Sums sums) {
  SmallVector<Value> planes(linear.planes);
  for (auto [u, unit] : llvm::enumerate(units))
    for (int64_t plane = 0; plane < linear.planes; ++plane) {
      int64_t first = (u * linear.planes + plane) * copies;
      Value sum = sums[first];
      for (int64_t copy = 1; copy < copies; ++copy)
        sum = k.add(sum, sums[first + copy]);
      sum = unit < 0 ? k.shrs(sum, -unit) : unit > 0 ? k.shl(sum, unit) : sum;
      Value &total = planes[plane];
      total = total ? k.add(total, sum) : sum;
    }
  return joinPlanes(planes)[0];
}

/// Planes of one or several tokens, to {i} or {hi, lo} of each.
SmallVector<Sums> ByteDot::joinPlanes(ArrayRef<Value> sums) const {
  SmallVector<Sums> result;
  for (size_t i = 0; i < sums.size(); i += linear.planes) {
    Sums planes(sums.slice(i, linear.planes));
    if (linear.combinesPlanes())
      planes = {k.add(k.shl(planes[0], 8), planes[1])};
    result.push_back(planes);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// From a panel
//===----------------------------------------------------------------------===//

SmallVector<int64_t> ByteDot::tokenCounts(int64_t tiles) const {
  bool isOne = linear.planes == 1;
  if (!isWide) // 16 registers of 128 bits: 4 for each sum
    return isOne ? SmallVector<int64_t>{2, 1} : SmallVector<int64_t>{1};
  // 32 registers: with two tiles 24 sums, or 12 (16) and as many (half as many)
  // f32 partial sums.
  if (linear.isRowScaled())
    return isOne ? SmallVector<int64_t>{12, 4, 1}
                 : SmallVector<int64_t>{6, 2, 1};
  return isOne ? SmallVector<int64_t>{6, 2, 1} : SmallVector<int64_t>{4, 1};
}

SmallVector<Sums> ByteDot::panelSums(ArrayRef<Value> panels,
                                     const PanelPlace &place, int64_t count,
                                     PanelSpan span) {
  constexpr int64_t unroll = 4;
  OpBuilder &builder = k.getBuilder();
  VectorType bytes = k.vectorType(builder.getI8Type(), 64);
  Value steps = span.periods
                    ? k.mul(span.periods, k.index(periodColumns / stepColumns))
                    : k.index(span.columns / stepColumns);
  Value x = activation(place.token, place.column);
  int64_t vectors = count * linear.planes; // of activations
  SmallVector<Value> initial(panels.size() * vectors, k.zero(k.i32x16()));
  auto body = [&](Value step, ValueRange carried) {
    SmallVector<Value> sums(carried);
    Value here = k.element(x, step, stepColumns);
    for (int64_t u = 0; u < unroll; ++u) {
      SmallVector<Value> codes;
      for (Value panel : panels)
        codes.push_back(
            k.load(bytes, k.offset(k.element(panel, step, 64), u * 64), 64));
      for (int64_t v = 0; v < vectors; ++v) {
        int64_t at = v * linear.planeStride() + u * stepColumns;
        Value activations = broadcastBytes(k.offset(here, at), 16);
        for (size_t tile = 0; tile < panels.size(); ++tile) {
          Value &sum = sums[tile * vectors + v];
          sum = dotBytes(k, sum, codes[tile], activations);
        }
      }
    }
    return sums;
  };
  return joinPlanes(k.forLoop(k.index(0), steps, unroll, initial, body));
}

std::unique_ptr<IntegerDot>
lowbit::createByteDot(const LinearKernel &linear, KernelBuilder &k,
                      const LinearArguments &arguments) {
  return std::make_unique<ByteDot>(linear, k, arguments);
}
