//===- Attention.cpp - Attention over the paged cache -----------*- C++ -*-===//
//
// One item is one row and one KV head: all query heads that share it, so that
// every key and value is loaded and widened once for all of them. Blocks of 64
// keys from the left, with the running softmax of Spec.md, section 3:
//
//   m' = max(m, max s_j), corr = exp(m - m'), p_j = exp(s_j - m')
//   l = fma(l, corr, Sum16(p)), o_d = o_d · corr, o_d = fma(p_j, v_jd, o_d)
//
// Scores lie with keys in lanes (K is [head_dim][64]), outputs with elements of
// the head in lanes (V is [64][head_dim]): both are sums over a loop of
// broadcast times vector, a register tile of heads × vectors. What a block
// hands to the next lies in scratch.
//
// Pages lie anywhere, which hardware does not foresee: while scores are summed
// the block's values are fetched, while outputs are summed the next block's
// keys.
//
//===----------------------------------------------------------------------===//

#include "CachePages.h"
#include <limits>

using namespace lowbit;
using namespace mlir;

/// Vectors of 16 keys in a block.
static constexpr int64_t blockVectors = pagePositions / vectorLanes;
/// Query heads that one register tile takes at most.
static constexpr int64_t tileHeads = 4;

namespace {

/// Parts of the scratch, in bytes; arrays over the query heads of a KV head.
struct ScratchPlan {
  explicit ScratchPlan(const CachePages &shape)
      : headElements(roundUp(shape.headDim, vectorLanes)) {
    int64_t heads = shape.groupHeads();
    weights = 0;
    outputs = weights + heads * pagePositions * 4;
    maxima = outputs + heads * headElements * 4;
    sums = maxima + heads * 4;
    corrections = sums + heads * 4;
    bytes = roundUp(corrections + heads * 4, 64);
  }
  /// Elements of a head in `outputs`.
  int64_t headElements;
  /// [head][64]: s_j, then p_j (int8: p_j · vs_j).
  int64_t weights;
  /// [head][headElements]: o_d.
  int64_t outputs;
  /// [head]: m, l, corr.
  int64_t maxima, sums, corrections;
  int64_t bytes;
};

/// Heads of one register tile: `first` is i64, `count` is known.
struct HeadTile {
  Value first;
  int64_t count;
};

/// One kernel that is being emitted.
class Attention {
public:
  explicit Attention(KernelParameters &parameters)
      : shape(parameters), scale(parameters.real("scale")),
        qView(parameters.view("q", shape.heads * shape.headDim)),
        scratchPlan(shape) {}

  void emit(KernelBuilder &k, const KernelArguments &arguments);
  int64_t scratchBytes() const { return scratchPlan.bytes; }

private:
  int64_t tileVectors(KernelBuilder &k, int64_t heads, int64_t all) const;
  void forTiles(KernelBuilder &k, function_ref<void(HeadTile)> body) const;
  Value place(KernelBuilder &k, int64_t part, Value head,
              int64_t headBytes) const;
  Value loadWide(KernelBuilder &k, Value pointer) const;

  void emitStart(KernelBuilder &k);
  void emitScores(KernelBuilder &k, const HeadPage &page, HeadTile tile);
  void emitSoftmax(KernelBuilder &k, const HeadPage &page, Value head,
                   Value limit, Value isFirst);
  void emitOutputs(KernelBuilder &k, const HeadPage &page, HeadTile tile,
                   Value limit, Value nextKeys);
  void prefetchRow(KernelBuilder &k, Value rows, Value row,
                   int64_t rowBytes) const;
  void emitResult(KernelBuilder &k, Value y);

  CachePages shape;
  float scale;
  ColumnView qView;
  ScratchPlan scratchPlan;
  Value scratch;
  /// First query head of the current item.
  Value q;
};

} // namespace

/// How many of `all` vectors a tile of `heads` heads takes: accumulators fill
/// about half of the registers, which leaves room for the operands.
int64_t Attention::tileVectors(KernelBuilder &k, int64_t heads,
                               int64_t all) const {
  const TargetInfo &target = k.getTarget();
  int64_t registersPerVector = vectorLanes * 32 / target.vectorBits;
  int64_t budget = target.vectorRegisters / 2 / registersPerVector;
  // An emulated fma needs the registers itself.
  if (!target.hasFma)
    budget = 1;
  return std::clamp<int64_t>(budget / heads, 1, all);
}

