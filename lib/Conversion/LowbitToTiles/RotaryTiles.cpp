//===- RotaryTiles.cpp - Angles, turned heads, the cache --------*- C++ -*-===//
//
// rotary_table and rotary_cache (Spec.md, 3 and 5.4): one block for each row.
// The query heads are turned in place by all threads; each key and value head
// is turned, quantized and written to its position's place by one warp, whose
// lanes hold elements lane, lane + 32, … of it.
//
//===----------------------------------------------------------------------===//

#include "../LowbitToVector/CachePages.h"
#include "../LowbitToVector/SinCos.h"
#include "RowTile.h"
#include "TileFamilies.h"
#include "TileLayouts.h"
#include <limits>

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// rotary_table
//===----------------------------------------------------------------------===//

/// Element `i` of a list of constants: a tree of selections, since a table in
/// memory would be the only one that any kernel has.
static Value selectConstant(TileBuilder &t, ArrayRef<float> values,
                            int64_t first, Value i) {
  if (values.size() == 1)
    return t.f64(values[0]);
  size_t low = 1;
  while (low * 2 < values.size())
    low *= 2;
  Value isLow = t.isLess(i, t.index(first + int64_t(low)));
  return t.select(
      isLow, selectConstant(t, values.take_front(low), first, i),
      selectConstant(t, values.drop_front(low), first + int64_t(low), i));
}

static LogicalResult emitTable(KernelOp kernel, TileBuilder &t) {
  KernelParameters parameters(kernel);
  ArrayRef<float> frequencies = parameters.reals("frequencies");
  int64_t half = frequencies.size();
  if (!parameters.failed() && half == 0)
    parameters.report("frequencies", "is empty");
  for (float frequency : frequencies)
    if (!(frequency >= 0 && frequency <= largestFrequency))
      parameters.report("frequencies", "holds " + std::to_string(frequency) +
                                           ", expected 0 to " +
                                           std::to_string(largestFrequency));
  if (parameters.failed())
    return failure();
  OpBuilder &builder = t.getBuilder();
  t.begin(3, chooseRowThreads(t.gpu(), 4 * half));
  Value position = t.load(builder.getI32Type(),
                          t.offset(t.element(t.argument(0), t.item(), 8), 4));
  Value wide = arith::SIToFPOp::create(builder, t.getLoc(),
                                       builder.getF64Type(), position);
  Value cosRow = rowAddress(t, t.argument(1), t.item(), {0, half});
  Value sinRow = rowAddress(t, t.argument(2), t.item(), {0, half});
  t.forThreads(half, [&](Value i) {
    Value angle = t.mul(wide, selectConstant(t, frequencies, 0, i));
    auto [cos, sin] = SinCos(t).emit(angle);
    auto round = [&](Value value) -> Value {
      return arith::TruncFOp::create(builder, t.getLoc(), builder.getF32Type(),
                                     value);
    };
    t.storeF32(round(cos), cosRow, i);
    t.storeF32(round(sin), sinRow, i);
  });
  return success();
}

//===----------------------------------------------------------------------===//
// rotary_cache
//===----------------------------------------------------------------------===//

namespace {

class RotaryCacheTiles {
public:
  explicit RotaryCacheTiles(KernelParameters &parameters)
      : shape(parameters),
        qView(parameters.view("q", shape.heads * shape.headDim)),
        kView(parameters.view("k", shape.kvHeads * shape.headDim)),
        vView(parameters.view("v", shape.kvHeads * shape.headDim)) {
    checkTileCache(shape, parameters);
  }

  void emit(TileBuilder &t);

private:
  /// An element of a head as a lane holds it.
  struct Part {
    Value index;  ///< i64
    Value exists; ///< whether the head has it
    Value value;  ///< f32, 0 where not
  };
  SmallVector<Part> loadParts(TileBuilder &t, Value head, int64_t begin,
                              int64_t count);
  std::pair<Value, Value> turn(TileBuilder &t, Value a, Value b, Value i);
  Value emitScale(TileBuilder &t, ArrayRef<Part> parts, Value place);
  void emitPart(TileBuilder &t, const Part &part, Value inverse, Value pointer);
  void emitKey(TileBuilder &t, Value head, const HeadPage &page);
  void emitValue(TileBuilder &t, Value head, const HeadPage &page);

  CachePages shape;
  ColumnView qView, kView, vView;
  Value cosRow, sinRow, slot;
};

} // namespace

/// Elements begin … begin + count − 1 of the head at `head`, by a warp.
SmallVector<RotaryCacheTiles::Part> RotaryCacheTiles::loadParts(TileBuilder &t,
                                                                Value head,
                                                                int64_t begin,
                                                                int64_t count) {
  SmallVector<Part> parts;
  for (int64_t at = 0; at < count; at += warpLanes) {
    Value i = t.add(t.lane(), t.index(at));
    Value exists = t.isLess(i, t.index(count));
    Value last = t.minInteger(i, t.index(count - 1));
    Value x = t.loadF32(t.offset(head, 4 * begin), last);
    parts.push_back(
        {t.add(i, t.index(begin)), exists, t.select(exists, x, t.f32(0.0f))});
  }
  return parts;
}

std::pair<Value, Value> RotaryCacheTiles::turn(TileBuilder &t, Value a, Value b,
                                               Value i) {
  Value cos = t.loadF32(cosRow, i), sin = t.loadF32(sinRow, i);
  return {t.fma(a, cos, t.neg(t.mul(b, sin))), t.fma(b, cos, t.mul(a, sin))};
}

