//===- DiagonalMoments.cpp - The diagonal of H += Σ x xᵀ --------*- C++ -*-===//
//
// h[i] = fma(x[i], x[i], h[i]) over the rows in order. One item is 16 columns;
// several items at a time stay in registers while the rows go by, so that a
// row's cache lines are read once.
//
//===----------------------------------------------------------------------===//

#include "RowLoops.h"

using namespace lowbit;
using namespace mlir;

/// Items that are taken together.
static constexpr int64_t jointItems = 4;

namespace {

/// One kernel that is being emitted.
struct DiagonalMoments {
  int64_t columns;
  ColumnView view;
  Value x, h, rows;

  /// `count` items from `item` on; the last has `lastLanes` columns.
  void emitItems(KernelBuilder &k, Value item, int64_t count,
                 int64_t lastLanes) const;
};

} // namespace

void DiagonalMoments::emitItems(KernelBuilder &k, Value item, int64_t count,
                                int64_t lastLanes) const {
  Type f32 = k.getBuilder().getF32Type();
  Value column = k.shl(item, 4);
  Value target = k.element(h, column, 4);
  auto lanes = [&](int64_t i) {
    return i + 1 == count ? lastLanes : vectorLanes;
  };
  auto vector = [&](Value pointer, int64_t i) {
    return loadLanes(k, f32, k.offset(pointer, i * vectorLanes * 4), lanes(i));
  };
  SmallVector<Value> sums;
  for (int64_t i = 0; i < count; ++i)
    sums.push_back(vector(target, i));
  sums =
      k.forLoop(k.index(0), rows, 1, sums, [&](Value row, ValueRange carried) {
        SmallVector<Value> next(carried);
        Value source = k.element(rowPointer(k, x, row, view), column, 4);
        for (int64_t i = 0; i < count; ++i) {
          Value values = vector(source, i);
          next[i] = k.fma(values, values, next[i]);
        }
        return next;
      });
  for (int64_t i = 0; i < count; ++i)
    storeLanes(k, sums[i], k.offset(target, i * vectorLanes * 4), lanes(i));
}

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  DiagonalMoments moments;
  moments.columns = parameters.integer("columns", 1);
  moments.view = parameters.view("x", moments.columns);
  if (parameters.failed())
    return failure();
  SmallVector<Value> pointers = loadArguments(k, arguments, 2);
  moments.x = pointers[0];
  moments.h = pointers[1];
  moments.rows = arguments.rows;
  Value wholeEnd =
      minInteger(k, arguments.end, k.index(moments.columns / vectorLanes));
  Value count = maxInteger(k, k.sub(wholeEnd, arguments.begin), k.index(0));
  Value joint = k.mul(k.div(count, k.index(jointItems)), k.index(jointItems));
  Value middle = k.add(arguments.begin, joint);
  k.forLoop(arguments.begin, middle, jointItems, [&](Value item) {
    moments.emitItems(k, item, jointItems, vectorLanes);
  });
  k.forLoop(middle, wholeEnd, 1,
            [&](Value item) { moments.emitItems(k, item, 1, vectorLanes); });
  if (int64_t lanes = moments.columns % vectorLanes) {
    Value last = k.index(moments.columns / vectorLanes);
    k.ifThen(k.compare(arith::CmpIPredicate::slt, last, arguments.end),
             [&] { moments.emitItems(k, last, 1, lanes); });
  }
  return success();
}

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::diagonalMomentsFamily = {"diagonal_moments", emit,
                                                    scratchBytes};
