//===- LinearTiles.cpp - A linear by blocks of threads ----------*- C++ -*-===//

#include "../LowbitToVector/KernelParameters.h"
#include "LinearBlock.h"
#include "TileFamilies.h"
#include "TileLayouts.h"

using namespace mlir;
using namespace lowbit;

int64_t LinearPointers::count(const LinearKernel &linear) {
  return (linear.isInteger() ? 3 : 1) + 2 + linear.hasBias + linear.hasResidual;
}

LinearPointers LinearPointers::get(const LinearKernel &linear, TileBuilder &t) {
  LinearPointers result;
  int64_t next = 0;
  if (linear.isInteger()) {
    result.q = t.argument(next++);
    result.scales = t.argument(next++);
    result.sums = t.argument(next++);
  } else {
    result.x = t.offset(t.argument(next++), linear.xOffset * 4);
  }
  result.weight = t.argument(next++);
  if (linear.hasBias)
    result.bias = t.argument(next++);
  if (linear.hasResidual)
    result.residual = t.argument(next++);
  result.y = t.argument(next++);
  return result;
}

const DigitShape *lowbit::getDigits(const GroupedWeights &weights) {
  // A table is digits and more.
  if (dynamic_cast<const TableShape *>(weights.shape.get()))
    return nullptr;
  return dynamic_cast<const DigitShape *>(weights.shape.get());
}

Value lowbit::loadScale(TileBuilder &t, const GroupedWeights &weights,
                        Value scales, Value lane) {
  OpBuilder &builder = t.getBuilder();
  if (weights.scale == ScaleType::F16)
    return t.f16ToF32(
        t.loadConstant(builder.getI16Type(), t.element(scales, lane, 2)));
  Value code = t.loadConstant(builder.getI8Type(), t.offset(scales, lane));
  return weights.scale == ScaleType::E8M0 ? t.e8m0ToF32(code)
                                          : t.e4m3ToF32(code);
}

Value lowbit::pairTile(TileBuilder &t, const LinearKernel &linear, Value pair,
                       Value half, Value weight) {
  Value tile = t.minInteger(t.add(t.mul(pair, t.index(2)), half),
                            t.index(linear.tiles() - 1));
  return t.element(weight, tile, linear.tileBytes());
}

namespace {

/// One kernel that is being emitted.
class LinearBlock {
public:
  LinearBlock(const LinearKernel &linear, TileBuilder &t)
      : linear(linear), t(t), tokens(linear.bucket == 1 ? 1 : 16) {}

  void emit();

private:
  int64_t slabs() const {
    return (linear.inputs + slabColumns - 1) / slabColumns;
  }
  int64_t values() const { return pairRows * tokens; }
  int64_t perThread() const {
    return (values() + t.threads() - 1) / t.threads();
  }
  int64_t chooseWarps() const;
  void emitTokens(Value firstToken);
  SmallVector<Value> emitRound(Value firstSlab, int64_t full, int64_t count,
                               ValueRange totals);
  void writeValue(Value total, Value value, Value firstToken);
  /// F', or null where it is 1.
  Value loadFactor();

  const LinearKernel &linear;
  TileBuilder &t;
  /// Tokens taken together.
  const int64_t tokens;
  LinearPointers pointers;
  std::unique_ptr<SlabProduct> product;
  Value partials, factor;
};

} // namespace

int64_t LinearBlock::chooseWarps() const {
  LinearShape shape;
  shape.pairs = (linear.outputs + pairRows - 1) / pairRows;
  shape.slabs = slabs();
  shape.slabBytes = 2 * linear.tileBytes() / shape.slabs;
  shape.registers = tokens == 1 ? 64 : 128;
  int64_t warps = chooseLinearWarps(t.gpu(), shape);
  // Partial sums of every warp lie in shared memory.
  while (warps * values() * 4 > int64_t(t.gpu().sharedBytes) / 2)
    warps /= 2;
  return warps;
}

Value LinearBlock::loadFactor() {
  if (!linear.isInteger())
    return {};
  const GroupedWeights &weights = linear.weights;
  bool hasUnit = weights.unit != 1.0f;
  if (!weights.hasFactor)
    return hasUnit ? t.f32(weights.unit) : Value();
  int64_t trailer = weights.geometry.tiles * weights.geometry.tileBytes;
  Value stored = t.loadConstant(t.getBuilder().getF32Type(),
                                t.offset(pointers.weight, trailer));
  return hasUnit ? t.mul(stored, t.f32(weights.unit)) : stored;
}

