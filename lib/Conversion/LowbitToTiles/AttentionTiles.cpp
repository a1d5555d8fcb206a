//===- AttentionTiles.cpp - Attention over the paged cache ------*- C++ -*-===//
//
// One block is one row and one KV head with all query heads that share it. The
// steps and their order are those of Spec.md, section 3, page by page:
//
//   scores   a thread has one (head, key): a chain of fma over the head
//   softmax  a warp has one head: keys lane and lane + 32 of the page
//   outputs  a thread has some (head, element): a chain of fma over the keys
//
// Scores and weights lie in shared memory, as do each head's m, l and corr;
// outputs stay in registers from page to page.
//
//===----------------------------------------------------------------------===//

#include "../LowbitToVector/CachePages.h"
#include "RowTile.h"
#include "TileFamilies.h"
#include <limits>

using namespace mlir;
using namespace lowbit;

namespace {

class AttentionTiles {
public:
  explicit AttentionTiles(KernelParameters &parameters)
      : shape(parameters), scale(parameters.real("scale")),
        qView(parameters.view("q", shape.heads * shape.headDim)) {}

  void checkCache(KernelParameters &parameters) const {
    checkTileCache(shape, parameters);
  }
  LogicalResult emit(TileBuilder &t, KernelParameters &parameters);

private:
  int64_t outputs() const { return shape.groupHeads() * shape.headDim; }
  Value loadWide(TileBuilder &t, Value rows, Value i);
  void emitScores(TileBuilder &t, const HeadPage &page);
  void emitSoftmax(TileBuilder &t, const HeadPage &page, Value head,
                   Value limit, Value isFirst);
  SmallVector<Value> emitOutputs(TileBuilder &t, const HeadPage &page,
                                 Value limit, ValueRange carried);

  CachePages shape;
  float scale;
  ColumnView qView;
  /// Shared memory: [head][64], and [head] each.
  Value weights, maxima, sums, corrections;
  /// First query head of the block.
  Value q;
};

} // namespace

/// Element `i` of the cache as f32, without the scales of int8.
Value AttentionTiles::loadWide(TileBuilder &t, Value rows, Value i) {
  OpBuilder &builder = t.getBuilder();
  Value pointer = t.element(rows, i, shape.format.unitBytes());
  if (shape.format.type.isF32())
    return t.load(builder.getF32Type(), pointer);
  if (!shape.format.isInteger())
    return t.f16ToF32(t.load(builder.getI16Type(), pointer));
  Value byte = t.load(builder.getI8Type(), pointer);
  return t.toF32(t.extend(byte, builder.getI32Type(), /*isSigned=*/true));
}

/// s_j of all 64 keys for all heads; of keys that do not exist, anything.
void AttentionTiles::emitScores(TileBuilder &t, const HeadPage &page) {
  t.forThreads(shape.groupHeads() * pagePositions, [&](Value i) {
    Value head = t.shru(i, 6), key = t.andi(i, t.index(pagePositions - 1));
    Value query = t.element(q, head, 4 * shape.headDim);
    Value s = t.forLoop(
        t.index(0), t.index(shape.headDim), 1, t.f32(0.0f),
        [&](Value d, ValueRange carried) {
          Value place = t.add(t.mul(d, t.index(pagePositions)), key);
          return SmallVector<Value>{t.fma(
              t.loadF32(query, d), loadWide(t, page.keys, place), carried[0])};
        })[0];
    if (shape.format.isInteger())
      s = t.mul(s, t.loadF32(page.keyScales, key));
    t.storeF32(t.mul(s, t.f32(scale)), weights, i);
  });
}

/// Scores of one head become weights; m, l and corr move on. Keys from `limit`
/// on do not exist: whatever the cache holds there, p = 0.
void AttentionTiles::emitSoftmax(TileBuilder &t, const HeadPage &page,
                                 Value head, Value limit, Value isFirst) {
  constexpr int64_t keysPerLane = pagePositions / warpLanes;
  Value row = t.element(weights, head, 4 * pagePositions);
  Value minusInfinity = t.f32(-std::numeric_limits<float>::infinity());
  SmallVector<Value> keys, exists, s;
  Value largest = minusInfinity;
  for (int64_t i = 0; i < keysPerLane; ++i) {
    keys.push_back(t.add(t.lane(), t.index(i * warpLanes)));
    exists.push_back(t.isLess(keys[i], limit));
    s.push_back(t.loadF32(row, keys[i]));
    largest = t.maxf(largest, t.select(exists[i], s[i], minusInfinity));
  }
  largest =
      t.warpReduce(largest, [&](Value a, Value b) { return t.maxf(a, b); });
  Value m = t.loadF32(maxima, head);
  Value next = t.maxf(m, largest);
  Value corr = t.select(isFirst, t.f32(0.0f), t.exp(t.sub(m, next)));
  // Canonical lane i has keys i, i + 16, i + 32, i + 48: two of them here, two
  // in the lane that is 16 further.
  Value total;
  for (int64_t i = 0; i < keysPerLane; ++i) {
    Value p = t.select(exists[i], t.exp(t.sub(s[i], next)), t.f32(0.0f));
    total = total ? t.add(total, p) : p;
    total = t.add(total, t.shuffleXor(p, 16));
    if (shape.format.isInteger())
      p = t.mul(p, t.loadF32(page.valueScales, keys[i]));
    t.storeF32(p, row, keys[i]);
  }
  Value l = t.fma(t.loadF32(sums, head), corr, t.sum16(total));
  // All lanes have read m and l.
  t.warpBarrier();
  Value isLaneZero = t.compare(arith::CmpIPredicate::eq, t.lane(), t.index(0));
  t.ifThen(isLaneZero, [&] {
    t.storeF32(next, maxima, head);
    t.storeF32(corr, corrections, head);
    t.storeF32(l, sums, head);
  });
}

