//===- RotaryCache.cpp - Turn queries and keys, fill the cache --*- C++ -*-===//
//
// One row: every query head is turned in place; every key head is turned in
// scratch and written to its position's place in the cache, beside its value.
// The rotation of the pair (x[i], x[i + head_dim/2]) is Spec.md, section 3:
//
//   a' = fma(a, cos, -(b · sin)), b' = fma(b, cos, a · sin)
//
// Rows of a batch belong to different threads, so no byte of the cache holds
// anything of two positions, and only whole bytes of one are written.
//
//===----------------------------------------------------------------------===//

#include "CachePages.h"
#include "RowTransforms.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace lowbit;
using namespace mlir;

namespace {

/// 16 elements of a head, or fewer at the end of a half.
struct Piece {
  /// First element.
  int64_t first;
  int64_t lanes;
  /// f32, lanes beyond are 0.
  Value vector;
};

/// Where a head's elements go.
struct HeadTarget {
  /// Unit 0 of the position.
  Value codes;
  /// Bytes from one unit to the next.
  int64_t unitStride;
  /// [group][64], at the position's slot; null where the cache has none.
  Value scales, zeros;
};

/// How the elements of a group become codes: c = clamp(rint(x · inverse) +
/// zero).
struct GroupGrid {
  Value inverse, zero;
};

/// One kernel that is being emitted.
class RotaryCache {
public:
  explicit RotaryCache(KernelParameters &parameters)
      : shape(parameters),
        qView(parameters.view("q", shape.heads * shape.headDim)),
        kView(parameters.view("k", shape.kvHeads * shape.headDim)),
        vView(parameters.view("v", shape.kvHeads * shape.headDim)),
        qTransforms(parameters, shape.headDim, "q_"),
        kTransforms(parameters, shape.headDim, "k_") {
    if (!parameters.failed() && (qTransforms.resultColumns() != shape.headDim ||
                                 kTransforms.resultColumns() != shape.headDim))
      parameters.report("q_transforms", "and k_transforms must keep head_dim");
  }

  void emit(KernelBuilder &k, const KernelArguments &arguments);
  /// A head, twice where it is transformed.
  int64_t scratchBytes() const {
    return 8 * std::max(qTransforms.rowElements(), kTransforms.rowElements());
  }

private:
  SmallVector<Piece> loadPieces(KernelBuilder &k, Value head, int64_t begin,
                                int64_t end);
  void turn(KernelBuilder &k, Value head, Value target);
  void emitQuery(KernelBuilder &k, Value head);
  Value largestMagnitude(KernelBuilder &k, ArrayRef<Piece> pieces);
  GroupGrid emitByteGrid(KernelBuilder &k, ArrayRef<Piece> pieces, Value scale);
  GroupGrid emitGroupGrid(KernelBuilder &k, ArrayRef<Piece> pieces, Value scale,
                          Value zero);
  Value encode(KernelBuilder &k, Value vector, const GroupGrid &grid);
  void storeCodes(KernelBuilder &k, const Piece &piece, Value codes,
                  const HeadTarget &target);
  void storePiece(KernelBuilder &k, const Piece &piece, Value stored,
                  const HeadTarget &target);
  void storeHead(KernelBuilder &k, Value head, const HeadTarget &target);
  void emitPosition(KernelBuilder &k, Value key, Value value,
                    const HeadPage &page);

  CachePages shape;
  ColumnView qView, kView, vView;
  RowTransforms qTransforms, kTransforms;
  Value scratch;
  SmallVector<Value> qMatrices, kMatrices;
  /// Of the current row: its cosines and sines, its place in the page (i64).
  Value cosRow, sinRow, slot;
};

} // namespace

/// Elements begin … end − 1 of a head.
SmallVector<Piece> RotaryCache::loadPieces(KernelBuilder &k, Value head,
                                           int64_t begin, int64_t end) {
  SmallVector<Piece> pieces;
  for (int64_t i = begin; i < end; i += vectorLanes) {
    int64_t lanes = std::min(vectorLanes, end - i);
    pieces.push_back({i, lanes,
                      loadLanes(k, k.getBuilder().getF32Type(),
                                k.offset(head, 4 * i), lanes)});
  }
  return pieces;
}

