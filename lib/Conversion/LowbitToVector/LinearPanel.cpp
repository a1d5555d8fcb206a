//===- LinearPanel.cpp - Blocks of tokens against decoded codes -*- C++ -*-===//
//
// The walk for two tokens and more. For a block of tokens, slab by slab: the
// codes of a slab of one or two tiles are decoded to a panel in scratch, which
// stays in L1, and then multiplied with the activations of all tokens of the
// block, a few at a time. Totals wait in scratch between slabs:
//
//   for each few items, block of tokens:   totals = 0
//     for each slab:                  activations → scratch (words on AVX2)
//       for each tile (or two):       codes → panel, scales, zero points
//         for each few tokens:        totals += slab
//     y from totals
//
//===----------------------------------------------------------------------===//

#include "PanelWalk.h"
#include "RowLoops.h"

using namespace mlir;
using namespace lowbit;

namespace {

/// Places in scratch, in bytes, for `totalCount` totals and `tiles` panels.
struct PanelScratch {
  /// A slab has at most 32 groups (of 16 columns).
  static constexpr int64_t maxGroups = slabColumns / 16;
  static constexpr int64_t groupsBytes = maxGroups * 64;

  /// [tile][token] f32x16.
  int64_t totals;
  /// [tile] codes, scales (f32x16 per group), zero points (i32x16 per group).
  int64_t panels, scales, zeros;
  int64_t end;

  PanelScratch(int64_t start, int64_t totalCount, int64_t tiles) {
    totals = (start + 63) / 64 * 64;
    panels = totals + totalCount * 64;
    scales = panels + tiles * PanelWalk::panelBytes;
    zeros = scales + tiles * groupsBytes;
    end = zeros + tiles * groupsBytes;
  }
};

class IntegerPanel final : PanelWalk {
public:
  IntegerPanel(const LinearKernel &linear, KernelBuilder &k,
               const LinearArguments &arguments)
      : PanelWalk(linear, k, arguments),
        scratch(dot->scratchBytes(), dot->passTiles() * dot->blockTokens(),
                linear.itemTiles()) {}

  void emit();

private:
  void emitPass(Value firstTile, Value tileCount, int64_t joint);
  void decodeTile(Value tile, int64_t index);
  void decodeGroup(Value tile, Value group, int64_t index, int64_t columns);
  void decodeColumns(Value codes, Value panel, int64_t columns, Value zeros);
  SmallVector<Value> partials(Value token, int64_t joint,
                              int64_t count) override;
  SmallVector<Value> groupedPartials(Value token, int64_t joint, int64_t count);
  /// Address of the totals of tile `tile` of the item.
  Value totalsOf(Value tile);
  bool isStored() const { return linear.weights.hasStoredZeros(); }

  PanelScratch scratch;
};

} // namespace

//===----------------------------------------------------------------------===//
// Codes, scales and zero points to scratch
//===----------------------------------------------------------------------===//

void IntegerPanel::decodeColumns(Value codes, Value panel, int64_t count,
                                 Value zeros) {
  int64_t pieceBytes = linear.weights.shape->blocks(pairColumns) *
                       linear.weights.geometry.blockBytes;
  int64_t panelBytes = pairColumns / stepColumns * dot->stepBytes();
  int64_t pieces = count / pairColumns;
  k.forLoop(k.index(0), k.index(pieces), 1, [&](Value piece) {
    dot->decode(k.element(codes, piece, pieceBytes),
                k.element(panel, piece, panelBytes), pairColumns, zeros);
  });
  if (int64_t rest = count % pairColumns)
    dot->decode(k.offset(codes, pieces * pieceBytes),
                k.offset(panel, pieces * panelBytes), rest, zeros);
}

void IntegerPanel::decodeGroup(Value tile, Value group, int64_t index,
                               int64_t count) {
  const TileGeometry &geometry = linear.weights.geometry;
  Value codes = k.element(tile, group, geometry.groupBytes);
  int64_t codesBytes =
      linear.weights.shape->blocks(count) * geometry.blockBytes;
  Value first = k.mul(slab, k.index(slabColumns / geometry.groupColumns));
  Value inSlab = k.sub(group, first);
  int64_t panelBytes = geometry.groupColumns / stepColumns * dot->stepBytes();
  int64_t base = index * PanelScratch::groupsBytes;
  Value zeros;
  if (isStored()) {
    zeros = steps.zeros(k.offset(codes, codesBytes + geometry.scalesBytes));
    k.store(zeros, k.element(at(scratch.zeros + base), inSlab, 64), 64);
  }
  decodeColumns(codes, k.element(panel(index), inSlab, panelBytes), count,
                zeros);
  k.store(steps.scales(k.offset(codes, codesBytes)),
          k.element(at(scratch.scales + base), inSlab, 64), 64);
}