/// Calls `body` for tiles of at most 4 query heads.
void Attention::forTiles(KernelBuilder &k,
                         function_ref<void(HeadTile)> body) const {
  int64_t heads = shape.groupHeads();
  int64_t whole = heads / tileHeads * tileHeads;
  if (whole > 0)
    k.forLoop(k.index(0), k.index(whole), tileHeads,
              [&](Value head) { body({head, tileHeads}); });
  if (whole < heads)
    body({k.index(whole), heads - whole});
}

/// Address of a head's element of a part of the scratch.
Value Attention::place(KernelBuilder &k, int64_t part, Value head,
                       int64_t headBytes) const {
  return k.element(k.offset(scratch, part), head, headBytes);
}

/// 16 elements of the cache as f32, without the scales of int8.
Value Attention::loadWide(KernelBuilder &k, Value pointer) const {
  OpBuilder &builder = k.getBuilder();
  if (shape.isFloat32)
    return k.load(k.f32x16(), pointer);
  if (!shape.isInteger)
    return k.f16ToF32(k.load(k.vectorType(builder.getI16Type()), pointer));
  Value bytes = k.load(k.vectorType(builder.getI8Type()), pointer);
  return k.toF32(k.extend(bytes, builder.getI32Type(), /*isSigned=*/true));
}

/// Fetches `rowBytes` bytes of row `row`.
void Attention::prefetchRow(KernelBuilder &k, Value rows, Value row,
                            int64_t rowBytes) const {
  constexpr int64_t lineBytes = 64;
  Value start = k.element(rows, row, rowBytes);
  for (int64_t byte = 0; byte < rowBytes; byte += lineBytes)
    k.prefetch(k.offset(start, byte));
}

/// m = -inf, l = 0, o = 0.
void Attention::emitStart(KernelBuilder &k) {
  Value minusInfinity = k.f32(-std::numeric_limits<float>::infinity());
  k.forLoop(k.index(0), k.index(shape.groupHeads()), 1, [&](Value head) {
    k.store(minusInfinity, place(k, scratchPlan.maxima, head, 4));
    k.store(k.f32(0.0f), place(k, scratchPlan.sums, head, 4));
    Value o = place(k, scratchPlan.outputs, head, scratchPlan.headElements * 4);
    for (int64_t i = 0; i < scratchPlan.headElements; i += vectorLanes)
      k.store(k.zero(k.f32x16()), k.offset(o, 4 * i));
  });
}

/// s_j of all 64 keys for the heads of a tile.
void Attention::emitScores(KernelBuilder &k, const HeadPage &page,
                           HeadTile tile) {
  int64_t vectors = tileVectors(k, tile.count, blockVectors);
  int64_t rowBytes = pagePositions * shape.elementBytes();
  int64_t headBytes = 4 * shape.headDim;
  Value queries = k.element(q, tile.first, headBytes);
  for (int64_t first = 0; first < blockVectors; first += vectors) {
    int64_t count = std::min(vectors, blockVectors - first);
    Value keys =
        k.offset(page.keys, first * vectorLanes * shape.elementBytes());
    SmallVector<Value> zeros(tile.count * count, k.zero(k.f32x16()));
    auto step = [&](Value d, ValueRange carried) {
      SmallVector<Value> next(carried);
      Value row = k.element(keys, d, rowBytes);
      Value query = k.element(queries, d, 4);
      for (int64_t v = 0; v < count; ++v) {
        Value key =
            loadWide(k, k.offset(row, v * vectorLanes * shape.elementBytes()));
        for (int64_t h = 0; h < tile.count; ++h) {
          Value broadcast = k.splat(k.load(k.getBuilder().getF32Type(),
                                           k.offset(query, h * headBytes)));
          Value &t = next[h * count + v];
          t = k.fma(broadcast, key, t);
        }
      }
      return next;
    };
    // Two elements at a time; head_dim is even.
    SmallVector<Value> t =
        k.forLoop(k.index(0), k.index(shape.headDim), 2, zeros,
                  [&](Value d, ValueRange carried) {
                    if (first == 0) // as many bytes of V as this reads of K
                      prefetchRow(k, page.values, k.shru(d, 1), 2 * rowBytes);
                    return step(k.add(d, k.index(1)), step(d, carried));
                  });
    for (int64_t v = 0; v < count; ++v) {
      int64_t firstKey = (first + v) * vectorLanes;
      Value keyScales;
      if (shape.isInteger)
        keyScales = k.load(k.f32x16(), k.offset(page.keyScales, 4 * firstKey));
      for (int64_t h = 0; h < tile.count; ++h) {
        Value s = t[h * count + v];
        if (keyScales)
          s = k.mul(s, keyScales);
        s = k.mul(s, k.splat(k.f32(scale)));
        Value head = k.add(tile.first, k.index(h));
        Value weights = place(k, scratchPlan.weights, head, 4 * pagePositions);
        k.store(s, k.offset(weights, 4 * firstKey));
      }
    }
  }
}

