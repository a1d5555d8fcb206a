//===- SecondMoments.cpp - H += Σ x xᵀ --------------------------*- C++ -*-===//
//
// h[i][j] = fma(x[i], x[j], h[i][j]) over the rows in order, for j ≤ i. One
// item is 16 rows of h.
//
// Rows of x are far apart and would fall on the same cache sets, so the kernel
// packs: for a block of rows and a panel of columns j it copies x to scratch as
// [vector of 16 columns][row][16] (for the second level), and for each item the
// 16 columns i as [row][16] (for the first level). A register tile of i × 16 j
// then runs over the rows of the block; h is read and written once per block,
// which does not change the order of its sums.
//
// In the tile on the diagonal elements above it are written as well (they are
// the same sums).
//
//===----------------------------------------------------------------------===//

#include "RowLoops.h"

using namespace lowbit;
using namespace mlir;

/// Rows that are packed at once, columns of a panel.
static constexpr int64_t blockRows = 128;
static constexpr int64_t panelColumns = 512;
/// Rows and columns of a tile of h.
static constexpr int64_t tileSize = vectorLanes;
/// Bytes of 16 packed columns, and of the whole panel.
static constexpr int64_t stripBytes = blockRows * vectorLanes * 4;
static constexpr int64_t panelBytes = panelColumns / vectorLanes * stripBytes;

namespace {

/// One kernel that is being emitted.
class SecondMoments {
public:
  explicit SecondMoments(KernelParameters &parameters)
      : columns(parameters.integer("columns", 1)),
        view(parameters.view("x", columns)) {}

  void emit(KernelBuilder &k, const KernelArguments &arguments);

private:
  int64_t wholeTiles() const { return columns / tileSize; }
  int64_t lastTileRows() const { return columns % tileSize; }
  Value xPointer(KernelBuilder &k, Value row, Value column) const;

  void packPanel(KernelBuilder &k, int64_t firstColumn, int64_t count);
  void packItem(KernelBuilder &k, Value tile, int64_t tileRows);
  void emitPanel(KernelBuilder &k, int64_t firstColumn, Value begin, Value end);
  void emitItem(KernelBuilder &k, Value tile, int64_t tileRows,
                int64_t firstColumn, int64_t count);
  void emitTile(KernelBuilder &k, Value firstRow, int64_t tileRows,
                Value column, Value strip, int64_t lanes);

  int64_t columns;
  ColumnView view;
  Value x, h, panel, item;
  /// First row and number of rows of the current block.
  Value firstRow, rowCount;
};

} // namespace

/// Address of x[row of the block][column].
Value SecondMoments::xPointer(KernelBuilder &k, Value row, Value column) const {
  return k.element(rowPointer(k, x, k.add(firstRow, row), view), column, 4);
}

/// Copies `count` columns of the block to the panel.
void SecondMoments::packPanel(KernelBuilder &k, int64_t firstColumn,
                              int64_t count) {
  Type f32 = k.getBuilder().getF32Type();
  k.forLoop(k.index(0), rowCount, 1, [&](Value row) {
    Value source = xPointer(k, row, k.index(firstColumn));
    Value target = k.element(panel, row, vectorLanes * 4);
    forColumns(k, count, 1, [&](Value i, int64_t lanes) {
      Value strip = k.element(target, k.shru(i, 4), stripBytes);
      k.store(loadLanes(k, f32, k.element(source, i, 4), lanes), strip);
    });
  });
}

/// Copies the 16 columns of an item.
void SecondMoments::packItem(KernelBuilder &k, Value tile, int64_t tileRows) {
  Type f32 = k.getBuilder().getF32Type();
  Value column = k.shl(tile, 4);
  k.forLoop(k.index(0), rowCount, 1, [&](Value row) {
    Value vector = loadLanes(k, f32, xPointer(k, row, column), tileRows);
    k.store(vector, k.element(item, row, vectorLanes * 4));
  });
}

/// How many rows of h a register tile of one vector takes.
static int64_t registerRows(const TargetInfo &target) {
  if (!target.hasFma)
    return 1;
  int64_t registersPerVector = vectorLanes * 32 / target.vectorBits;
  // A quarter of the registers is for the operands.
  int64_t rows = target.vectorRegisters * 3 / 4 / registersPerVector;
  return std::min(rows, tileSize);
}

