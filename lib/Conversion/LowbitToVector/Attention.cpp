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
    valueGroups = std::max<int64_t>(shape.groups(), 1);
    weights = 0;
    outputs = weights + heads * valueGroups * pagePositions * 4;
    maxima = outputs + heads * headElements * 4;
    sums = maxima + heads * 4;
    corrections = sums + heads * 4;
    bytes = roundUp(corrections + heads * 4, 64);
  }
  /// Elements of a head in `outputs`.
  int64_t headElements;
  /// Groups of a value with weights of their own.
  int64_t valueGroups;
  /// [head][group][64]: s_j (group 0), then w_jg: p_j, times the value's scale.
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

/// A register tile of scores: heads × vectors of 16 keys.
struct KeySpan {
  /// Query of the tile's first head, and how many heads there are.
  Value queries;
  int64_t heads;
  /// The first vector, and how many.
  int64_t first, vectors;
  /// Unit 0 of the first vector's keys.
  Value keys;
  /// Values that are fetched meanwhile, or null.
  Value fetched;
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
  Value weightsOf(KernelBuilder &k, Value head, Value group) const;
  Value loadScales(KernelBuilder &k, Value scales, Value group,
                   int64_t slot) const;
  Value loadWide(KernelBuilder &k, Value pointer) const;
  SmallVector<Value> loadUnit(KernelBuilder &k, Value pointer,
                              Value zeros) const;
  Value loadValue(KernelBuilder &k, Value row, int64_t vector,
                  Value zero) const;

