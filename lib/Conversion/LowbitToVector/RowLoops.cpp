//===- RowLoops.cpp - Rows of f32, 16 columns at a time ---------*- C++ -*-===//

#include "RowLoops.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace lowbit;
using namespace mlir;

Value lowbit::rowPointer(KernelBuilder &k, Value buffer, Value row,
                         const ColumnView &view) {
  Value first = k.add(k.mul(row, k.index(view.stride)), k.index(view.offset));
  return k.element(buffer, first, 4);
}

/// i1 lanes that are true below `lanes`.
static Value laneMask(KernelBuilder &k, int64_t lanes) {
  SmallVector<bool> mask(vectorLanes);
  std::fill_n(mask.begin(), lanes, true);
  auto type = k.vectorType(k.getBuilder().getI1Type());
  return arith::ConstantOp::create(k.getBuilder(), k.getLoc(),
                                   DenseElementsAttr::get(type, mask));
}

Value lowbit::loadLanes(KernelBuilder &k, Type elementType, Value pointer,
                        int64_t lanes) {
  return maskLanes(k, k.load(k.vectorType(elementType), pointer), lanes);
}

Value lowbit::maskLanes(KernelBuilder &k, Value vector, int64_t lanes) {
  if (lanes == vectorLanes)
    return vector;
  return k.select(laneMask(k, lanes), vector, k.zero(vector.getType()));
}

void lowbit::storeLanes(KernelBuilder &k, Value vector, Value pointer,
                        int64_t lanes) {
  if (lanes == vectorLanes)
    k.store(vector, pointer);
  else
    k.storeTail(vector, pointer, lanes);
}

SmallVector<Value> lowbit::forColumns(
    KernelBuilder &k, int64_t columns, int64_t unroll, ValueRange initial,
    function_ref<SmallVector<Value>(Value, int64_t, ValueRange)> body) {
  int64_t step = unroll * vectorLanes;
  int64_t whole = columns / step * step;
  SmallVector<Value> carried(initial);
  if (whole > 0)
    carried = k.forLoop(k.index(0), k.index(whole), step, carried,
                        [&](Value column, ValueRange values) {
                          SmallVector<Value> next(values);
                          for (int64_t i = 0; i < unroll; ++i)
                            next = body(k.add(column, k.index(i * vectorLanes)),
                                        vectorLanes, next);
                          return next;
                        });
  for (int64_t column = whole; column < columns; column += vectorLanes)
    carried =
        body(k.index(column), std::min(vectorLanes, columns - column), carried);
  return carried;
}

void lowbit::forColumns(KernelBuilder &k, int64_t columns, int64_t unroll,
                        function_ref<void(Value, int64_t)> body) {
  forColumns(k, columns, unroll, {},
             [&](Value column, int64_t lanes, ValueRange) {
               body(column, lanes);
               return SmallVector<Value>();
             });
}

Value lowbit::extractLane(KernelBuilder &k, Value vector, int64_t i) {
  return vector::ExtractOp::create(k.getBuilder(), k.getLoc(), vector, i);
}

Value lowbit::addLanes(KernelBuilder &k, Value vector) {
  return vector::ReductionOp::create(k.getBuilder(), k.getLoc(),
                                     vector::CombiningKind::ADD, vector);
}

Value lowbit::maxIntegerLanes(KernelBuilder &k, Value vector) {
  return vector::ReductionOp::create(k.getBuilder(), k.getLoc(),
                                     vector::CombiningKind::MAXSI, vector);
}

Value lowbit::maxInteger(KernelBuilder &k, Value a, Value b) {
  return arith::MaxSIOp::create(k.getBuilder(), k.getLoc(), a, b);
}

Value lowbit::minInteger(KernelBuilder &k, Value a, Value b) {
  return arith::MinSIOp::create(k.getBuilder(), k.getLoc(), a, b);
}

/// Places of the lanes of a word that holds lanes l, l + 1, … from bit 0 on.
static Value lanePlaces(KernelBuilder &k, int bits, int lanesPerWord) {
  SmallVector<int32_t> shifts;
  for (int lane = 0; lane < vectorLanes; ++lane)
    shifts.push_back(lane % lanesPerWord * bits);
  return k.constant(shifts);
}

Value lowbit::unpackLanes(KernelBuilder &k, Value pointer, int bits) {
  OpBuilder &builder = k.getBuilder();
  if (bits == 8)
    return k.extend(k.load(k.vectorType(builder.getI8Type()), pointer),
                    builder.getI32Type(), /*isSigned=*/false);
  if (bits > 4) {
    // Four lanes are b/2 bytes: lanes 4i … 4i + 3 lie in the word that holds
    // their first bit in its first byte.
    SmallVector<int32_t> shifts;
    Value words = k.zero(k.i32x16());
    for (int lane = 0; lane < vectorLanes; ++lane) {
      int first = lane / 4 * 4 * bits;
      shifts.push_back(first % 8 + lane % 4 * bits);
      Value word = k.load(builder.getI32Type(), k.offset(pointer, first / 8));
      words = vector::InsertOp::create(builder, k.getLoc(), word, words, lane);
    }
    Value moved =
        arith::ShRUIOp::create(builder, k.getLoc(), words, k.constant(shifts));
    return k.andi(moved, k.splat(k.i32((1 << bits) - 1)));
  }
  int lanesPerWord = bits <= 2 ? 16 : 8;
  Value word = k.splat(k.load(builder.getI32Type(), pointer));
  if (lanesPerWord == 8) {
    // Eight lanes are b bytes: lanes 8…15 start b bytes on.
    Value high = k.splat(k.load(builder.getI32Type(), k.offset(pointer, bits)));
    SmallVector<int32_t> isHigh(vectorLanes, 0);
    std::fill(isHigh.begin() + 8, isHigh.end(), -1);
    Value isLow = k.compare(arith::CmpIPredicate::eq, k.constant(isHigh),
                            k.zero(k.i32x16()));
    word = k.select(isLow, word, high);
  }
  Value shifted = arith::ShRUIOp::create(builder, k.getLoc(), word,
                                         lanePlaces(k, bits, lanesPerWord));
  return k.andi(shifted, k.splat(k.i32((1 << bits) - 1)));
}

SmallVector<Value> lowbit::packLanes(KernelBuilder &k, Value codes, int bits) {
  int64_t lanesPerWord = 32 / bits;
  Value placed = arith::ShLIOp::create(k.getBuilder(), k.getLoc(), codes,
                                       lanePlaces(k, bits, lanesPerWord));
  SmallVector<Value> words;
  for (int64_t lane = 0; lane < vectorLanes; lane += lanesPerWord) {
    Value part = vector::ExtractStridedSliceOp::create(
        k.getBuilder(), k.getLoc(), placed, ArrayRef<int64_t>{lane},
        ArrayRef<int64_t>{lanesPerWord}, ArrayRef<int64_t>{1});
    words.push_back(vector::ReductionOp::create(
        k.getBuilder(), k.getLoc(), vector::CombiningKind::OR, part));
  }
  return words;
}

Value lowbit::loadIndex(KernelBuilder &k, Value pointer) {
  Value narrow = k.load(k.getBuilder().getI32Type(), pointer, /*alignment=*/4);
  return k.extend(narrow, k.getBuilder().getI64Type(), /*isSigned=*/true);
}

SmallVector<Value> lowbit::loadArguments(KernelBuilder &k,
                                         const KernelArguments &arguments,
                                         int64_t count) {
  SmallVector<Value> pointers;
  for (int64_t i = 0; i < count; ++i)
    pointers.push_back(k.loadArgument(arguments.args, i));
  return pointers;
}
