//===- LinearRow.cpp - One token, codes in place ----------------*- C++ -*-===//
//
// The walk for decoding text: every byte of the weight is read once, in order,
// and nothing is stored but y. One tile after the other; in a tile slab by
// slab; in a slab group by group (or 64 columns at a time for row scales).
//
//===----------------------------------------------------------------------===//

#include "LinearSteps.h"

using namespace mlir;
using namespace lowbit;

namespace {

class RowWalk {
public:
  RowWalk(const LinearKernel &linear, KernelBuilder &k,
          const LinearArguments &arguments)
      : linear(linear), k(k), arguments(arguments), steps(linear, k, arguments),
        dot(createIntegerDot(linear, k, arguments)) {}

  void emit();

private:
  /// Bytes that the prefetches run ahead of the loads.
  static constexpr int64_t prefetchBytes = 2048;
  /// Columns of one turn of the loop over a row-scaled slab.
  static constexpr int64_t turnColumns = 64;

  void emitTile(Value index);
  void prefetch(Value codes, int64_t bytes);
  Value groupedTotal(Value tile);
  Value rowTotal(Value tile, Value zeros);
  /// partial + f · s of one group.
  Value addGroup(Value tile, Value group, Value partial, int64_t columns);
  /// f of `columns` columns from `column` on, cut where the activations' scale
  /// changes; `codes` points at those of `column`.
  Value cutSum(Value codes, Value column, int64_t columns, Value zeros);
  /// total + Σ over one slab of the row, of `columns` columns.
  Value addSlab(Value tile, Value slab, Value zeros, Value total,
                int64_t columns);
  Value zeroF32() { return k.zero(k.f32x16()); }

  const LinearKernel &linear;
  KernelBuilder &k;
  const LinearArguments &arguments;
  LinearSteps steps;
  std::unique_ptr<IntegerDot> dot;
  Value token;
};

} // namespace

void RowWalk::prefetch(Value codes, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64)
    k.prefetch(k.offset(codes, prefetchBytes + at));
}

Value RowWalk::cutSum(Value codes, Value column, int64_t columns, Value zeros) {
  int64_t cut = linear.cutColumns();
  const DecodeShape &shape = *linear.weights.shape;
  int64_t cutBytes = shape.blocks(cut) * shape.blockBytes();
  Value firstSum = k.div(column, k.index(cut));
  auto add = [&](Value index, Value f, int64_t count) {
    Value here = k.add(column, k.mul(index, k.index(cut)));
    Value codesHere = k.element(codes, index, cutBytes);
    if (linear.isRowScaled())
      prefetch(codesHere, cutBytes);
    Sums exact =
        dot->finish(dot->accumulate(dot->start(), codesHere, here, count));
    Value sums = steps.sums(token, k.add(firstSum, index));
    return k.fma(steps.toFloat(exact, sums, zeros),
                 steps.groupScale(token, here), f);
  };
  Value f = zeroF32();
  int64_t whole = columns / cut;
  if (whole <= 4)
    for (int64_t i = 0; i < whole; ++i)
      f = add(k.index(i), f, cut);
  else
    f = k.forLoop(k.index(0), k.index(whole), 1, f,
                  [&](Value i, ValueRange carried) {
                    return SmallVector<Value>{add(i, carried[0], cut)};
                  })[0];
  if (int64_t rest = columns % cut)
    f = add(k.index(whole), f, rest);
  return f;
}

Value RowWalk::addGroup(Value tile, Value group, Value partial,
                        int64_t columns) {
  const TileGeometry &geometry = linear.weights.geometry;
  Value column = k.mul(group, k.index(geometry.groupColumns));
  Value codes = k.element(tile, group, geometry.groupBytes);
  int64_t codesBytes =
      linear.weights.shape->blocks(columns) * geometry.blockBytes;
  prefetch(codes, codesBytes + geometry.scalesBytes + geometry.zerosBytes);
  Value zeros;
  if (linear.weights.hasStoredZeros())
    zeros = steps.zeros(k.offset(codes, codesBytes + geometry.scalesBytes));
  Value f;
  if (linear.isCut()) {
    f = cutSum(codes, column, columns, zeros);
  } else {
    Sums exact =
        dot->finish(dot->accumulate(dot->start(), codes, column, columns));
    f = steps.toFloat(exact, steps.sums(token, group), zeros);
  }
  return k.fma(f, steps.scales(k.offset(codes, codesBytes)), partial);
}