/// Scores of one head become weights; m, l and corr move on. Keys from `limit`
/// on do not exist: whatever the cache holds there, p = 0.
void Attention::emitSoftmax(KernelBuilder &k, const HeadPage &page, Value head,
                            Value limit, Value isFirst) {
  Value weights = place(k, scratchPlan.weights, head, 4 * pagePositions);
  Value maximum = place(k, scratchPlan.maxima, head, 4);
  Value sum = place(k, scratchPlan.sums, head, 4);
  Type f32 = k.getBuilder().getF32Type();
  Value minusInfinity = k.splat(k.f32(-std::numeric_limits<float>::infinity()));
  Value end = k.splat(k.truncate(limit, k.getBuilder().getI32Type()));

  SmallVector<Value> s, exists;
  Value largest;
  for (int64_t v = 0; v < blockVectors; ++v) {
    SmallVector<int32_t> lanes;
    for (int64_t i = 0; i < vectorLanes; ++i)
      lanes.push_back(int32_t(v * vectorLanes + i));
    exists.push_back(k.compare(arith::CmpIPredicate::slt,
                               k.constant(ArrayRef<int32_t>(lanes)), end));
    s.push_back(k.load(k.f32x16(), k.offset(weights, 4 * v * vectorLanes)));
    Value visible = k.select(exists[v], s[v], minusInfinity);
    largest = v == 0 ? visible : k.maxf(largest, visible);
  }
  Value m = k.load(f32, maximum);
  Value next = k.maxf(m, k.maxLanes(largest));
  Value corr = k.select(isFirst, k.f32(0.0f), k.exp(k.sub(m, next)));
  Value total;
  for (int64_t v = 0; v < blockVectors; ++v) {
    Value p = k.select(exists[v], k.exp(k.sub(s[v], k.splat(next))),
                       k.zero(k.f32x16()));
    // Lanes start from +0, and 0 + p is p: p is never -0.
    total = v == 0 ? p : k.add(total, p);
    if (shape.isInteger)
      p = k.mul(p, k.load(k.f32x16(),
                          k.offset(page.valueScales, 4 * v * vectorLanes)));
    k.store(p, k.offset(weights, 4 * v * vectorLanes));
  }
  k.store(next, maximum);
  k.store(corr, place(k, scratchPlan.corrections, head, 4));
  k.store(k.fma(k.load(f32, sum), corr, k.sumLanes(total)), sum);
}

/// o_d of the heads of a tile over the block's first `limit` keys.
void Attention::emitOutputs(KernelBuilder &k, const HeadPage &page,
                            HeadTile tile, Value limit, Value nextKeys) {
  Type f32 = k.getBuilder().getF32Type();
  int64_t all = scratchPlan.headElements / vectorLanes;
  int64_t vectors = tileVectors(k, tile.count, all);
  int64_t rowBytes = shape.headDim * shape.elementBytes();
  Value weights = place(k, scratchPlan.weights, tile.first, 4 * pagePositions);
  Value outputs =
      place(k, scratchPlan.outputs, tile.first, 4 * scratchPlan.headElements);
  Value corrections = place(k, scratchPlan.corrections, tile.first, 4);
  for (int64_t first = 0; first < all; first += vectors) {
    int64_t count = std::min(vectors, all - first);
    auto output = [&](int64_t h, int64_t v) {
      return k.offset(outputs, 4 * (h * scratchPlan.headElements +
                                    (first + v) * vectorLanes));
    };
    SmallVector<Value> start;
    for (int64_t h = 0; h < tile.count; ++h) {
      Value corr = k.splat(k.load(f32, k.offset(corrections, 4 * h)));
      for (int64_t v = 0; v < count; ++v)
        start.push_back(k.mul(k.load(k.f32x16(), output(h, v)), corr));
    }
    Value values =
        k.offset(page.values, first * vectorLanes * shape.elementBytes());
    SmallVector<Value> o = k.forLoop(
        k.index(0), limit, 1, start, [&](Value j, ValueRange carried) {
          SmallVector<Value> next(carried);
          if (first == 0)
            prefetchRow(k, nextKeys, j, rowBytes);
          Value row = k.element(values, j, rowBytes);
          Value weight = k.element(weights, j, 4);
          for (int64_t v = 0; v < count; ++v) {
            // The last vector of a head may reach into the next row (or the
            // slack): lanes that are never stored to y.
            Value value = loadWide(
                k, k.offset(row, v * vectorLanes * shape.elementBytes()));
            for (int64_t h = 0; h < tile.count; ++h) {
              Value p =
                  k.splat(k.load(f32, k.offset(weight, 4 * h * pagePositions)));
              Value &sum = next[h * count + v];
              sum = k.fma(p, value, sum);
            }
          }
          return next;
        });
    for (int64_t h = 0; h < tile.count; ++h)
      for (int64_t v = 0; v < count; ++v)
        k.store(o[h * count + v], output(h, v));
  }
}