void IntegerPanel::decodeTile(Value tile, int64_t index) {
  Value isLast =
      k.compare(arith::CmpIPredicate::eq, slab,
                k.index((linear.inputs + slabColumns - 1) / slabColumns - 1));
  if (!linear.isRowScaled()) {
    int64_t group = linear.weights.group;
    int64_t fullGroups = linear.inputs / group;
    Value first = k.mul(slab, k.index(slabColumns / group));
    Value end = minInteger(k, k.add(first, k.index(slabColumns / group)),
                           k.index(fullGroups));
    k.forLoop(first, end, 1,
              [&](Value i) { decodeGroup(tile, i, index, group); });
    if (int64_t ragged = linear.inputs % group)
      k.ifThen(isLast,
               [&] { decodeGroup(tile, k.index(fullGroups), index, ragged); });
    return;
  }
  int64_t slabBytes = linear.weights.shape->blocks(slabColumns) *
                      linear.weights.geometry.blockBytes;
  Value codes = k.element(tile, slab, slabBytes);
  int64_t rest = linear.inputs % slabColumns;
  Value zeros;
  if (isStored()) {
    zeros = steps.zeros(k.offset(tile, linear.weights.geometry.group(0).zeros));
    k.store(zeros, at(scratch.zeros + index * PanelScratch::groupsBytes), 64);
  }
  if (rest == 0)
    decodeColumns(codes, panel(index), slabColumns, zeros);
  else if (linear.inputs < slabColumns)
    decodeColumns(codes, panel(index), rest, zeros);
  else
    k.ifElse(
        isLast, [&] { decodeColumns(codes, panel(index), rest, zeros); },
        [&] { decodeColumns(codes, panel(index), slabColumns, zeros); });
}

//===----------------------------------------------------------------------===//
// Tokens against panels
//===----------------------------------------------------------------------===//

/// Partial sums of the slab, entry tile · count + token.
SmallVector<Value> IntegerPanel::groupedPartials(Value token, int64_t joint,
                                                 int64_t count) {
  int64_t group = linear.weights.group;
  int64_t tokenSums = linear.planes * linear.sumCount() * 4;
  Value firstGroup = k.mul(slab, k.index(slabColumns / group));
  Value end =
      minInteger(k, k.index(slabColumns / group),
                 k.sub(k.index(linear.weights.geometry.groups), firstGroup));
  Value sums = steps.sums(token, firstGroup);
  SmallVector<Value> initial(joint * count, k.zero(k.f32x16()));
  return k.forLoop(
      k.index(0), end, 1, initial, [&](Value g, ValueRange carried) {
        SmallVector<Value> panels;
        for (int64_t tile = 0; tile < joint; ++tile)
          panels.push_back(k.element(panel(tile), g,
                                     group / stepColumns * dot->stepBytes()));
        Value column = k.add(firstColumn, k.mul(g, k.index(group)));
        Value groupSums = k.element(sums, g, 4);
        SmallVector<Sums> exact = dot->panelSums(
            panels, {token, column, firstToken, firstColumn, groupSums}, count,
            {group, Value()});
        SmallVector<Value> next;
        for (int64_t tile = 0; tile < joint; ++tile) {
          int64_t base = tile * PanelScratch::groupsBytes;
          Value scale = k.load(k.f32x16(),
                               k.element(at(scratch.scales + base), g, 64), 64);
          Value zeros;
          if (isStored())
            zeros = k.load(k.i32x16(),
                           k.element(at(scratch.zeros + base), g, 64), 64);
          for (int64_t c = 0; c < count; ++c) {
            int64_t i = tile * count + c;
            Value f =
                toFloat(exact[i], k.offset(groupSums, c * tokenSums), zeros);
            next.push_back(k.fma(f, scale, carried[i]));
          }
        }
        return next;
      });
}