/// The head at `head`, turned, to `target` (which may be `head`).
void RotaryCache::turn(KernelBuilder &k, Value head, Value target) {
  int64_t half = shape.headDim / 2;
  SmallVector<Piece> low = loadPieces(k, head, 0, half);
  SmallVector<Piece> high = loadPieces(k, head, half, shape.headDim);
  Type f32 = k.getBuilder().getF32Type();
  SmallVector<Piece> turned;
  for (auto [a, b] : llvm::zip_equal(low, high)) {
    Value cos = loadLanes(k, f32, k.offset(cosRow, 4 * a.first), a.lanes);
    Value sin = loadLanes(k, f32, k.offset(sinRow, 4 * a.first), a.lanes);
    turned.push_back(
        {a.first, a.lanes, k.fma(a.vector, cos, k.neg(k.mul(b.vector, sin)))});
    turned.push_back(
        {b.first, b.lanes, k.fma(b.vector, cos, k.mul(a.vector, sin))});
  }
  for (const Piece &piece : turned)
    storeLanes(k, piece.vector, k.offset(target, 4 * piece.first), piece.lanes);
}

/// A query head, turned and transformed in place.
void RotaryCache::emitQuery(KernelBuilder &k, Value head) {
  if (qTransforms.empty())
    return turn(k, head, head);
  turn(k, head, scratch);
  Value spare = k.offset(scratch, qTransforms.rowElements() * 4);
  Value result = qTransforms.apply(k, scratch, spare, qMatrices);
  for (const Piece &piece : loadPieces(k, result, 0, shape.headDim))
    storeLanes(k, piece.vector, k.offset(head, 4 * piece.first), piece.lanes);
}

//===----------------------------------------------------------------------===//
// Grids
//===----------------------------------------------------------------------===//

/// max |x|, f32. As integers magnitudes are in the order of the numbers, with
/// infinity and NaN above all of them, so none is lost.
Value RotaryCache::largestMagnitude(KernelBuilder &k, ArrayRef<Piece> pieces) {
  Value largest = k.zero(k.i32x16());
  for (const Piece &piece : pieces)
    largest =
        maxInteger(k, largest, k.bitcast(k.abs(piece.vector), k.i32x16()));
  return k.bitcast(maxIntegerLanes(k, largest), k.getBuilder().getF32Type());
}

/// Activation int8 over one head; the inverse is 0 where it is of no use.
GroupGrid RotaryCache::emitByteGrid(KernelBuilder &k, ArrayRef<Piece> pieces,
                                    Value scalePlace) {
  using Predicate = arith::CmpFPredicate;
  Value amax = largestMagnitude(k, pieces);
  Value infinity = k.f32(std::numeric_limits<float>::infinity());
  Value zero = k.f32(0.0f), limit = k.f32(127.0f);
  Value inverse = k.div(limit, amax);
  Value isFinite = k.compare(Predicate::OLT, amax, infinity);
  Value isUsable = k.compare(Predicate::OLT, inverse, infinity);
  Value scale = k.select(isUsable, k.div(amax, limit), zero);
  Value nan = k.f32(std::numeric_limits<float>::quiet_NaN());
  k.store(k.select(isFinite, scale, nan), scalePlace);
  return {k.splat(k.select(k.andi(isFinite, isUsable), inverse, zero)),
          Value()};
}

