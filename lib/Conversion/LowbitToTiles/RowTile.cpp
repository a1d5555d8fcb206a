//===- RowTile.cpp - The elements of one row, by a block --------*- C++ -*-===//

#include "RowTile.h"

using namespace mlir;
using namespace lowbit;

Value lowbit::rowAddress(TileBuilder &t, Value buffer, Value row,
                         const ColumnView &view) {
  Value first = t.add(t.mul(row, t.index(view.stride)), t.index(view.offset));
  return t.element(buffer, first, 4);
}

void lowbit::checkTileCache(const CachePages &pages,
                            KernelParameters &parameters) {
  if (!parameters.failed() && pages.format.isGrouped())
    parameters.report("cache", "is " + pages.format.getShortName() +
                                   "; GPU targets serve f16, f32 and i8");
}

RowTile::RowTile(llvm::StringRef prologue, int64_t columns,
                 KernelParameters &parameters)
    : columns(columns) {
  if (prologue == "gate") {
    kind = Kind::Gate;
    firstView = parameters.view("gate", columns);
    secondView = parameters.view("up", columns);
    return;
  }
  firstView = parameters.view("x", columns);
  if (prologue == "rms_norm") {
    kind = Kind::RmsNorm;
    eps = parameters.real("eps");
  } else if (prologue != "none") {
    parameters.report("prologue",
                      "is '" + prologue + "', expected none, rms_norm or gate");
  }
}

/// ms = Sum16fma(x, x) / K. The row goes through shared memory in pieces; 16
/// threads then walk it in the canonical order, of which each holds a lane.
Value RowTile::meanSquare(TileBuilder &t) {
  constexpr int64_t lanes = 16, pieceColumns = 2048, unroll = 4;
  int64_t size = std::min(pieceColumns, (columns + lanes - 1) / lanes * lanes);
  Value piece = t.allocateShared(4 * size);
  Value result = t.allocateShared(4);
  Value zero = t.f32(0.0f);
  auto addPiece = [&](Value begin, int64_t count, Value sum) {
    int64_t padded = (count + lanes - 1) / lanes * lanes;
    t.forThreads(padded, [&](Value i) {
      // Beyond the row lie at most 60 bytes of slack; fma(0, 0, lane) is lane.
      Value x = t.loadF32(first, t.add(begin, i));
      if (padded != count)
        x = t.select(t.isLess(i, t.index(count)), x, zero);
      t.storeF32(x, piece, i);
    });
    t.barrier();
    // Every warp walks: lanes 16 to 31 repeat the others, and what warps but
    // the first compute is not used.
    Value canonical = t.andi(t.lane(), t.index(lanes - 1));
    int64_t steps = padded / lanes, whole = steps / unroll * unroll;
    auto add = [&](Value step, int64_t next, Value lane) {
      Value i = t.add(t.mul(step, t.index(lanes)), canonical);
      Value x = t.loadF32(t.offset(piece, 4 * lanes * next), i);
      return t.fma(x, x, lane);
    };
    if (whole > 0)
      sum = t.forLoop(t.index(0), t.index(whole), unroll, sum,
                      [&](Value step, ValueRange carried) {
                        Value lane = carried[0];
                        for (int64_t i = 0; i < unroll; ++i)
                          lane = add(step, i, lane);
                        return SmallVector<Value>{lane};
                      })[0];
    for (int64_t step = whole; step < steps; ++step)
      sum = add(t.index(step), 0, sum);
    t.barrier();
    return sum;
  };
  Value sum = zero;
  int64_t whole = columns / size;
  if (whole > 0)
    sum = t.forLoop(t.index(0), t.index(whole * size), size, sum,
                    [&](Value begin, ValueRange carried) {
                      return SmallVector<Value>{
                          addPiece(begin, size, carried[0])};
                    })[0];
  if (int64_t rest = columns % size)
    sum = addPiece(t.index(whole * size), rest, sum);
  Value total = t.sum16(sum);
  Value isFirst = t.compare(arith::CmpIPredicate::eq, t.thread(), t.index(0));
  t.ifThen(isFirst, [&] { t.store(total, result); });
  t.barrier();
  return t.div(t.load(t.getBuilder().getF32Type(), result),
               t.f32(float(columns)));
}

void RowTile::begin(TileBuilder &t, Value row) {
  first = rowAddress(t, t.argument(0), row, firstView);
  if (kind == Kind::None)
    return;
  if (kind == Kind::Gate) {
    second = rowAddress(t, t.argument(1), row, secondView);
    return;
  }
  second = t.argument(1);
  Value root = t.sqrt(t.add(meanSquare(t), t.f32(eps)));
  factor = t.div(t.f32(1.0f), root);
}

Value RowTile::value(TileBuilder &t, Value i) {
  Value x = t.loadF32(first, i);
  if (kind == Kind::None)
    return x;
  Value other = t.loadF32(second, i);
  if (kind == Kind::RmsNorm)
    return t.mul(t.mul(x, factor), other);
  Value silu = t.div(x, t.add(t.f32(1.0f), t.exp(t.neg(x))));
  return t.mul(silu, other);
}