/// One tile of h, `tileRows` × `lanes` at (firstRow, column), in register tiles
/// of equal height.
void SecondMoments::emitTile(KernelBuilder &k, Value tileRow, int64_t tileRows,
                             Value column, Value strip, int64_t lanes) {
  Type f32 = k.getBuilder().getF32Type();
  int64_t most = registerRows(k.getTarget());
  int64_t parts = (tileRows + most - 1) / most;
  for (int64_t part = 0; part < parts; ++part) {
    int64_t first = part * tileRows / parts;
    int64_t count = (part + 1) * tileRows / parts - first;
    auto place = [&](int64_t i) {
      Value row = k.add(tileRow, k.index(first + i));
      Value element = k.add(k.mul(row, k.index(columns)), column);
      return k.element(h, element, 4);
    };
    SmallVector<Value> sums;
    for (int64_t i = 0; i < count; ++i)
      sums.push_back(loadLanes(k, f32, place(i), lanes));
    sums = k.forLoop(
        k.index(0), rowCount, 1, sums, [&](Value row, ValueRange carried) {
          SmallVector<Value> next(carried);
          Value byte = k.mul(row, k.index(vectorLanes * 4));
          Value xj = k.load(k.f32x16(), k.offset(strip, byte), 64);
          Value xi = k.offset(item, byte);
          for (int64_t i = 0; i < count; ++i) {
            Value broadcast =
                k.splat(k.load(f32, k.offset(xi, 4 * (first + i)), 4));
            next[i] = k.fma(broadcast, xj, next[i]);
          }
          return next;
        });
    for (int64_t i = 0; i < count; ++i)
      storeLanes(k, sums[i], place(i), lanes);
  }
}

/// The part of one item that lies in the panel.
void SecondMoments::emitItem(KernelBuilder &k, Value tile, int64_t tileRows,
                             int64_t firstColumn, int64_t count) {
  packItem(k, tile, tileRows);
  Value tileRow = k.shl(tile, 4);
  int64_t firstStrip = firstColumn / vectorLanes;
  int64_t wholeStrips = count / vectorLanes;
  // Vectors up to the diagonal.
  Value strips =
      minInteger(k, k.index(wholeStrips),
                 k.add(k.sub(tile, k.index(firstStrip)), k.index(1)));
  k.forLoop(k.index(0), strips, 1, [&](Value strip) {
    Value column = k.add(k.shl(strip, 4), k.index(firstColumn));
    emitTile(k, tileRow, tileRows, column, k.element(panel, strip, stripBytes),
             vectorLanes);
  });
  // The last columns are shorter than a vector and belong to the last, shorter
  // item alone.
  int64_t lanes = count % vectorLanes;
  if (lanes != 0 && tileRows == lanes)
    emitTile(k, tileRow, tileRows,
             k.index(firstColumn + wholeStrips * vectorLanes),
             k.offset(panel, wholeStrips * stripBytes), lanes);
}

/// All items of the thread against one panel.
void SecondMoments::emitPanel(KernelBuilder &k, int64_t firstColumn,
                              Value begin, Value end) {
  int64_t count = std::min(panelColumns, columns - firstColumn);
  Value firstTile = maxInteger(k, begin, k.index(firstColumn / tileSize));
  k.ifThen(k.compare(arith::CmpIPredicate::slt, firstTile, end), [&] {
    packPanel(k, firstColumn, count);
    Value wholeEnd = minInteger(k, end, k.index(wholeTiles()));
    k.forLoop(firstTile, wholeEnd, 1, [&](Value tile) {
      emitItem(k, tile, tileSize, firstColumn, count);
    });
    if (lastTileRows() == 0)
      return;
    Value last = k.index(wholeTiles());
    k.ifThen(k.compare(arith::CmpIPredicate::slt, last, end),
             [&] { emitItem(k, last, lastTileRows(), firstColumn, count); });
  });
}

void SecondMoments::emit(KernelBuilder &k, const KernelArguments &arguments) {
  SmallVector<Value> pointers = loadArguments(k, arguments, 2);
  x = pointers[0];
  h = pointers[1];
  panel = arguments.scratch;
  item = k.offset(arguments.scratch, panelBytes);
  k.forLoop(k.index(0), arguments.rows, blockRows, [&](Value row) {
    firstRow = row;
    rowCount = minInteger(k, k.index(blockRows), k.sub(arguments.rows, row));
    for (int64_t column = 0; column < columns; column += panelColumns)
      emitPanel(k, column, arguments.begin, arguments.end);
  });
}

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  SecondMoments moments(parameters);
  if (parameters.failed())
    return failure();
  moments.emit(k, arguments);
  return success();
}

static int64_t scratchBytes(KernelOp) { return panelBytes + stripBytes; }

const KernelFamily lowbit::secondMomentsFamily = {"second_moments", emit,
                                                  scratchBytes};
