//===- EmbeddingTiles.cpp - Rows of a table ---------------------*- C++ -*-===//
//
// Gathers one row from the tiles of its table (Spec.md, section 2): one block
// for each row, each column by one thread, which finds its digits in the bytes
// of the block (DigitShape.h).
//
//===----------------------------------------------------------------------===//

#include "../LowbitToVector/GroupedWeights.h"
#include "LinearBlock.h"
#include "RowTile.h"
#include "TileFamilies.h"
#include "TileLayouts.h"
#include "lowbit/Numerics/FloatLayout.h"

using namespace mlir;
using namespace lowbit;

/// f32 of a stored element.
static Value widen(TileBuilder &t, Type element, Value pointer) {
  if (element.isF32())
    return t.loadConstant(element, pointer);
  Value bits = t.loadConstant(t.getBuilder().getI16Type(), pointer);
  return element.isF16() ? t.f16ToF32(bits) : t.bf16ToF32(bits);
}

namespace {

/// One row of a tile of integers.
class IntegerRowTile {
public:
  IntegerRowTile(TileBuilder &t, const GroupedWeights &weights)
      : t(t), weights(weights), geometry(weights.geometry),
        shape(*getDigits(weights)) {}

  /// Takes up row `lane` (0 … 15) of the tile at `newTile`; `newFactor` is F
  /// or null.
  void begin(Value newTile, Value newLane, Value newFactor) {
    tile = newTile;
    lane = newLane;
    factor = newFactor;
  }
  /// (float(c) − z) · s (· F) of a column.
  Value value(Value column);

private:
  Value byte(Value pointer) {
    return t.extend(t.loadConstant(t.getBuilder().getI8Type(), pointer),
                    t.getBuilder().getI32Type(), /*isSigned=*/false);
  }
  Value code(Value codes, Value column);
  Value zero(Value zeros);

  TileBuilder &t;
  const GroupedWeights &weights;
  const TileGeometry &geometry;
  const DigitShape &shape;
  Value tile, lane, factor;
};

} // namespace

/// The code of a column of the group whose codes start at `codes`.
Value IntegerRowTile::code(Value codes, Value column) {
  Value block = t.div(column, t.index(shape.columns()));
  Value within = t.rem(column, t.index(shape.columns()));
  Value start =
      t.offset(t.element(codes, block, geometry.blockBytes),
               t.add(t.mul(lane, t.index(4)), t.andi(column, t.index(3))));
  Value code = t.i32(0);
  int64_t vector = 0;
  for (const DigitPlane &plane : shape.getPlanes()) {
    int64_t perVector = 32 / plane.bits;
    Value place = t.div(within, t.index(perVector));
    Value digit = t.div(t.rem(within, t.index(perVector)), t.index(4));
    Value bits = byte(t.offset(t.element(start, place, 64), 64 * vector));
    Value shift = t.truncate(t.mul(digit, t.index(plane.bits)),
                             t.getBuilder().getI32Type());
    bits = arith::ShRUIOp::create(t.getBuilder(), t.getLoc(), bits, shift);
    bits = t.andi(bits, t.i32((1 << plane.bits) - 1));
    code = t.ori(code, t.shl(bits, plane.weightLog2));
    vector += plane.vectors;
  }
  return code;
}

/// z of the row's group: zero / multiplier, exact in f32.
Value IntegerRowTile::zero(Value zeros) {
  if (!weights.hasStoredZeros())
    return t.f32(float(weights.zero) / float(weights.multiplier));
  // Bits lane·b … of a string: within two bytes, since b ≤ 8.
  Value bit = t.mul(lane, t.index(weights.zeroBits));
  Value bytes = t.offset(zeros, t.shru(bit, 3));
  Value pair = t.ori(byte(bytes), t.shl(byte(t.offset(bytes, 1)), 8));
  Value shift =
      t.truncate(t.andi(bit, t.index(7)), t.getBuilder().getI32Type());
  Value moved = arith::ShRUIOp::create(t.getBuilder(), t.getLoc(), pair, shift);
  return t.toF32(t.andi(moved, t.i32((1 << weights.zeroBits) - 1)));
}