  void emitStart(KernelBuilder &k);
  void emitScores(KernelBuilder &k, const HeadPage &page, HeadTile tile);
  SmallVector<Value> sumKeys(KernelBuilder &k, const KeySpan &span,
                             Value firstUnit, int64_t elements,
                             ArrayRef<Value> zeros) const;
  SmallVector<Value> addGroup(KernelBuilder &k, const HeadPage &page,
                              const KeySpan &span, Value group,
                              int64_t elements, ValueRange t) const;
  SmallVector<Value> scores(KernelBuilder &k, const HeadPage &page,
                            const KeySpan &span) const;
  void emitSoftmax(KernelBuilder &k, const HeadPage &page, Value head,
                   Value limit, Value isFirst);
  void storeWeights(KernelBuilder &k, const HeadPage &page, Value head,
                    ArrayRef<Value> p) const;
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

/// Weights of a head for one group of the values.
Value Attention::weightsOf(KernelBuilder &k, Value head, Value group) const {
  Value groups = k.mul(head, k.index(scratchPlan.valueGroups));
  return place(k, scratchPlan.weights, k.add(groups, group), 4 * pagePositions);
}

/// 16 elements of a byte or more as f32, without scales.
Value Attention::loadWide(KernelBuilder &k, Value pointer) const {
  OpBuilder &builder = k.getBuilder();
  const CacheFormat &format = shape.format;
  if (format.isInteger()) {
    Value bytes = k.load(k.vectorType(builder.getI8Type()), pointer);
    return k.toF32(k.extend(bytes, builder.getI32Type(), /*isSigned=*/true));
  }
  if (format.bits() == 32)
    return k.load(k.f32x16(), pointer);
  return k.f16ToF32(k.load(k.vectorType(builder.getI16Type()), pointer));
}

/// The elements of a unit of 16 keys, f32; `zeros` (i32 lanes) are taken off
/// where the cache has them.
SmallVector<Value> Attention::loadUnit(KernelBuilder &k, Value pointer,
                                       Value zeros) const {
  if (!zeros)
    return {loadWide(k, pointer)};
  int64_t bits = shape.format.bits();
  Value bytes = unpackLanes(k, pointer, 8);
  Value mask = k.splat(k.i32((1 << bits) - 1));
  SmallVector<Value> elements;
  for (int64_t i = 0; i < shape.unitElements(); ++i) {
    Value code = k.shru(bytes, bits * i);
    if (i + 1 < shape.unitElements())
      code = k.andi(code, mask);
    elements.push_back(k.toF32(k.sub(code, zeros)));
  }
  return elements;
}

/// Elements 16 · vector … of a value, f32; `zero` (i32 in all lanes) is taken
/// off where the cache has it.
Value Attention::loadValue(KernelBuilder &k, Value row, int64_t vector,
                           Value zero) const {
  int64_t bits = shape.format.bits();
  Value pointer = k.offset(row, vector * vectorLanes * bits / 8);
  if (!zero)
    return loadWide(k, pointer);
  return k.toF32(k.sub(unpackLanes(k, pointer, bits), zero));
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

/// Σ q_d · (c_d − z) over `elements` elements from a unit on, entry
/// head · vectors + vector; `zeros` has one value for each vector, or none.
SmallVector<Value> Attention::sumKeys(KernelBuilder &k, const KeySpan &span,
                                      Value firstUnit, int64_t elements,
                                      ArrayRef<Value> zeros) const {
  int64_t headBytes = 4 * shape.headDim, unitBytes = shape.keyUnitBytes();
  int64_t unitElements = shape.unitElements();
  // Two elements at a time at least: head_dim is even.
  int64_t turnUnits = unitElements == 1 ? 2 : 1;
  auto addUnit = [&](Value unit, int64_t count, ValueRange carried) {
    SmallVector<Value> next(carried);
    Value row = k.element(span.keys, unit, unitBytes);
    Value query = k.element(span.queries, unit, 4 * unitElements);
    SmallVector<SmallVector<Value>> keys;
    for (int64_t v = 0; v < span.vectors; ++v)
      keys.push_back(
          loadUnit(k, k.offset(row, v * vectorLanes * shape.format.unitBytes()),
                   zeros.empty() ? Value() : zeros[v]));
    for (int64_t e = 0; e < count; ++e)
      for (int64_t v = 0; v < span.vectors; ++v)
        for (int64_t h = 0; h < span.heads; ++h) {
          Value broadcast =
              k.splat(k.load(k.getBuilder().getF32Type(),
                             k.offset(query, h * headBytes + 4 * e)));
          Value &t = next[h * span.vectors + v];
          t = k.fma(broadcast, keys[v][e], t);
        }
    return next;
  };
  SmallVector<Value> u(span.heads * span.vectors, k.zero(k.f32x16()));
  int64_t units = elements / unitElements;
  if (units > 0)
    u = k.forLoop(
        firstUnit, k.add(firstUnit, k.index(units)), turnUnits, u,
        [&](Value unit, ValueRange carried) {
          if (span.fetched) // as many bytes of V as this reads of K
            prefetchRow(k, span.fetched, k.div(unit, k.index(turnUnits)),
                        turnUnits * unitBytes);
          SmallVector<Value> next(carried);
          for (int64_t i = 0; i < turnUnits; ++i)
            next = addUnit(k.add(unit, k.index(i)), unitElements, next);
          return next;
        });
  if (int64_t rest = elements % unitElements)
    u = addUnit(k.add(firstUnit, k.index(units)), rest, u);
  return u;
}

/// A group's scales of 16 keys or values, from position `slot` of the page on.
Value Attention::loadScales(KernelBuilder &k, Value scales, Value group,
                            int64_t slot) const {
  int64_t bytes = shape.format.scaleBytes();
  Value place =
      k.offset(k.element(scales, group, pagePositions * bytes), slot * bytes);
  if (!shape.format.isGrouped())
    return k.load(k.f32x16(), place);
  return k.f16ToF32(k.load(k.vectorType(k.getBuilder().getI16Type()), place));
}

/// t + u · s of one group.
SmallVector<Value> Attention::addGroup(KernelBuilder &k, const HeadPage &page,
                                       const KeySpan &span, Value group,
                                       int64_t elements, ValueRange t) const {
  SmallVector<Value> zeros, scales;
  for (int64_t v = 0; v < span.vectors; ++v) {
    int64_t key = (span.first + v) * vectorLanes;
    scales.push_back(loadScales(k, page.keyScales, group, key));
    if (!page.keyZeros)
      continue;
    Value place = k.element(k.offset(page.keyZeros, key), group, pagePositions);
    zeros.push_back(unpackLanes(k, place, 8));
  }
  Value unit =
      k.mul(group, k.index(shape.groupElements() / shape.unitElements()));
  SmallVector<Value> u = sumKeys(k, span, unit, elements, zeros);
  for (auto [i, sum] : llvm::enumerate(u))
    sum = k.fma(sum, scales[i % span.vectors], t[i]);
  return u;
}

/// t_j, entry head · vectors + vector.
SmallVector<Value> Attention::scores(KernelBuilder &k, const HeadPage &page,
                                     const KeySpan &span) const {
  if (!page.keyScales)
    return sumKeys(k, span, k.index(0), shape.headDim, {});
  int64_t size = shape.groupElements(), whole = shape.headDim / size;
  SmallVector<Value> t(span.heads * span.vectors, k.zero(k.f32x16()));
  auto add = [&](Value group, ValueRange carried) {
    return addGroup(k, page, span, group, size, carried);
  };
  if (whole == 1)
    t = add(k.index(0), t);
  else if (whole > 1)
    t = k.forLoop(k.index(0), k.index(whole), 1, t, add);
  if (int64_t rest = shape.headDim % size)
    t = addGroup(k, page, span, k.index(whole), rest, t);
  return t;
}

/// s_j of all 64 keys for the heads of a tile.
void Attention::emitScores(KernelBuilder &k, const HeadPage &page,
                           HeadTile tile) {
  int64_t vectors = tileVectors(k, tile.count, blockVectors);
  Value queries = k.element(q, tile.first, 4 * shape.headDim);
  for (int64_t first = 0; first < blockVectors; first += vectors) {
    int64_t count = std::min(vectors, blockVectors - first);
    Value keys =
        k.offset(page.keys, first * vectorLanes * shape.format.unitBytes());
    KeySpan span{queries, tile.count, first,
                 count,   keys,       first == 0 ? page.values : Value()};
    SmallVector<Value> t = scores(k, page, span);
    for (int64_t h = 0; h < tile.count; ++h) {
      Value weights = weightsOf(k, k.add(tile.first, k.index(h)), k.index(0));
      for (int64_t v = 0; v < count; ++v)
        k.store(k.mul(t[h * count + v], k.splat(k.f32(scale))),
                k.offset(weights, 4 * (first + v) * vectorLanes));
    }
  }
}

/// w_jg of all groups of the values.
void Attention::storeWeights(KernelBuilder &k, const HeadPage &page, Value head,
                             ArrayRef<Value> p) const {
  k.forLoop(k.index(0), k.index(scratchPlan.valueGroups), 1, [&](Value group) {
    Value weights = weightsOf(k, head, group);
    for (int64_t v = 0; v < blockVectors; ++v) {
      Value w = p[v];
      if (page.valueScales)
        w = k.mul(w, loadScales(k, page.valueScales, group, v * vectorLanes));
      k.store(w, k.offset(weights, 4 * v * vectorLanes));
    }
  });
}

/// Scores of one head become weights; m, l and corr move on. Keys from `limit`
/// on do not exist: whatever the cache holds there, p = 0.
void Attention::emitSoftmax(KernelBuilder &k, const HeadPage &page, Value head,
                            Value limit, Value isFirst) {
  Value weights = weightsOf(k, head, k.index(0));
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
  SmallVector<Value> p;
  for (int64_t v = 0; v < blockVectors; ++v) {
    p.push_back(k.select(exists[v], k.exp(k.sub(s[v], k.splat(next))),
                         k.zero(k.f32x16())));
    // Lanes start from +0, and 0 + p is p: p is never -0.
    total = v == 0 ? p[v] : k.add(total, p[v]);
  }
  storeWeights(k, page, head, p);
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
  int64_t rowBytes = shape.valueRowBytes();
  Value weights = weightsOf(k, tile.first, k.index(0));
  int64_t groupBytes = 4 * pagePositions;
  int64_t headBytes = scratchPlan.valueGroups * groupBytes;
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
    SmallVector<Value> o = k.forLoop(
        k.index(0), limit, 1, start, [&](Value j, ValueRange carried) {
          SmallVector<Value> next(carried);
          if (first == 0)
            prefetchRow(k, nextKeys, j, rowBytes);
          Value row = k.element(page.values, j, rowBytes);
          Value weight = k.element(weights, j, 4);
          int64_t known = -1;
          Value zero;
          for (int64_t v = 0; v < count; ++v) {
            int64_t group =
                scratchPlan.valueGroups == 1
                    ? 0
                    : (first + v) * vectorLanes / shape.groupElements();
            if (page.valueZeros && group != known)
              zero = k.splat(k.extend(
                  k.load(
                      k.getBuilder().getI8Type(),
                      k.offset(k.offset(page.valueZeros, group * pagePositions),
                               j)),
                  k.getBuilder().getI32Type(), /*isSigned=*/false));
            known = group;
            // The last vector of a head may reach into the next row (or the
            // slack): lanes that are never stored to y.
            Value value = loadValue(k, row, first + v, zero);
            for (int64_t h = 0; h < tile.count; ++h) {
              Value w = k.splat(k.load(
                  f32, k.offset(weight, h * headBytes + group * groupBytes)));
              Value &sum = next[h * count + v];
              sum = k.fma(w, value, sum);
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