void LinearBlock::emit() {
  t.begin(LinearPointers::count(linear), chooseWarps() * warpLanes);
  pointers = LinearPointers::get(linear, t);
  partials = t.allocateShared(4 * t.warps() * values());
  factor = loadFactor();
  product = linear.isInteger() ? createIntegerProduct(linear, t, tokens)
                               : createFloatProduct(linear, t, tokens);
  product->beginKernel(pointers);
  t.forLoop(t.index(0), t.rows(), tokens,
            [&](Value token) { emitTokens(token); });
}

/// Slabs firstSlab … firstSlab + count − 1, one for each warp, of which the
/// first `full` have 512 columns.
SmallVector<Value> LinearBlock::emitRound(Value firstSlab, int64_t full,
                                          int64_t count, ValueRange totals) {
  Value slab = t.add(firstSlab, t.warp());
  Value mine = t.element(partials, t.warp(), 4 * values());
  auto emitFull = [&] { product->emitSlab(slab, slabColumns, mine); };
  if (full == t.warps())
    emitFull();
  else if (full > 0)
    t.ifThen(t.isLess(t.warp(), t.index(full)), emitFull);
  if (full < count)
    t.ifThen(t.compare(arith::CmpIPredicate::eq, t.warp(), t.index(full)), [&] {
      product->emitSlab(slab, linear.inputs % slabColumns, mine);
    });
  t.barrier();
  SmallVector<Value> next(totals);
  for (auto [n, total] : llvm::enumerate(next)) {
    // A thread without this value repeats the last one and stores nothing.
    Value value =
        t.minInteger(t.add(t.thread(), t.index(int64_t(n) * t.threads())),
                     t.index(values() - 1));
    for (int64_t i = 0; i < count; ++i)
      total =
          t.add(total, t.loadF32(t.offset(partials, 4 * i * values()), value));
  }
  t.barrier();
  return next;
}

void LinearBlock::emitTokens(Value firstToken) {
  product->beginTokens(firstToken);
  int64_t fullSlabs = linear.inputs / slabColumns;
  int64_t rounds = fullSlabs / t.warps();
  SmallVector<Value> totals(perThread(), t.f32(0.0f));
  if (rounds > 0)
    totals = t.forLoop(t.index(0), t.index(rounds * t.warps()), t.warps(),
                       totals, [&](Value slab, ValueRange carried) {
                         return emitRound(slab, t.warps(), t.warps(), carried);
                       });
  int64_t done = rounds * t.warps();
  if (done < slabs())
    totals = emitRound(t.index(done), fullSlabs - done, slabs() - done, totals);
  for (auto [n, total] : llvm::enumerate(totals))
    writeValue(total, t.add(t.thread(), t.index(int64_t(n) * t.threads())),
               firstToken);
}

/// Scales, bias and residual of value [token][32], in this order; stored where
/// output and token exist.
void LinearBlock::writeValue(Value total, Value value, Value firstToken) {
  Value row = t.andi(value, t.index(pairRows - 1));
  Value token = t.add(firstToken, t.shru(value, 5));
  Value output = t.add(t.mul(t.item(), t.index(pairRows)), row);
  Value exists = t.andi(
      t.isLess(output, t.index(linear.outputs)),
      t.andi(t.isLess(token, t.rows()), t.isLess(value, t.index(values()))));
  t.ifThen(exists, [&] {
    Value y = total;
    if (linear.isRowScaled()) {
      Value tile =
          pairTile(t, linear, t.item(), t.shru(row, 4), pointers.weight);
      Value scales = t.offset(tile, linear.weights.geometry.group(0).scales);
      y = t.mul(y, loadScale(t, linear.weights, scales,
                             t.andi(row, t.index(tileRows - 1))));
    }
    if (linear.isInteger()) {
      Value a = t.loadF32(pointers.scales, token);
      if (factor)
        a = t.mul(a, factor);
      y = t.mul(y, a);
    }
    if (linear.hasBias)
      y = t.add(y, t.loadF32(pointers.bias, output));
    if (linear.hasResidual) {
      Value i = t.add(t.mul(token, t.index(linear.outputs)), output);
      y = t.add(t.loadF32(pointers.residual, i), y);
    }
    t.storeF32(y, pointers.y,
               t.add(t.mul(token, t.index(linear.yStride)), output));
  });
}

static LogicalResult emit(KernelOp kernel, TileBuilder &t) {
  FailureOr<LinearKernel> linear = LinearKernel::get(kernel);
  if (failed(linear))
    return failure();
  // A trellis code also has `weights`: what its numbers are once decoded.
  if (linear->isInteger() && (linear->trellis || !getDigits(linear->weights) ||
                              linear->weights.group % 32 != 0))
    return kernel.emitOpError()
           << "has weights that GPU targets do not serve: they take the decode "
              "shape digits in groups of 32, 64 or 128 columns or rows";
  LinearBlock(*linear, t).emit();
  return success();
}

const TileFamily lowbit::linearTiles = {"linear", emit};
