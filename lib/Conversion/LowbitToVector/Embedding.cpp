//===- Embedding.cpp - Rows of a table --------------------------*- C++ -*-===//
//
// Gathers a row from the tiles of its table (Spec.md, section 2): what is one
// lane of every vector there becomes consecutive columns here. A float table
// gives one element for each column, an integer table one 32-bit word for each
// 4 to 16.
//
//===----------------------------------------------------------------------===//

#include "GroupedWeights.h"
#include "RowLoops.h"
#include "lowbit/Numerics/FloatLayout.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace lowbit;
using namespace mlir;

//===----------------------------------------------------------------------===//
// Float tables
//===----------------------------------------------------------------------===//

static Value widen(KernelBuilder &k, Value vector, ElementType type) {
  switch (type) {
  case ElementType::F32:
    return vector;
  case ElementType::F16:
    return k.f16ToF32(vector);
  case ElementType::BF16:
    return k.bf16ToF32(vector);
  }
  llvm_unreachable("element type");
}

static ElementType elementTypeOf(Type type) {
  if (type.isF32())
    return ElementType::F32;
  return type.isF16() ? ElementType::F16 : ElementType::BF16;
}

/// `source` points at the row's element of column 0; columns are 16 elements
/// apart.
static void emitFloatRow(KernelBuilder &k, Value source, Value y,
                         int64_t columns, ElementType type) {
  OpBuilder &builder = k.getBuilder();
  bool wide = type == ElementType::F32;
  Type element = wide ? Type(builder.getF32Type()) : builder.getI16Type();
  int64_t step = tileRows * elementSize(type);
  forColumns(k, columns, 1, [&](Value i, int64_t lanes) {
    Value first = k.element(source, i, step);
    Value vector = k.zero(k.vectorType(element));
    for (int64_t lane = 0; lane < lanes; ++lane)
      vector = vector::InsertOp::create(
          builder, k.getLoc(), k.load(element, k.offset(first, lane * step)),
          vector, lane);
    storeLanes(k, widen(k, vector, type), k.element(y, i, 4), lanes);
  });
}

//===----------------------------------------------------------------------===//
// Integer tables
//===----------------------------------------------------------------------===//

namespace {

/// Decodes one row of a tile.
class IntegerRow {
public:
  IntegerRow(KernelBuilder &k, const GroupedWeights &weights)
      : k(k), weights(weights) {}

  /// Takes up row `lane` (i64, 0 … 15) of the tile at `newTile`. `newFactor` is
  /// F in every lane, or null.
  void begin(Value newTile, Value newLane, Value newFactor);
  /// Decodes the group at byte `place` of the tile to f32 at `y`.
  void emitGroup(Value place, const GroupPlace &group, Value y);

private:
  Value zeroOf(Value group, const GroupPlace &place);

  KernelBuilder &k;
  const GroupedWeights &weights;
  Value tile, lane, factor;
};

} // namespace

void IntegerRow::begin(Value newTile, Value newLane, Value newFactor) {
  tile = newTile;
  lane = newLane;
  factor = newFactor;
}

/// The zero point of the row's group, i32 in every lane.
Value IntegerRow::zeroOf(Value group, const GroupPlace &place) {
  int bits = weights.zeroBits;
  if (bits == 0)
    return k.splat(k.i32(weights.zero));
  // Bits lane·b … of a string: within two bytes, since b ≤ 8.
  Type i32 = k.getBuilder().getI32Type();
  Value bit = k.mul(lane, k.index(bits));
  Value bytes =
      k.offset(k.offset(group, place.zeros - place.codes), k.shru(bit, 3));
  Value pair = k.extend(k.load(k.getBuilder().getI16Type(), bytes), i32,
                        /*isSigned=*/false);
  Value shift = k.truncate(k.andi(bit, k.index(7)), i32);
  Value moved = arith::ShRUIOp::create(k.getBuilder(), k.getLoc(), pair, shift);
  return k.splat(k.andi(moved, k.i32((1 << bits) - 1)));
}