/// A grid of n = 2^b − 1 steps from the smallest to the largest element and 0.
GroupGrid RotaryCache::emitGroupGrid(KernelBuilder &k, ArrayRef<Piece> pieces,
                                     Value scalePlace, Value zeroPlace) {
  using Predicate = arith::CmpFPredicate;
  Value none = k.zero(k.f32x16());
  Value largest = none, smallest = none; // the latter negated
  for (const Piece &piece : pieces) {
    largest = k.maxf(piece.vector, largest);
    smallest = k.maxf(k.neg(piece.vector), smallest);
  }
  Value high = k.maxLanes(largest), low = k.neg(k.maxLanes(smallest));
  Value infinity = k.f32(std::numeric_limits<float>::infinity());
  Value nan = k.f32(std::numeric_limits<float>::quiet_NaN());
  Value isFinite =
      k.compare(Predicate::OLT, largestMagnitude(k, pieces), infinity);
  Value steps = k.f32(float((1 << shape.format.bits()) - 1));
  Value exact = k.div(k.sub(high, low), steps);
  Value scale = k.f32ToF16(k.splat(k.select(isFinite, exact, nan)));
  k.store(extractLane(k, scale, 0), scalePlace);
  Value inverse = k.div(k.splat(k.f32(1.0f)), k.f16ToF32(scale));
  inverse = k.select(k.compare(Predicate::OLT, inverse, k.splat(infinity)),
                     inverse, none);
  Value zero = k.rint(k.mul(k.splat(k.neg(low)), inverse));
  zero = k.maxf(k.minf(zero, k.splat(steps)), none);
  k.store(
      k.truncate(extractLane(k, k.toI32(zero), 0), k.getBuilder().getI8Type()),
      zeroPlace);
  return {inverse, zero};
}

/// f32 lanes as the cache stores them; codes of less than a byte as i32.
Value RotaryCache::encode(KernelBuilder &k, Value vector,
                          const GroupGrid &grid) {
  if (!shape.format.isInteger())
    return shape.format.bits() == 32 ? vector : k.f32ToF16(vector);
  Value rounded = k.rint(k.mul(vector, grid.inverse));
  if (grid.zero) {
    Value steps = k.splat(k.f32(float((1 << shape.format.bits()) - 1)));
    rounded = k.add(rounded, grid.zero);
    return k.toI32(k.maxf(k.minf(rounded, steps), k.zero(k.f32x16())));
  }
  Value limit = k.splat(k.f32(127.0f));
  Value clamped = k.maxf(k.minf(rounded, limit), k.splat(k.f32(-127.0f)));
  return k.truncate(k.toI32(clamped), k.getBuilder().getI8Type());
}

//===----------------------------------------------------------------------===//
// Stores
//===----------------------------------------------------------------------===//

/// Codes of less than a byte: whole bytes, as words where they lie together.
void RotaryCache::storeCodes(KernelBuilder &k, const Piece &piece, Value codes,
                             const HeadTarget &target) {
  int64_t bits = shape.format.bits();
  SmallVector<Value> words =
      packLanes(k, maskLanes(k, codes, piece.lanes), bits);
  Value place =
      k.offset(target.codes, piece.first * bits / 8 * target.unitStride);
  if (target.unitStride == 1 && piece.lanes == vectorLanes) {
    for (auto [i, word] : llvm::enumerate(words))
      k.store(word, k.offset(place, 4 * int64_t(i)));
    return;
  }
  for (int64_t i = 0; i < (piece.lanes * bits + 7) / 8; ++i)
    k.store(k.truncate(k.shru(words[i / 4], 8 * (i % 4)),
                       k.getBuilder().getI8Type()),
            k.offset(place, i * target.unitStride));
}

void RotaryCache::storePiece(KernelBuilder &k, const Piece &piece, Value stored,
                             const HeadTarget &target) {
  if (shape.format.isGrouped())
    return storeCodes(k, piece, stored, target);
  Value place = k.offset(target.codes, piece.first * target.unitStride);
  if (target.unitStride == shape.format.unitBytes())
    return storeLanes(k, stored, place, piece.lanes);
  for (int64_t i = 0; i < piece.lanes; ++i)
    k.store(extractLane(k, stored, i), k.offset(place, i * target.unitStride));
}

