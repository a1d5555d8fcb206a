//===- RotaryCache.cpp - Turn queries and keys, fill the cache --*- C++ -*-===//
//
// One row: every query head is turned in place; every key head is turned and
// written to its position's place in the cache, beside its value. The rotation
// of the pair (x[i], x[i + head_dim/2]) is Spec.md, section 3:
//
//   a' = fma(a, cos, -(b · sin)), b' = fma(b, cos, a · sin)
//
//===----------------------------------------------------------------------===//

#include "CachePages.h"
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

/// One kernel that is being emitted.
class RotaryCache {
public:
  explicit RotaryCache(KernelParameters &parameters)
      : shape(parameters),
        qView(parameters.view("q", shape.heads * shape.headDim)),
        kView(parameters.view("k", shape.kvHeads * shape.headDim)),
        vView(parameters.view("v", shape.kvHeads * shape.headDim)) {}

  void emit(KernelBuilder &k, const KernelArguments &arguments);

private:
  SmallVector<Piece> loadHead(KernelBuilder &k, Value head, int64_t part);
  SmallVector<Piece> turn(KernelBuilder &k, Value head);
  Value emitScale(KernelBuilder &k, ArrayRef<Piece> pieces, Value place);
  Value convert(KernelBuilder &k, Value vector, Value inverse);
  void emitKey(KernelBuilder &k, Value head, const HeadPage &page);
  void emitValue(KernelBuilder &k, Value head, const HeadPage &page);

  CachePages shape;
  ColumnView qView, kView, vView;
  /// Of the current row: its cosines and sines, its place in the page (i64).
  Value cosRow, sinRow, slot;
};

} // namespace

/// A head's elements in pieces that do not cross a multiple of `part`.
SmallVector<Piece> RotaryCache::loadHead(KernelBuilder &k, Value head,
                                         int64_t part) {
  SmallVector<Piece> pieces;
  for (int64_t begin = 0; begin < shape.headDim; begin += part)
    for (int64_t i = 0; i < part; i += vectorLanes) {
      int64_t lanes = std::min(vectorLanes, part - i);
      Value vector = loadLanes(k, k.getBuilder().getF32Type(),
                               k.offset(head, 4 * (begin + i)), lanes);
      pieces.push_back({begin + i, lanes, vector});
    }
  return pieces;
}

/// The head at `head`, turned.
SmallVector<Piece> RotaryCache::turn(KernelBuilder &k, Value head) {
  int64_t half = shape.headDim / 2;
  SmallVector<Piece> pieces = loadHead(k, head, half);
  size_t count = pieces.size() / 2;
  Type f32 = k.getBuilder().getF32Type();
  for (size_t i = 0; i < count; ++i) {
    Piece &low = pieces[i], &high = pieces[i + count];
    Value cos = loadLanes(k, f32, k.offset(cosRow, 4 * low.first), low.lanes);
    Value sin = loadLanes(k, f32, k.offset(sinRow, 4 * low.first), low.lanes);
    Value a = low.vector, b = high.vector;
    low.vector = k.fma(a, cos, k.neg(k.mul(b, sin)));
    high.vector = k.fma(b, cos, k.mul(a, sin));
  }
  return pieces;
}

/// Activation int8 over one head: stores the scale, returns 127 / amax (0 where
/// that is of no use) in every lane.
Value RotaryCache::emitScale(KernelBuilder &k, ArrayRef<Piece> pieces,
                             Value place) {
  using Predicate = arith::CmpFPredicate;
  Value largest = k.zero(k.i32x16());
  for (const Piece &piece : pieces)
    largest =
        maxInteger(k, largest, k.bitcast(k.abs(piece.vector), k.i32x16()));
  Value amax =
      k.bitcast(maxIntegerLanes(k, largest), k.getBuilder().getF32Type());
  Value infinity = k.f32(std::numeric_limits<float>::infinity());
  Value zero = k.f32(0.0f), limit = k.f32(127.0f);
  Value inverse = k.div(limit, amax);
  Value isFinite = k.compare(Predicate::OLT, amax, infinity);
  Value isUsable = k.compare(Predicate::OLT, inverse, infinity);
  Value scale = k.select(isUsable, k.div(amax, limit), zero);
  Value nan = k.f32(std::numeric_limits<float>::quiet_NaN());
  k.store(k.select(isFinite, scale, nan), k.element(place, slot, 4));
  return k.splat(k.select(k.andi(isFinite, isUsable), inverse, zero));
}

/// f32 lanes as the cache stores them.
Value RotaryCache::convert(KernelBuilder &k, Value vector, Value inverse) {
  if (shape.isFloat32)
    return vector;
  if (!shape.isInteger)
    return k.f32ToF16(vector);
  Value limit = k.splat(k.f32(127.0f));
  Value clamped = k.maxf(k.minf(k.rint(k.mul(vector, inverse)), limit),
                         k.splat(k.f32(-127.0f)));
  return k.truncate(k.toI32(clamped), k.getBuilder().getI8Type());
}

/// Keys of one position are a column of [head_dim][64].
void RotaryCache::emitKey(KernelBuilder &k, Value head, const HeadPage &page) {
  SmallVector<Piece> pieces = turn(k, head);
  Value inverse;
  if (shape.isInteger)
    inverse = emitScale(k, pieces, page.keyScales);
  Value column = k.element(page.keys, slot, shape.elementBytes());
  int64_t rowBytes = pagePositions * shape.elementBytes();
  for (const Piece &piece : pieces) {
    Value stored = convert(k, piece.vector, inverse);
    for (int64_t i = 0; i < piece.lanes; ++i)
      k.store(extractLane(k, stored, i),
              k.offset(column, (piece.first + i) * rowBytes));
  }
}

void RotaryCache::emitValue(KernelBuilder &k, Value head,
                            const HeadPage &page) {
  SmallVector<Piece> pieces = loadHead(k, head, shape.headDim);
  Value inverse;
  if (shape.isInteger)
    inverse = emitScale(k, pieces, page.valueScales);
  Value row =
      k.element(page.values, slot, shape.headDim * shape.elementBytes());
  for (const Piece &piece : pieces)
    storeLanes(k, convert(k, piece.vector, inverse),
               k.offset(row, piece.first * shape.elementBytes()), piece.lanes);
}

void RotaryCache::emit(KernelBuilder &k, const KernelArguments &arguments) {
  SmallVector<Value> pointers = loadArguments(k, arguments, 8);
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
    k.forLoop(k.index(0), k.index(shape.heads), 1, [&](Value head) {
      Value place = k.element(q, head, headBytes);
      for (const Piece &piece : turn(k, place))
        storeLanes(k, piece.vector, k.offset(place, 4 * piece.first),
                   piece.lanes);
    });
    Value page = shape.page(k, pointers[7], pointers[6], sequence, block);
    Value keys = rowPointer(k, pointers[1], row, kView);
    Value values = rowPointer(k, pointers[2], row, vView);
    k.forLoop(k.index(0), k.index(shape.kvHeads), 1, [&](Value head) {
      HeadPage headPage = shape.head(k, page, head);
      emitKey(k, k.element(keys, head, headBytes), headPage);
      emitValue(k, k.element(values, head, headBytes), headPage);
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

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::rotaryCacheFamily = {"rotary_cache", emit,
                                                scratchBytes};
