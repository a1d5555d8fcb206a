//===- QuantizeTiles.cpp - Activations become integers ----------*- C++ -*-===//
//
// Spec.md, section 3 (Activations) and 5.2. One block for each row: all threads
// find the largest magnitude, then each group of columns is quantized and
// summed by one warp. A norm or a gate is computed twice rather than kept: a
// row may be larger than shared memory, and its inputs lie in the cache.
//
//===----------------------------------------------------------------------===//

#include "RowTile.h"
#include "TileFamilies.h"
#include "TileLayouts.h"
#include <limits>

using namespace mlir;
using namespace lowbit;

namespace {

/// One kernel that is being emitted.
class QuantizeTiles {
public:
  explicit QuantizeTiles(KernelParameters &parameters)
      : columns(parameters.integer("columns", 1)),
        planes(parameters.integer("planes", 1, 2)),
        sumGroup(parameters.integer("sum_group", 1)),
        source(parameters.string("prologue"), columns, parameters) {
    if (!parameters.failed() &&
        !llvm::is_contained({32, 64, 128, 512}, sumGroup))
      parameters.report("sum_group", "expected 32, 64, 128 or 512");
  }

  void emit(TileBuilder &t);

private:
  float limit() const { return planes == 2 ? 32639.0f : 127.0f; }
  int64_t groups() const { return (columns + sumGroup - 1) / sumGroup; }
  int64_t paddedColumns() const { return (columns + 63) / 64 * 64 + 64; }

  Value findMagnitude(TileBuilder &t);
  Value emitScale(TileBuilder &t, Value magnitude, Value scales);
  void emitGroup(TileBuilder &t, Value group, Value inverse, Value q,
                 Value sums);

  int64_t columns, planes, sumGroup;
  RowTile source;
};

} // namespace

/// Bits of the largest |x|. As signed integers magnitudes are in the order of
/// the numbers, with infinity and NaN above all of them.
Value QuantizeTiles::findMagnitude(TileBuilder &t) {
  Type i32 = t.getBuilder().getI32Type();
  Value slots = t.allocateShared(4 * t.warps());
  Value largest =
      t.forLoop(t.thread(), t.index(columns), t.threads(), t.i32(0),
                [&](Value i, ValueRange carried) {
                  Value bits = t.bitcast(t.abs(source.value(t, i)), i32);
                  return SmallVector<Value>{t.maxInteger(carried[0], bits)};
                })[0];
  return t.blockReduce(largest, slots,
                       [&](Value a, Value b) { return t.maxInteger(a, b); });
}

/// Stores the scale; returns inv, or 0 where that is of no use.
Value QuantizeTiles::emitScale(TileBuilder &t, Value magnitude, Value scales) {
  using Predicate = arith::CmpFPredicate;
  Value infinity = t.f32(std::numeric_limits<float>::infinity());
  Value amax = t.bitcast(magnitude, t.getBuilder().getF32Type());
  Value inverse = t.div(t.f32(limit()), amax);
  Value isFinite = t.compare(Predicate::OLT, amax, infinity);
  // amax = 0, or so small that Q / amax is infinite: all q and the scale are 0.
  Value isUsable = t.compare(Predicate::OLT, inverse, infinity);
  Value zero = t.f32(0.0f);
  Value scale = t.select(isUsable, t.div(amax, t.f32(limit())), zero);
  Value nan = t.f32(std::numeric_limits<float>::quiet_NaN());
  Value isFirst = t.compare(arith::CmpIPredicate::eq, t.thread(), t.index(0));
  t.ifThen(isFirst, [&] {
    t.storeF32(t.select(isFinite, scale, nan), scales, t.item());
  });
  return t.select(t.andi(isFinite, isUsable), inverse, zero);
}

/// Quantizes a group by one warp and stores the sums of its planes.
void QuantizeTiles::emitGroup(TileBuilder &t, Value group, Value inverse,
                              Value q, Value sums) {
  OpBuilder &builder = t.getBuilder();
  Type i8 = builder.getI8Type();
  Value first = t.mul(group, t.index(sumGroup));
  SmallVector<Value> totals(planes, t.i32(0));
  for (int64_t at = 0; at < sumGroup; at += warpLanes) {
    Value i = t.add(t.add(first, t.index(at)), t.lane());
    Value exists = t.isLess(i, t.index(columns));
    // Lanes beyond the row repeat its last element and store nothing.
    Value column = t.minInteger(i, t.index(columns - 1));
    Value scaled = t.rint(t.mul(source.value(t, column), inverse));
    Value clamped = t.maxf(t.minf(scaled, t.f32(limit())), t.f32(-limit()));
    Value integer = t.select(exists, t.toI32(clamped), t.i32(0));
    SmallVector<Value> parts{integer};
    if (planes == 2) {
      Value hi = t.shrs(t.add(integer, t.i32(128)), 8);
      parts = {hi, t.sub(integer, t.shl(hi, 8))};
    }
    t.ifThen(exists, [&] {
      for (auto [plane, part] : llvm::enumerate(parts))
        t.store(t.truncate(part, i8),
                t.offset(t.offset(q, int64_t(plane) * paddedColumns()), i));
    });
    for (auto [total, part] : llvm::zip_equal(totals, parts))
      total = t.add(total, part);
  }
  Value isFirst = t.compare(arith::CmpIPredicate::eq, t.lane(), t.index(0));
  for (auto [plane, total] : llvm::enumerate(totals)) {
    Value sum =
        t.warpReduce(total, [&](Value a, Value b) { return t.add(a, b); });
    Value place = t.add(t.index(int64_t(plane) * groups()), group);
    t.ifThen(isFirst, [&] { t.store(sum, t.element(sums, place, 4)); });
  }
}

void QuantizeTiles::emit(TileBuilder &t) {
  int64_t inputs = source.argumentCount();
  t.begin(inputs + 3, chooseRowThreads(t.gpu(), columns));
  Value q = t.element(t.argument(inputs), t.item(), planes * paddedColumns());
  Value sums =
      t.element(t.argument(inputs + 2), t.item(), planes * groups() * 4);
  source.begin(t, t.item());
  Value inverse = emitScale(t, findMagnitude(t), t.argument(inputs + 1));
  t.forWarps(groups(),
             [&](Value group) { emitGroup(t, group, inverse, q, sums); });
  Value zero = t.zero(t.getBuilder().getI8Type());
  t.forThreads(paddedColumns() - columns, [&](Value i) {
    for (int64_t plane = 0; plane < planes; ++plane)
      t.store(zero,
              t.offset(t.offset(q, plane * paddedColumns() + columns), i));
  });
}

static LogicalResult emit(KernelOp kernel, TileBuilder &t) {
  KernelParameters parameters(kernel);
  QuantizeTiles quantize(parameters);
  if (parameters.failed())
    return failure();
  quantize.emit(t);
  return success();
}

const TileFamily lowbit::quantizeRowsTiles = {"quantize_rows", emit};