Value RowWalk::groupedTotal(Value tile) {
  int64_t columns = linear.weights.group;
  int64_t slabGroups = slabColumns / columns;
  int64_t fullGroups = linear.inputs / columns;
  int64_t slabs = fullGroups / slabGroups;
  int64_t ragged = linear.inputs % columns;
  auto addGroups = [&](Value first, Value end, Value partial) {
    return k.forLoop(
        first, end, 1, partial, [&](Value group, ValueRange carried) {
          return SmallVector<Value>{addGroup(tile, group, carried[0], columns)};
        })[0];
  };
  Value total = zeroF32();
  if (slabs > 0)
    total = k.forLoop(k.index(0), k.index(slabs), 1, total,
                      [&](Value slab, ValueRange carried) {
                        Value first = k.mul(slab, k.index(slabGroups));
                        Value partial =
                            addGroups(first, k.add(first, k.index(slabGroups)),
                                      zeroF32());
                        return SmallVector<Value>{k.add(carried[0], partial)};
                      })[0];
  if (linear.inputs % slabColumns == 0)
    return total;
  Value partial = zeroF32();
  if (slabs * slabGroups < fullGroups)
    partial =
        addGroups(k.index(slabs * slabGroups), k.index(fullGroups), partial);
  if (ragged)
    partial = addGroup(tile, k.index(fullGroups), partial, ragged);
  return k.add(total, partial);
}

Value RowWalk::addSlab(Value tile, Value slab, Value zeros, Value total,
                       int64_t columns) {
  const DecodeShape &shape = *linear.weights.shape;
  int64_t bytesPerColumn = shape.blockBytes() / shape.columns();
  Value firstColumn = k.mul(slab, k.index(slabColumns));
  Value codes = k.element(tile, firstColumn, bytesPerColumn);
  if (linear.isCut())
    return k.add(total, cutSum(codes, firstColumn, columns, zeros));
  Sums sums = dot->start();
  auto add = [&](Value column, ValueRange carried, int64_t count) {
    Value here = k.element(codes, column, bytesPerColumn);
    prefetch(here, count * bytesPerColumn);
    return dot->accumulate(Sums(carried), here, k.add(firstColumn, column),
                           count);
  };
  int64_t whole = columns / turnColumns * turnColumns;
  if (whole)
    sums = k.forLoop(k.index(0), k.index(whole), turnColumns, sums,
                     [&](Value column, ValueRange carried) {
                       return add(column, carried, turnColumns);
                     });
  if (columns > whole)
    sums = add(k.index(whole), sums, columns - whole);
  Value partial =
      steps.toFloat(dot->finish(sums), steps.sums(token, slab), zeros);
  return k.add(total, partial);
}

Value RowWalk::rowTotal(Value tile, Value zeros) {
  int64_t slabs = linear.inputs / slabColumns;
  int64_t rest = linear.inputs % slabColumns;
  Value total = zeroF32();
  if (slabs > 0)
    total = k.forLoop(k.index(0), k.index(slabs), 1, total,
                      [&](Value slab, ValueRange carried) {
                        return SmallVector<Value>{addSlab(
                            tile, slab, zeros, carried[0], slabColumns)};
                      })[0];
  if (rest)
    total = addSlab(tile, k.index(slabs), zeros, total, rest);
  return total;
}

void RowWalk::emitTile(Value index) {
  Value tile = steps.tile(index);
  if (!linear.isRowScaled())
    return steps.writeRow(token, index, groupedTotal(tile), Value());
  GroupPlace place = linear.weights.geometry.group(0);
  Value zeros;
  if (linear.weights.hasStoredZeros())
    zeros = steps.zeros(k.offset(tile, place.zeros));
  Value total = rowTotal(tile, zeros);
  steps.writeRow(token, index, total,
                 steps.scales(k.offset(tile, place.scales)));
}

void RowWalk::emit() {
  k.forLoop(k.index(0), arguments.tokens, 1, [&](Value m) {
    token = m;
    dot->beginRow(token);
    k.forLoop(arguments.begin, arguments.end, 1,
              [&](Value tile) { emitTile(tile); });
  });
}

void lowbit::emitIntegerRow(const LinearKernel &linear, KernelBuilder &k,
                            const LinearArguments &arguments) {
  RowWalk(linear, k, arguments).emit();
}