/// y = o / l for every query head.
void Attention::emitResult(KernelBuilder &k, Value y) {
  k.forLoop(k.index(0), k.index(shape.groupHeads()), 1, [&](Value head) {
    Value l = k.splat(k.load(k.getBuilder().getF32Type(),
                             place(k, scratchPlan.sums, head, 4)));
    Value o = place(k, scratchPlan.outputs, head, scratchPlan.headElements * 4);
    Value target = k.element(y, head, 4 * shape.headDim);
    for (int64_t i = 0; i < shape.headDim; i += vectorLanes)
      storeLanes(k, k.div(k.load(k.f32x16(), k.offset(o, 4 * i)), l),
                 k.offset(target, 4 * i),
                 std::min(vectorLanes, shape.headDim - i));
  });
}

void Attention::emit(KernelBuilder &k, const KernelArguments &arguments) {
  SmallVector<Value> pointers = loadArguments(k, arguments, 5);
  scratch = arguments.scratch;
  int64_t groupBytes = 4 * shape.groupHeads() * shape.headDim;
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value item) {
    Value row = k.div(item, k.index(shape.kvHeads));
    Value head = k.rem(item, k.index(shape.kvHeads));
    Value pair = k.element(pointers[1], row, 8);
    Value sequence = loadIndex(k, pair);
    Value keys = k.add(loadIndex(k, k.offset(pair, 4)), k.index(1));
    q = k.element(rowPointer(k, pointers[0], row, qView), head, groupBytes);
    emitStart(k);
    Value blocks = k.shru(k.add(keys, k.index(pagePositions - 1)), 6);
    k.forLoop(k.index(0), blocks, 1, [&](Value block) {
      Value address = shape.page(k, pointers[3], pointers[2], sequence, block);
      HeadPage page = shape.head(k, address, head);
      Value following =
          minInteger(k, k.add(block, k.index(1)), k.sub(blocks, k.index(1)));
      Value nextAddress =
          shape.page(k, pointers[3], pointers[2], sequence, following);
      Value nextKeys = shape.head(k, nextAddress, head).keys;
      Value limit =
          minInteger(k, k.index(pagePositions), k.sub(keys, k.shl(block, 6)));
      Value isFirst = k.compare(arith::CmpIPredicate::eq, block, k.index(0));
      forTiles(k, [&](HeadTile tile) {
        emitScores(k, page, tile);
        k.forLoop(tile.first, k.add(tile.first, k.index(tile.count)), 1,
                  [&](Value h) { emitSoftmax(k, page, h, limit, isFirst); });
        emitOutputs(k, page, tile, limit, nextKeys);
      });
    });
    Value y = rowPointer(k, pointers[4], row, {0, shape.heads * shape.headDim});
    emitResult(k, k.element(y, head, groupBytes));
  });
}

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  Attention attention(parameters);
  if (parameters.failed())
    return failure();
  attention.emit(k, arguments);
  return success();
}

static int64_t scratchBytes(KernelOp kernel) {
  KernelParameters parameters(kernel);
  return Attention(parameters).scratchBytes();
}

const KernelFamily lowbit::attentionFamily = {"attention", emit, scratchBytes};