/// Activation int8 over one head: stores the scale, returns 127 / amax (0 where
/// that is of no use).
Value RotaryCacheTiles::emitScale(TileBuilder &t, ArrayRef<Part> parts,
                                  Value place) {
  using Predicate = arith::CmpFPredicate;
  OpBuilder &builder = t.getBuilder();
  Value largest = t.i32(0);
  for (const Part &part : parts)
    largest = t.maxInteger(largest,
                           t.bitcast(t.abs(part.value), builder.getI32Type()));
  largest = t.warpReduce(largest,
                         [&](Value a, Value b) { return t.maxInteger(a, b); });
  Value amax = t.bitcast(largest, builder.getF32Type());
  Value infinity = t.f32(std::numeric_limits<float>::infinity());
  Value zero = t.f32(0.0f), limit = t.f32(127.0f);
  Value inverse = t.div(limit, amax);
  Value isFinite = t.compare(Predicate::OLT, amax, infinity);
  Value isUsable = t.compare(Predicate::OLT, inverse, infinity);
  Value scale = t.select(isUsable, t.div(amax, limit), zero);
  Value nan = t.f32(std::numeric_limits<float>::quiet_NaN());
  Value isFirst = t.compare(arith::CmpIPredicate::eq, t.lane(), t.index(0));
  t.ifThen(isFirst,
           [&] { t.storeF32(t.select(isFinite, scale, nan), place, slot); });
  return t.select(t.andi(isFinite, isUsable), inverse, zero);
}

/// Stores an element as the cache holds it.
void RotaryCacheTiles::emitPart(TileBuilder &t, const Part &part, Value inverse,
                                Value pointer) {
  Value stored = part.value;
  if (shape.format.isInteger()) {
    Value scaled = t.rint(t.mul(stored, inverse));
    Value clamped = t.maxf(t.minf(scaled, t.f32(127.0f)), t.f32(-127.0f));
    stored = t.truncate(t.toI32(clamped), t.getBuilder().getI8Type());
  } else if (!shape.format.type.isF32()) {
    stored = t.f32ToF16(stored);
  }
  t.ifThen(part.exists, [&] { t.store(stored, pointer); });
}

/// Keys of one position are a column of [head_dim][64].
void RotaryCacheTiles::emitKey(TileBuilder &t, Value head,
                               const HeadPage &page) {
  int64_t half = shape.headDim / 2;
  SmallVector<Part> low = loadParts(t, head, 0, half);
  SmallVector<Part> high = loadParts(t, head, half, half);
  for (auto [a, b] : llvm::zip_equal(low, high)) {
    Value i = t.minInteger(a.index, t.index(half - 1));
    std::tie(a.value, b.value) = turn(t, a.value, b.value, i);
    // A lane without an element turns zeros, which stay zeros.
  }
  SmallVector<Part> parts(low);
  parts.append(high);
  Value inverse;
  if (shape.format.isInteger())
    inverse = emitScale(t, parts, page.keyScales);
  Value column = t.element(page.keys, slot, shape.format.unitBytes());
  int64_t rowBytes = pagePositions * shape.format.unitBytes();
  for (const Part &part : parts)
    emitPart(t, part, inverse, t.element(column, part.index, rowBytes));
}

void RotaryCacheTiles::emitValue(TileBuilder &t, Value head,
                                 const HeadPage &page) {
  SmallVector<Part> parts = loadParts(t, head, 0, shape.headDim);
  Value inverse;
  if (shape.format.isInteger())
    inverse = emitScale(t, parts, page.valueScales);
  Value row =
      t.element(page.values, slot, shape.headDim * shape.format.unitBytes());
  for (const Part &part : parts)
    emitPart(t, part, inverse,
             t.element(row, part.index, shape.format.unitBytes()));
}

void RotaryCacheTiles::emit(TileBuilder &t) {
  int64_t half = shape.headDim / 2, headBytes = 4 * shape.headDim;
  t.begin(8, chooseRowThreads(t.gpu(), shape.heads * shape.headDim));
  Value pair = t.mul(t.item(), t.index(2));
  Value sequence = t.loadIndex(t.argument(3), pair);
  Value position = t.loadIndex(t.argument(3), t.add(pair, t.index(1)));
  slot = t.andi(position, t.index(pagePositions - 1));
  cosRow = rowAddress(t, t.argument(4), t.item(), {0, half});
  sinRow = rowAddress(t, t.argument(5), t.item(), {0, half});

  Value q = rowAddress(t, t.argument(0), t.item(), qView);
  t.forThreads(shape.heads * half, [&](Value i) {
    Value element = t.rem(i, t.index(half));
    Value head = t.element(q, t.div(i, t.index(half)), headBytes);
    Value high = t.add(element, t.index(half));
    auto [a, b] =
        turn(t, t.loadF32(head, element), t.loadF32(head, high), element);
    t.storeF32(a, head, element);
    t.storeF32(b, head, high);
  });
  Value page = shape.page(t, t.argument(7), t.argument(6), sequence,
                          t.shru(position, 6));
  Value keys = rowAddress(t, t.argument(1), t.item(), kView);
  Value values = rowAddress(t, t.argument(2), t.item(), vView);
  t.forWarps(shape.kvHeads, [&](Value head) {
    HeadPage headPage = shape.head(t, page, head);
    emitKey(t, t.element(keys, head, headBytes), headPage);
    emitValue(t, t.element(values, head, headBytes), headPage);
  });
}

static LogicalResult emitCache(KernelOp kernel, TileBuilder &t) {
  KernelParameters parameters(kernel);
  RotaryCacheTiles rotary(parameters);
  if (parameters.failed())
    return failure();
  rotary.emit(t);
  return success();
}

const TileFamily lowbit::rotaryTableTiles = {"rotary_table", emitTable};
const TileFamily lowbit::rotaryCacheTiles = {"rotary_cache", emitCache};
