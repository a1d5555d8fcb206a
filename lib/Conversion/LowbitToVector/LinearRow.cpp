//===- LinearRow.cpp - One token, codes in place ----------------*- C++ -*-===//
//
// The walk for decoding text: every byte of the weight is read once, in order
// (from L2 again where there are a few tokens), and nothing is stored but y.
// One tile after the other; in a tile slab by slab; in a slab group by group
// (or 64 columns at a time for row scales).
//
//===----------------------------------------------------------------------===//

#include "LinearSteps.h"
#include "RowLoops.h"

using namespace mlir;
using namespace lowbit;

namespace {

class RowWalk {
public:
  RowWalk(const LinearKernel &linear, KernelBuilder &k,
          const LinearArguments &arguments)
      : linear(linear), k(k), arguments(arguments), steps(linear, k, arguments),
        dot(createIntegerDot(linear, k, arguments, CodePlace::InPlace)) {}

  void emit();

private:
  /// Bytes that the prefetches run ahead of the loads.
  static constexpr int64_t prefetchBytes = 2048;
  /// Columns of one turn of the loop over a row-scaled slab.
  static constexpr int64_t turnColumns = 64;

  void emitTile(Value index);
  void emitTiles(Value first, Value end);
  void prefetch(Value codes, int64_t bytes);
  Value groupedTotal(Value tile);
  Value rowTotal(Value tile, Value zeros);
  /// partial + f · s of one group.
  Value addGroup(Value tile, Value group, Value partial, int64_t columns);
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

Value RowWalk::addGroup(Value tile, Value group, Value partial,
                        int64_t columns) {
  const TileGeometry &geometry = linear.weights.geometry;
  Value column = k.mul(group, k.index(geometry.groupColumns));
  Value codes = k.element(tile, group, geometry.groupBytes);
  int64_t codesBytes =
      linear.weights.shape->blocks(columns) * geometry.blockBytes;
  prefetch(codes, codesBytes + geometry.scalesBytes + geometry.zerosBytes);
  Sums exact =
      dot->finish(dot->accumulate(dot->start(), codes, column, columns));
  Value zeros;
  if (linear.weights.hasStoredZeros())
    zeros = steps.zeros(k.offset(codes, codesBytes + geometry.scalesBytes));
  Value f = steps.toFloat(exact, steps.sums(token, group), zeros);
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

void RowWalk::emitTiles(Value first, Value end) {
  k.forLoop(k.index(0), arguments.tokens, 1, [&](Value m) {
    token = m;
    dot->beginRow(token);
    k.forLoop(first, end, 1, [&](Value tile) { emitTile(tile); });
  });
}

void RowWalk::emit() {
  if (linear.bucket == 1)
    return emitTiles(arguments.begin, arguments.end);
  // All tokens take a few tiles before the next ones: weights come from memory
  // once.
  int64_t tiles = dot->rowTiles();
  k.forLoop(arguments.begin, arguments.end, tiles, [&](Value first) {
    emitTiles(first,
              minInteger(k, k.add(first, k.index(tiles)), arguments.end));
  });
}

void lowbit::emitIntegerRow(const LinearKernel &linear, KernelBuilder &k,
                            const LinearArguments &arguments) {
  RowWalk(linear, k, arguments).emit();
}
