//===- Embedding.cpp - Rows of a table --------------------------*- C++ -*-===//
//
// Gathers a row from the tiles of its table (Spec.md, section 2): what is one
// lane of every vector there becomes consecutive columns here. A float table
// gives one element for each column, an integer table one 32-bit word for each
// 4 to 16.
//
//===----------------------------------------------------------------------===//

#include "RowLoops.h"
#include "lowbit/Numerics/FloatLayout.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

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
  IntegerRow(KernelBuilder &k, const IntegerFormat &format)
      : k(k), format(format) {}

  /// Takes up row `lane` (i64, 0 … 15) of the tile at `newTile`. `newFactor` is
  /// F in every lane, or null.
  void begin(Value newTile, Value newLane, Value newFactor);
  /// Decodes the group at byte `place` of the tile to f32 at `y`.
  void emitGroup(Value place, const GroupPlace &group, Value y);

private:
  Value word(Value codes, Value vectorIndex, int64_t next);
  Value shifted(Value words, llvm::function_ref<int32_t(int64_t)> shift,
                int32_t mask);
  Value spread(ArrayRef<Value> words);
  Value codesOf(Value codes, Value column, bool odd, int64_t lanes);
  Value zeroOf(Value group, const GroupPlace &place);
  Value scaleOf(Value group, const GroupPlace &place);

  KernelBuilder &k;
  const IntegerFormat &format;
  Value tile, lane, factor;
};

} // namespace

void IntegerRow::begin(Value newTile, Value newLane, Value newFactor) {
  tile = newTile;
  lane = newLane;
  factor = newFactor;
}

/// The row's 4 bytes of vector `vectorIndex + next` of the codes.
Value IntegerRow::word(Value codes, Value vectorIndex, int64_t next) {
  Value vector = k.element(codes, vectorIndex, 64);
  return k.load(k.getBuilder().getI32Type(),
                k.offset(k.element(vector, lane, 4), next * 64));
}

/// Lane i becomes (lane i >> shift(i)) & mask.
Value IntegerRow::shifted(Value words,
                          llvm::function_ref<int32_t(int64_t)> shift,
                          int32_t mask) {
  SmallVector<int32_t> shifts;
  for (int64_t i = 0; i < vectorLanes; ++i)
    shifts.push_back(shift(i));
  Value moved = arith::ShRUIOp::create(k.getBuilder(), k.getLoc(), words,
                                       k.constant(ArrayRef<int32_t>(shifts)));
  return k.andi(moved, k.splat(k.i32(mask)));
}

/// 16 lanes of which each word takes an equal share.
Value IntegerRow::spread(ArrayRef<Value> words) {
  OpBuilder &builder = k.getBuilder();
  if (words.size() == 1)
    return k.splat(words[0]);
  Value vector = k.zero(k.i32x16());
  int64_t share = vectorLanes / words.size();
  for (int64_t i = 0; i < vectorLanes; ++i)
    vector = vector::InsertOp::create(builder, k.getLoc(), words[i / share],
                                      vector, i);
  return vector;
}

/// Codes of columns `column` … `column` + 15 of a group (`column` a multiple of
/// 16; `odd`: of 16 but not of 32), of which `lanes` exist. Columns 4j + b of a
/// word lie in byte b, at digit j.
Value IntegerRow::codesOf(Value codes, Value column, bool odd, int64_t lanes) {
  switch (format.bits) {
  case 2: {
    Value words = k.splat(word(codes, k.shru(column, 4), 0));
    return shifted(
        words, [](int64_t i) { return 8 * (i % 4) + 2 * (i / 4); }, 3);
  }
  case 3: {
    // Three vectors for 32 columns: upper bits twice, then the low bits.
    Value block = k.mul(k.shru(column, 5), k.index(3));
    Value upper = k.splat(word(codes, block, odd ? 1 : 0));
    Value lower = k.splat(word(codes, block, 2));
    upper =
        shifted(upper, [](int64_t i) { return 8 * (i % 4) + 2 * (i / 4); }, 3);
    int64_t first = odd ? 4 : 0;
    lower = shifted(
        lower, [&](int64_t i) { return 8 * (i % 4) + first + i / 4; }, 1);
    return k.ori(k.shl(upper, 1), lower);
  }
  default: {
    // 8 columns (4 bits) or 4 (8 bits) to a word; none is read that the group
    // does not have.
    int64_t perWord = 32 / format.bits;
    SmallVector<Value> words;
    for (int64_t i = 0; i < vectorLanes / perWord; ++i)
      words.push_back(
          i * perWord < lanes
              ? word(codes, k.shru(column, llvm::Log2_64(perWord)), i)
              : k.i32(0));
    int64_t bits = format.bits;
    return shifted(
        spread(words),
        [=](int64_t i) {
          return int32_t(8 * (i % 4) + bits * (i % perWord / 4));
        },
        (1 << bits) - 1);
  }
  }
}