void IntegerRow::emitGroup(Value place, const GroupPlace &group, Value y) {
  Value codes = k.offset(tile, place);
  Value zero = zeroOf(codes, group);
  Value scale = k.splat(
      weights.scaleOf(k, k.offset(codes, group.scales - group.codes), lane));
  auto emitVector = [&](Value pair, int64_t first, int64_t lanes) {
    Value u = weights.shape->row(k, codes, lane, pair, first, lanes);
    if (weights.multiplier != 1)
      u = k.mul(u, k.splat(k.i32(weights.multiplier)));
    Value value =
        weights.floats ? weights.floatValues(k, u) : k.toF32(k.sub(u, zero));
    if (weights.unit != 1)
      value = k.mul(value, k.splat(k.f32(weights.unit)));
    value = k.mul(value, scale);
    if (factor)
      value = k.mul(value, factor);
    Value column = k.add(k.mul(pair, k.index(pairColumns)), k.index(first));
    storeLanes(k, value, k.element(y, column, 4), lanes);
  };
  int64_t pairs = group.columns / pairColumns;
  if (pairs > 0)
    k.forLoop(k.index(0), k.index(pairs), 1, [&](Value pair) {
      emitVector(pair, 0, vectorLanes);
      emitVector(pair, vectorLanes, vectorLanes);
    });
  for (int64_t i = pairs * pairColumns; i < group.columns; i += vectorLanes)
    emitVector(k.index(pairs), i - pairs * pairColumns,
               std::min(vectorLanes, group.columns - i));
}

/// `tile` and `lane` say where the row is; `table` is the whole buffer.
static void emitIntegerRow(KernelBuilder &k, const GroupedWeights &weights,
                           Value table, Value tile, Value lane, Value y) {
  const TileGeometry &geometry = weights.geometry;
  Value factor = weights.factor(k, table);
  IntegerRow row(k, weights);
  row.begin(tile, lane, factor ? k.splat(factor) : Value());
  GroupPlace last = geometry.group(geometry.groups - 1);
  if (geometry.groups > 1) {
    GroupPlace full = geometry.group(0);
    k.forLoop(k.index(0), k.index(geometry.groups - 1), 1, [&](Value group) {
      row.emitGroup(k.mul(group, k.index(geometry.groupBytes)), full,
                    k.element(y, group, 4 * geometry.groupColumns));
    });
  }
  row.emitGroup(k.index(last.codes), last, k.offset(y, 4 * last.firstColumn));
}

//===----------------------------------------------------------------------===//
// The family
//===----------------------------------------------------------------------===//

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  auto type = dyn_cast_or_null<RankedTensorType>(parameters.type("type"));
  if (parameters.failed())
    return failure();
  if (!type || type.getRank() != 2 || !type.hasStaticShape()) {
    parameters.report("type", "expected a static matrix");
    return failure();
  }
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  Attribute encoding = type.getEncoding();
  Type element = type.getElementType();
  bool isFloat =
      !encoding && (element.isF32() || element.isF16() || element.isBF16());
  FailureOr<GroupedWeights> weights = failure();
  std::optional<FloatLayout> layout;
  if (FormatInterface format = getFormat(type))
    weights = GroupedWeights::get(format, rows, columns);
  else if (isFloat)
    layout = floatLayout(elementTypeOf(element), rows, columns);
  if (failed(weights) && !layout) {
    parameters.report("type", "is of no format that can be gathered from, or "
                              "too large");
    return failure();
  }

  SmallVector<Value> pointers = loadArguments(k, arguments, 3);
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    Value id = loadIndex(k, k.element(pointers[0], row, 4));
    Value lane = k.andi(id, k.index(tileRows - 1));
    Value y = rowPointer(k, pointers[2], row, {0, columns});
    int64_t tileBytes =
        layout ? layout->tileBytes : weights->geometry.tileBytes;
    Value tile = k.element(pointers[1], k.shru(id, 4), tileBytes);
    if (!layout)
      emitIntegerRow(k, *weights, pointers[1], tile, lane, y);
    else
      emitFloatRow(k, k.element(tile, lane, layout->elementBytes), y, columns,
                   elementTypeOf(element));
  });
  return success();
}

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::embeddingFamily = {"embedding", emit, scratchBytes};