Value IntegerRowTile::value(Value column) {
  Value group = t.div(column, t.index(geometry.groupColumns));
  Value within = t.rem(column, t.index(geometry.groupColumns));
  GroupPlace first = geometry.group(0);
  GroupPlace last = geometry.group(geometry.groups - 1);
  // A ragged group's scales follow fewer codes.
  Value isLast =
      t.compare(arith::CmpIPredicate::eq, group, t.index(geometry.groups - 1));
  auto behind = [&](int64_t ofFirst, int64_t ofLast) {
    return t.select(isLast, t.index(ofLast), t.index(ofFirst));
  };
  Value codes = t.element(tile, group, geometry.groupBytes);
  Value scales = t.offset(
      codes, behind(first.scales - first.codes, last.scales - last.codes));
  Value zeros = t.offset(
      codes, behind(first.zeros - first.codes, last.zeros - last.codes));
  Value step = t.sub(t.toF32(code(codes, within)), zero(zeros));
  // (multiplier · u − zero) · unit, exact.
  if (float unit = weights.unit * float(weights.multiplier); unit != 1.0f)
    step = t.mul(step, t.f32(unit));
  Value result = t.mul(step, loadScale(t, weights, scales, lane));
  return factor ? t.mul(result, factor) : result;
}

/// An integer table that this family serves, or the layout of a float one;
/// neither for a type that has no kernel.
static void describe(RankedTensorType type,
                     std::optional<GroupedWeights> &weights,
                     std::optional<FloatLayout> &layout) {
  Type element = type.getElementType();
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  if (FormatInterface format = getFormat(type)) {
    FailureOr<GroupedWeights> found =
        GroupedWeights::get(format, rows, columns);
    if (succeeded(found) && getDigits(*found))
      weights = *found;
  } else if (element.isF32()) {
    layout = floatLayout(ElementType::F32, rows, columns);
  } else if (element.isF16() || element.isBF16()) {
    layout = floatLayout(ElementType::F16, rows, columns);
  }
}

static LogicalResult emit(KernelOp kernel, TileBuilder &t) {
  KernelParameters parameters(kernel);
  auto type = dyn_cast_or_null<RankedTensorType>(parameters.type("type"));
  if (parameters.failed())
    return failure();
  if (!type || type.getRank() != 2 || !type.hasStaticShape()) {
    parameters.report("type", "expected a static matrix");
    return failure();
  }
  std::optional<GroupedWeights> weights;
  std::optional<FloatLayout> layout;
  describe(type, weights, layout);
  if (!weights && !layout) {
    parameters.report("type", "is of no format that a GPU target gathers from, "
                              "or too large");
    return failure();
  }
  int64_t columns = type.getDimSize(1);
  t.begin(3, chooseRowThreads(t.gpu(), columns));
  Value id = t.loadIndex(t.argument(0), t.item());
  Value lane = t.andi(id, t.index(tileRows - 1));
  Value y = rowAddress(t, t.argument(2), t.item(), {0, columns});
  Value table = t.argument(1);
  int64_t tileBytes = weights ? weights->geometry.tileBytes : layout->tileBytes;
  Value tile = t.element(table, t.shru(id, 4), tileBytes);
  if (weights) {
    Value factor;
    if (weights->hasFactor)
      factor = t.loadConstant(t.getBuilder().getF32Type(),
                              t.offset(table, weights->geometry.tiles *
                                                  weights->geometry.tileBytes));
    IntegerRowTile row(t, *weights);
    row.begin(tile, lane, factor);
    t.forThreads(columns, [&](Value i) { t.storeF32(row.value(i), y, i); });
    return success();
  }
  t.forThreads(columns, [&](Value i) {
    Value place = t.add(t.mul(i, t.index(tileRows)), lane);
    t.storeF32(widen(t, type.getElementType(),
                     t.element(tile, place, layout->elementBytes)),
               y, i);
  });
  return success();
}

const TileFamily lowbit::embeddingTiles = {"embedding", emit};