/// o_d over the page's first `limit` keys, for each of the thread's outputs.
SmallVector<Value> AttentionTiles::emitOutputs(TileBuilder &t,
                                               const HeadPage &page,
                                               Value limit,
                                               ValueRange carried) {
  SmallVector<Value> next;
  for (auto [n, output] : llvm::enumerate(carried)) {
    // A thread without this output repeats the last one and stores nothing.
    Value i = t.minInteger(t.add(t.thread(), t.index(int64_t(n) * t.threads())),
                           t.index(outputs() - 1));
    Value head = t.div(i, t.index(shape.headDim));
    Value d = t.rem(i, t.index(shape.headDim));
    Value row = t.element(weights, head, 4 * pagePositions);
    Value o = t.mul(output, t.loadF32(corrections, head));
    next.push_back(
        t.forLoop(t.index(0), limit, 1, o, [&](Value j, ValueRange sum) {
          Value place = t.add(t.mul(j, t.index(shape.headDim)), d);
          return SmallVector<Value>{t.fma(
              t.loadF32(row, j), loadWide(t, page.values, place), sum[0])};
        })[0]);
  }
  return next;
}

LogicalResult AttentionTiles::emit(TileBuilder &t,
                                   KernelParameters &parameters) {
  int64_t heads = shape.groupHeads();
  int64_t bytes = heads * (4 * pagePositions + 12);
  if (bytes > int64_t(t.gpu().sharedBytes) - 64)
    parameters.report("heads", "gives " + llvm::Twine(heads) +
                                   " query heads for each KV head, which do "
                                   "not fit the shared memory of a block");
  if (parameters.failed())
    return failure();
  int64_t items = std::max(heads * pagePositions, outputs());
  t.begin(5, std::clamp<int64_t>((items + 31) / 32 * 32, 64, 256));
  weights = t.allocateShared(heads * 4 * pagePositions);
  maxima = t.allocateShared(heads * 4);
  sums = t.allocateShared(heads * 4);
  corrections = t.allocateShared(heads * 4);

  Value row = t.div(t.item(), t.index(shape.kvHeads));
  Value head = t.rem(t.item(), t.index(shape.kvHeads));
  Value pair = t.mul(row, t.index(2));
  Value sequence = t.loadIndex(t.argument(1), pair);
  Value keys =
      t.add(t.loadIndex(t.argument(1), t.add(pair, t.index(1))), t.index(1));
  q = t.element(rowAddress(t, t.argument(0), row, qView), head, 4 * outputs());
  t.forThreads(heads, [&](Value i) {
    t.storeF32(t.f32(-std::numeric_limits<float>::infinity()), maxima, i);
    t.storeF32(t.f32(0.0f), sums, i);
  });
  Value blocks = t.shru(t.add(keys, t.index(pagePositions - 1)), 6);
  int64_t perThread = (outputs() + t.threads() - 1) / t.threads();
  SmallVector<Value> start(perThread, t.f32(0.0f));
  SmallVector<Value> o = t.forLoop(
      t.index(0), blocks, 1, start, [&](Value block, ValueRange carried) {
        Value address =
            shape.page(t, t.argument(3), t.argument(2), sequence, block);
        HeadPage page = shape.head(t, address, head);
        Value limit =
            t.minInteger(t.index(pagePositions), t.sub(keys, t.shl(block, 6)));
        Value isFirst = t.compare(arith::CmpIPredicate::eq, block, t.index(0));
        emitScores(t, page);
        t.barrier();
        t.forWarps(heads,
                   [&](Value h) { emitSoftmax(t, page, h, limit, isFirst); });
        t.barrier();
        SmallVector<Value> next = emitOutputs(t, page, limit, carried);
        t.barrier();
        return next;
      });
  Value y = t.element(t.argument(4), t.item(), 4 * outputs());
  for (size_t n = 0; n < o.size(); ++n) {
    Value i = t.add(t.thread(), t.index(int64_t(n) * t.threads()));
    t.ifThen(t.isLess(i, t.index(outputs())), [&] {
      Value l = t.loadF32(sums, t.div(i, t.index(shape.headDim)));
      t.storeF32(t.div(o[n], l), y, i);
    });
  }
  return success();
}

static LogicalResult emit(KernelOp kernel, TileBuilder &t) {
  KernelParameters parameters(kernel);
  AttentionTiles attention(parameters);
  attention.checkCache(parameters);
  if (parameters.failed())
    return failure();
  return attention.emit(t, parameters);
}

const TileFamily lowbit::attentionTiles = {"attention", emit};