/// The head of f32 at `head`, group by group.
void RotaryCache::storeHead(KernelBuilder &k, Value head,
                            const HeadTarget &target) {
  int64_t size = shape.groupElements();
  for (int64_t first = 0; first < shape.headDim; first += size) {
    SmallVector<Piece> pieces =
        loadPieces(k, head, first, std::min(first + size, shape.headDim));
    int64_t group = first / size * pagePositions;
    GroupGrid grid;
    if (target.scales) {
      Value scale = k.offset(target.scales, group * shape.format.scaleBytes());
      grid = target.zeros ? emitGroupGrid(k, pieces, scale,
                                          k.offset(target.zeros, group))
                          : emitByteGrid(k, pieces, scale);
    }
    for (const Piece &piece : pieces)
      storePiece(k, piece, encode(k, piece.vector, grid), target);
  }
}

/// A position of one KV head: the turned key, a column of [R][64], and the
/// value, a row of [64][R].
void RotaryCache::emitPosition(KernelBuilder &k, Value key, Value value,
                               const HeadPage &page) {
  const CacheFormat &format = shape.format;
  auto target = [&](Value codes, Value scales, Value zeros, bool isKey) {
    int64_t bytes = isKey ? format.unitBytes() : shape.valueRowBytes();
    HeadTarget result;
    result.codes = k.element(codes, slot, bytes);
    result.unitStride = isKey ? shape.keyUnitBytes() : format.unitBytes();
    if (scales)
      result.scales = k.element(scales, slot, format.scaleBytes());
    if (zeros)
      result.zeros = k.offset(zeros, slot);
    return result;
  };
  turn(k, key, scratch);
  Value spare = k.offset(scratch, kTransforms.rowElements() * 4);
  Value turned = kTransforms.apply(k, scratch, spare, kMatrices);
  storeHead(k, turned, target(page.keys, page.keyScales, page.keyZeros, true));
  storeHead(k, value,
            target(page.values, page.valueScales, page.valueZeros, false));
}

void RotaryCache::emit(KernelBuilder &k, const KernelArguments &arguments) {
  int64_t qCount = qTransforms.argumentCount();
  int64_t kCount = kTransforms.argumentCount();
  SmallVector<Value> pointers =
      loadArguments(k, arguments, 8 + qCount + kCount);
  qMatrices.assign(pointers.begin() + 8, pointers.begin() + 8 + qCount);
  kMatrices.assign(pointers.begin() + 8 + qCount, pointers.end());
  scratch = arguments.scratch;
  qTransforms.prepare(k);
  kTransforms.prepare(k);
  int64_t headBytes = 4 * shape.headDim;
  ColumnView angles{0, shape.headDim / 2};
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    Value pair = k.element(pointers[3], row, 8);
    Value sequence = loadIndex(k, pair);
    Value position = loadIndex(k, k.offset(pair, 4));
    slot = k.andi(position, k.index(pagePositions - 1));
    Value block = k.shru(position, 6);
    cosRow = rowPointer(k, pointers[4], row, angles);
    sinRow = rowPointer(k, pointers[5], row, angles);

    Value q = rowPointer(k, pointers[0], row, qView);
    k.forLoop(k.index(0), k.index(shape.heads), 1,
              [&](Value head) { emitQuery(k, k.element(q, head, headBytes)); });
    Value page = shape.page(k, pointers[7], pointers[6], sequence, block);
    Value keys = rowPointer(k, pointers[1], row, kView);
    Value values = rowPointer(k, pointers[2], row, vView);
    k.forLoop(k.index(0), k.index(shape.kvHeads), 1, [&](Value head) {
      emitPosition(k, k.element(keys, head, headBytes),
                   k.element(values, head, headBytes),
                   shape.head(k, page, head));
    });
  });
}

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  RotaryCache rotary(parameters);
  if (parameters.failed())
    return failure();
  rotary.emit(k, arguments);
  return success();
}

static int64_t scratchBytes(KernelOp kernel) {
  KernelParameters parameters(kernel);
  return RotaryCache(parameters).scratchBytes();
}

const KernelFamily lowbit::rotaryCacheFamily = {"rotary_cache", emit,
                                                scratchBytes};