SmallVector<Value> IntegerPanel::partials(Value token, int64_t joint,
                                          int64_t count) {
  if (!linear.isRowScaled())
    return groupedPartials(token, joint, count);
  SmallVector<Value> zeros;
  for (int64_t tile = 0; isStored() && tile < joint; ++tile)
    zeros.push_back(k.load(
        k.i32x16(), at(scratch.zeros + tile * PanelScratch::groupsBytes), 64));
  return rowPartials(token, joint, count, zeros);
}

Value IntegerPanel::totalsOf(Value tile) {
  return k.element(at(scratch.totals), tile, dot->blockTokens() * 64);
}

//===----------------------------------------------------------------------===//
// Passes of one item or a few
//===----------------------------------------------------------------------===//

/// Tiles firstTile … firstTile + tileCount − 1, `joint` (a divisor of
/// tileCount) at a time.
void IntegerPanel::emitPass(Value firstTile, Value tileCount, int64_t joint) {
  int64_t slabs = (linear.inputs + slabColumns - 1) / slabColumns;
  panelStart = at(scratch.panels);
  forTokenBlocks([&] {
    Value blockSize = k.sub(endToken, firstToken);
    k.forLoop(k.index(0), tileCount, 1, [&](Value tile) {
      Value totals = totalsOf(tile);
      k.forLoop(k.index(0), blockSize, 1, [&](Value i) {
        k.store(k.zero(k.f32x16()), k.element(totals, i, 64), 64);
      });
    });
    k.forLoop(k.index(0), k.index(slabs), 1, [&](Value index) {
      beginSlab(index);
      k.forLoop(k.index(0), tileCount, joint, [&](Value tile) {
        for (int64_t j = 0; j < joint; ++j)
          decodeTile(steps.tile(k.add(firstTile, k.add(tile, k.index(j)))), j);
        addSlab(totalsOf(tile), joint);
      });
    });
    k.forLoop(k.index(0), tileCount, 1, [&](Value tile) {
      Value index = k.add(firstTile, tile);
      Value totals = totalsOf(tile), rowScales;
      if (linear.isRowScaled())
        rowScales = steps.scales(k.offset(
            steps.tile(index), linear.weights.geometry.group(0).scales));
      k.forLoop(firstToken, endToken, 1, [&](Value token) {
        Value i = k.sub(token, firstToken);
        Value total = k.load(k.f32x16(), k.element(totals, i, 64), 64);
        steps.writeRow(token, index, total, rowScales);
      });
    });
  });
}

void IntegerPanel::emit() {
  int64_t itemTiles = linear.itemTiles();
  int64_t passItems = dot->passTiles() / itemTiles;
  bool isJoint = itemTiles == 2 && dot->jointTiles() == 2;
  assert((!isJoint || passItems == 1) && "a pass is one pair of tiles");
  k.forLoop(arguments.begin, arguments.end, passItems, [&](Value item) {
    Value firstTile = k.mul(item, k.index(itemTiles));
    Value endItem =
        minInteger(k, k.add(item, k.index(passItems)), arguments.end);
    Value endTile = minInteger(k, k.mul(endItem, k.index(itemTiles)),
                               k.index(linear.tiles()));
    Value count = k.sub(endTile, firstTile);
    if (!isJoint)
      return emitPass(firstTile, count, 1);
    if (linear.tiles() == 1)
      return emitPass(firstTile, k.index(1), 1);
    if (linear.tiles() % 2 == 0)
      return emitPass(firstTile, k.index(2), 2);
    Value isPair = k.compare(arith::CmpIPredicate::eq, count, k.index(2));
    k.ifElse(
        isPair, [&] { emitPass(firstTile, k.index(2), 2); },
        [&] { emitPass(firstTile, k.index(1), 1); });
  });
}

void lowbit::emitIntegerPanel(const LinearKernel &linear, KernelBuilder &k,
                              const LinearArguments &arguments) {
  IntegerPanel(linear, k, arguments).emit();
}

int64_t lowbit::integerScratchBytes(const LinearKernel &linear) {
  int64_t start = maxDotScratchBytes(linear);
  if (linear.bucket == 1)
    return start;
  return PanelScratch(start, maxPassTotals, linear.itemTiles()).end;
}