/// z of the row's group, f32 in every lane.
Value IntegerRow::zeroOf(Value group, const GroupPlace &place) {
  float middle = float(1 << (format.bits - 1));
  if (format.offset == Offset::Integer)
    return k.splat(k.f32(middle));
  if (format.offset == Offset::Half)
    return k.splat(k.f32(middle - 0.5f));
  // Bits lane·b … of a string: within two bytes, since b ≤ 8.
  Type i32 = k.getBuilder().getI32Type();
  Value bit = k.mul(lane, k.index(format.bits));
  Value bytes =
      k.offset(k.offset(group, place.zeros - place.codes), k.shru(bit, 3));
  Value pair = k.extend(k.load(k.getBuilder().getI16Type(), bytes), i32,
                        /*isSigned=*/false);
  Value shift = k.truncate(k.andi(bit, k.index(7)), i32);
  Value moved = arith::ShRUIOp::create(k.getBuilder(), k.getLoc(), pair, shift);
  return k.splat(k.toF32(k.andi(moved, k.i32(format.codes() - 1))));
}

Value IntegerRow::scaleOf(Value group, const GroupPlace &place) {
  OpBuilder &builder = k.getBuilder();
  Value scales = k.offset(group, place.scales - place.codes);
  if (format.scale == ScaleType::F16)
    return k.splat(
        k.f16ToF32(k.load(builder.getI16Type(), k.element(scales, lane, 2))));
  return k.splat(
      k.e4m3ToF32(k.load(builder.getI8Type(), k.offset(scales, lane))));
}

void IntegerRow::emitGroup(Value place, const GroupPlace &group, Value y) {
  Value codes = k.offset(tile, place);
  Value z = zeroOf(codes, group), s = scaleOf(codes, group);
  auto emitVector = [&](Value column, bool odd, int64_t lanes) {
    Value c = k.toF32(codesOf(codes, column, odd, lanes));
    Value value = k.mul(k.sub(c, z), s);
    if (factor)
      value = k.mul(value, factor);
    storeLanes(k, value, k.element(y, column, 4), lanes);
  };
  // Pairs of vectors, so that which half of a block is read is known here.
  int64_t whole = group.columns / 32 * 32;
  if (whole > 0)
    k.forLoop(k.index(0), k.index(whole), 32, [&](Value column) {
      emitVector(column, false, vectorLanes);
      emitVector(k.add(column, k.index(vectorLanes)), true, vectorLanes);
    });
  for (int64_t i = whole; i < group.columns; i += vectorLanes)
    emitVector(k.index(i), i % 32 != 0,
               std::min(vectorLanes, group.columns - i));
}

/// `tile` and `lane` say where the row is; `table` is the whole buffer.
static void emitIntegerRow(KernelBuilder &k, const IntegerFormat &format,
                           const TileGeometry &geometry, Value table,
                           Value tile, Value lane, Value y) {
  Value factor;
  if (format.hasFactor()) {
    Value trailer = k.offset(table, geometry.tiles * geometry.tileBytes);
    factor = k.splat(k.load(k.getBuilder().getF32Type(), trailer));
  }
  IntegerRow row(k, format);
  row.begin(tile, lane, factor);
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
  auto integers = dyn_cast_or_null<IntAttr>(encoding);
  Type element = type.getElementType();
  bool isFloat =
      !encoding && (element.isF32() || element.isF16() || element.isBF16());
  std::optional<TileGeometry> geometry;
  std::optional<FloatLayout> layout;
  if (integers)
    geometry = tileGeometry(integers.getFormat(), rows, columns);
  else if (isFloat)
    layout = floatLayout(elementTypeOf(element), rows, columns);
  if (!geometry && !layout) {
    parameters.report("type", "is of no format that can be gathered from, or "
                              "too large");
    return failure();
  }

  SmallVector<Value> pointers = loadArguments(k, arguments, 3);
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    Value id = loadIndex(k, k.element(pointers[0], row, 4));
    Value lane = k.andi(id, k.index(tileRows - 1));
    Value y = rowPointer(k, pointers[2], row, {0, columns});
    int64_t tileBytes = geometry ? geometry->tileBytes : layout->tileBytes;
    Value tile = k.element(pointers[1], k.shru(id, 4), tileBytes);
    if (geometry)
      emitIntegerRow(k, integers.getFormat(), *geometry, pointers[1], tile,
                     lane, y);
    else
      emitFloatRow(k, k.element(tile, lane, layout->elementBytes), y, columns,
                   elementTypeOf(element));
  });
  return success();
}

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::embeddingFamily = {"embedding", emit, scratchBytes};
