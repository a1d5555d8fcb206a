//===- RowFamilies.cpp - Families that map rows to rows ---------*- C++ -*-===//
//
// rms_norm, gate, add, select_rows and rotary: one block for each row, each
// element by one thread.
//
//===----------------------------------------------------------------------===//

#include "RowTile.h"
#include "TileFamilies.h"
#include "TileLayouts.h"

using namespace mlir;
using namespace lowbit;

/// y = what the prologue makes of a row.
static LogicalResult emitPrologue(KernelOp kernel, TileBuilder &t,
                                  llvm::StringRef prologue) {
  KernelParameters parameters(kernel);
  int64_t columns = parameters.integer("columns", 1);
  RowTile row(prologue, columns, parameters);
  if (parameters.failed())
    return failure();
  t.begin(3, chooseRowThreads(t.gpu(), columns));
  row.begin(t, t.item());
  Value y = rowAddress(t, t.argument(2), t.item(), {0, columns});
  t.forThreads(columns, [&](Value i) { t.storeF32(row.value(t, i), y, i); });
  return success();
}

static LogicalResult emitRmsNorm(KernelOp kernel, TileBuilder &t) {
  return emitPrologue(kernel, t, "rms_norm");
}

static LogicalResult emitGate(KernelOp kernel, TileBuilder &t) {
  return emitPrologue(kernel, t, "gate");
}

/// In place where y is a or b: an element is read before the same place is
/// written, by the same thread.
static LogicalResult emitAdd(KernelOp kernel, TileBuilder &t) {
  KernelParameters parameters(kernel);
  int64_t columns = parameters.integer("columns", 1);
  ColumnView aView = parameters.view("a", columns);
  ColumnView bView = parameters.view("b", columns);
  if (parameters.failed())
    return failure();
  t.begin(3, chooseRowThreads(t.gpu(), columns));
  Value a = rowAddress(t, t.argument(0), t.item(), aView);
  Value b = rowAddress(t, t.argument(1), t.item(), bView);
  Value y = rowAddress(t, t.argument(2), t.item(), {0, columns});
  t.forThreads(columns, [&](Value i) {
    t.storeF32(t.add(t.loadF32(a, i), t.loadF32(b, i)), y, i);
  });
  return success();
}

static LogicalResult emitSelectRows(KernelOp kernel, TileBuilder &t) {
  KernelParameters parameters(kernel);
  int64_t columns = parameters.integer("columns", 1);
  ColumnView view = parameters.view("x", columns);
  if (parameters.failed())
    return failure();
  t.begin(3, chooseRowThreads(t.gpu(), columns));
  Value source = t.loadIndex(t.argument(1), t.item());
  Value x = rowAddress(t, t.argument(0), source, view);
  Value y = rowAddress(t, t.argument(2), t.item(), {0, columns});
  t.forThreads(columns, [&](Value i) { t.storeF32(t.loadF32(x, i), y, i); });
  return success();
}

/// a' = fma(a, cos, −(b · sin)), b' = fma(b, cos, a · sin).
static LogicalResult emitRotary(KernelOp kernel, TileBuilder &t) {
  KernelParameters parameters(kernel);
  int64_t columns = parameters.integer("columns", 1);
  int64_t headDim = parameters.integer("head_dim", 1);
  ColumnView xView = parameters.view("x", columns);
  if (!parameters.failed() && (headDim % 2 != 0 || columns % headDim != 0))
    parameters.report("head_dim", "expected an even divisor of the columns");
  if (parameters.failed())
    return failure();
  int64_t half = headDim / 2;
  t.begin(4, chooseRowThreads(t.gpu(), columns));
  Value x = rowAddress(t, t.argument(0), t.item(), xView);
  Value cosRow = rowAddress(t, t.argument(1), t.item(), {0, half});
  Value sinRow = rowAddress(t, t.argument(2), t.item(), {0, half});
  Value y = rowAddress(t, t.argument(3), t.item(), {0, columns});
  t.forThreads(columns / 2, [&](Value pair) {
    Value head = t.div(pair, t.index(half)), i = t.rem(pair, t.index(half));
    Value low = t.add(t.mul(head, t.index(headDim)), i);
    Value high = t.add(low, t.index(half));
    Value a = t.loadF32(x, low), b = t.loadF32(x, high);
    Value cos = t.loadF32(cosRow, i), sin = t.loadF32(sinRow, i);
    t.storeF32(t.fma(a, cos, t.neg(t.mul(b, sin))), y, low);
    t.storeF32(t.fma(b, cos, t.mul(a, sin)), y, high);
  });
  return success();
}

const TileFamily lowbit::rmsNormTiles = {"rms_norm", emitRmsNorm};
const TileFamily lowbit::gateTiles = {"gate", emitGate};
const TileFamily lowbit::addTiles = {"add", emitAdd};
const TileFamily lowbit::selectRowsTiles = {"select_rows", emitSelectRows};
const TileFamily lowbit::rotaryTiles = {"rotary", emitRotary};
