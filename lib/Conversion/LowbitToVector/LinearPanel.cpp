//===- LinearPanel.cpp - Blocks of tokens against decoded codes -*- C++ -*-===//
//
// The walk for two tokens and more. For a block of tokens, slab by slab: the
// codes of a slab of one or two tiles are decoded to a panel in scratch, which
// stays in L1, and then multiplied with the activations of all tokens of the
// block, a few at a time. Totals wait in scratch between slabs:
//
//   for each item, block of tokens:   totals = 0
//     for each slab:                  activations → scratch (8-bit AVX2)
//       for each tile (or two):       codes → panel, scales, zero points
//         for each few tokens:        totals += slab
//     y from totals
//
//===----------------------------------------------------------------------===//

#include "LinearSteps.h"

using namespace mlir;
using namespace lowbit;

namespace {

/// Places in scratch, in bytes, for `tiles` tiles.
struct PanelScratch {
  static constexpr int64_t slabSteps = slabColumns / stepColumns;
  /// A slab has at most 16 groups (of 32 columns).
  static constexpr int64_t maxGroups = slabColumns / 32;
  static constexpr int64_t panelBytes = slabSteps * maxStepBytes;
  static constexpr int64_t groupsBytes = maxGroups * 64;

  /// [tile][token] f32x16.
  int64_t totals;
  /// [tile] codes, scales (f32x16 per group), zero points (i32x16 per group).
  int64_t panels, scales, zeros;
  int64_t end;

  PanelScratch(int64_t start, int64_t tiles, int64_t tokens) {
    totals = (start + 63) / 64 * 64;
    panels = totals + tiles * tokens * 64;
    scales = panels + tiles * panelBytes;
    zeros = scales + tiles * groupsBytes;
    end = zeros + tiles * groupsBytes;
  }
};

class PanelWalk {
public:
  PanelWalk(const LinearKernel &linear, KernelBuilder &k,
            const LinearArguments &arguments)
      : linear(linear), k(k), arguments(arguments), steps(linear, k, arguments),
        dot(createIntegerDot(linear, k, arguments)),
        scratch(dot->scratchBytes(), linear.itemTiles(), dot->blockTokens()) {}

  void emit();

private:
  void emitItem(Value firstTile, Value tileCount, int64_t joint);
  void decodeTile(Value tile, int64_t index);
  void decodeGroup(Value tile, Value group, int64_t index, int64_t columns);
  void decodeColumns(Value codes, Value panel, int64_t columns);
  void addSlab(Value totals, int64_t joint);
  void addTokens(Value totals, Value token, int64_t joint, int64_t count);
  SmallVector<Value> groupedPartials(Value token, int64_t joint, int64_t count);
  /// f of `cuts` (i64) cuts from `column` on for each panel and each of `count`
  /// tokens; `zeros` has one value for each panel, or none.
  SmallVector<Value> cutSums(ArrayRef<Value> panels, Value token, Value column,
                             Value cuts, ArrayRef<Value> zeros, int64_t count);
  SmallVector<Value> rowPartials(Value token, int64_t joint, int64_t count);
  /// Address of the totals of tile `tile` of the item.
  Value totalsOf(Value tile);
  Value minimum(Value a, Value b) {
    return k.select(k.compare(arith::CmpIPredicate::slt, a, b), a, b);
  }
  Value at(int64_t bytes) { return k.offset(arguments.scratch, bytes); }
  Value panel(int64_t index) {
    return at(scratch.panels + index * PanelScratch::panelBytes);
  }
  bool isStored() const { return linear.weights.hasStoredZeros(); }

  const LinearKernel &linear;
  KernelBuilder &k;
  const LinearArguments &arguments;
  LinearSteps steps;
  std::unique_ptr<IntegerDot> dot;
  PanelScratch scratch;
  /// The block of tokens and the slab at hand.
  Value firstToken, endToken, slab, firstColumn, columns;
};

} // namespace

//===----------------------------------------------------------------------===//
// Codes, scales and zero points to scratch
//===----------------------------------------------------------------------===//

/// Columns that are decoded as one piece: the largest block.
static constexpr int64_t pieceColumns = 32;

void PanelWalk::decodeColumns(Value codes, Value panel, int64_t count) {
  int64_t pieceBytes = linear.weights.shape->blocks(pieceColumns) *
                       linear.weights.geometry.blockBytes;
  int64_t panelBytes = pieceColumns / stepColumns * dot->stepBytes();
  int64_t pieces = count / pieceColumns;
  k.forLoop(k.index(0), k.index(pieces), 1, [&](Value piece) {
    dot->decode(k.element(codes, piece, pieceBytes),
                k.element(panel, piece, panelBytes), pieceColumns);
  });
  if (int64_t rest = count % pieceColumns)
    dot->decode(k.offset(codes, pieces * pieceBytes),
                k.offset(panel, pieces * panelBytes), rest);
}

void PanelWalk::decodeGroup(Value tile, Value group, int64_t index,
                            int64_t count) {
  const TileGeometry &geometry = linear.weights.geometry;
  Value codes = k.element(tile, group, geometry.groupBytes);
  int64_t codesBytes =
      linear.weights.shape->blocks(count) * geometry.blockBytes;
  Value first = k.mul(slab, k.index(slabColumns / geometry.groupColumns));
  Value inSlab = k.sub(group, first);
  int64_t panelBytes = geometry.groupColumns / stepColumns * dot->stepBytes();
  decodeColumns(codes, k.element(panel(index), inSlab, panelBytes), count);
  int64_t base = index * PanelScratch::groupsBytes;
  k.store(steps.scales(k.offset(codes, codesBytes)),
          k.element(at(scratch.scales + base), inSlab, 64), 64);
  if (isStored())
    k.store(steps.zeros(k.offset(codes, codesBytes + geometry.scalesBytes)),
            k.element(at(scratch.zeros + base), inSlab, 64), 64);
}

void PanelWalk::decodeTile(Value tile, int64_t index) {
  Value isLast =
      k.compare(arith::CmpIPredicate::eq, slab,
                k.index((linear.inputs + slabColumns - 1) / slabColumns - 1));
  if (!linear.isRowScaled()) {
    int64_t group = linear.weights.group;
    int64_t fullGroups = linear.inputs / group;
    Value first = k.mul(slab, k.index(slabColumns / group));
    Value end = minimum(k.add(first, k.index(slabColumns / group)),
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
  if (rest == 0)
    decodeColumns(codes, panel(index), slabColumns);
  else if (linear.inputs < slabColumns)
    decodeColumns(codes, panel(index), rest);
  else
    k.ifElse(
        isLast, [&] { decodeColumns(codes, panel(index), rest); },
        [&] { decodeColumns(codes, panel(index), slabColumns); });
  if (isStored())
    k.store(steps.zeros(k.offset(tile, linear.weights.geometry.group(0).zeros)),
            at(scratch.zeros + index * PanelScratch::groupsBytes), 64);
}

//===----------------------------------------------------------------------===//
// Tokens against panels
//===----------------------------------------------------------------------===//

SmallVector<Value> PanelWalk::cutSums(ArrayRef<Value> panels, Value token,
                                      Value column, Value cuts,
                                      ArrayRef<Value> zeros, int64_t count) {
  int64_t cut = linear.cutColumns();
  int64_t cutBytes = cut / stepColumns * dot->stepBytes();
  int64_t tokenSums = linear.planes * linear.sumCount() * 4;
  Value firstSums = steps.sums(token, k.div(column, k.index(cut)));
  SmallVector<Value> f(panels.size() * count, k.zero(k.f32x16()));
  return k.forLoop(k.index(0), cuts, 1, f, [&](Value i, ValueRange carried) {
    SmallVector<Value> here;
    for (Value panel : panels)
      here.push_back(k.element(panel, i, cutBytes));
    Value at = k.add(column, k.mul(i, k.index(cut)));
    SmallVector<Sums> exact = dot->panelSums(
        here, {token, at, firstToken, firstColumn}, count, {cut, Value()});
    Value sums = k.element(firstSums, i, 4);
    SmallVector<Value> next(carried);
    for (int64_t c = 0; c < count; ++c) {
      Value scale = steps.groupScale(k.add(token, k.index(c)), at);
      for (size_t tile = 0; tile < panels.size(); ++tile) {
        Value &sum = next[tile * count + c];
        sum = k.fma(steps.toFloat(exact[tile * count + c],
                                  k.offset(sums, c * tokenSums),
                                  zeros.empty() ? Value() : zeros[tile]),
                    scale, sum);
      }
    }
    return next;
  });
}

/// Partial sums of the slab, entry tile · count + token.
SmallVector<Value> PanelWalk::groupedPartials(Value token, int64_t joint,
                                              int64_t count) {
  int64_t group = linear.weights.group;
  int64_t tokenSums = linear.planes * linear.sumCount() * 4;
  Value firstGroup = k.mul(slab, k.index(slabColumns / group));
  Value end =
      minimum(k.index(slabColumns / group),
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
        SmallVector<Value> zeros;
        for (int64_t tile = 0; tile < joint && isStored(); ++tile)
          zeros.push_back(k.load(
              k.i32x16(),
              k.element(at(scratch.zeros + tile * PanelScratch::groupsBytes), g,
                        64),
              64));
        SmallVector<Value> f;
        SmallVector<Sums> exact;
        if (linear.isCut()) {
          int64_t cut = linear.cutColumns();
          Value rest = k.sub(k.index(linear.inputs + cut - 1), column);
          Value cuts = minimum(k.index(group / cut), k.div(rest, k.index(cut)));
          f = cutSums(panels, token, column, cuts, zeros, count);
        } else {
          exact =
              dot->panelSums(panels, {token, column, firstToken, firstColumn},
                             count, {group, Value()});
        }
        SmallVector<Value> next;
        for (int64_t tile = 0; tile < joint; ++tile) {
          int64_t base = tile * PanelScratch::groupsBytes;
          Value scale = k.load(k.f32x16(),
                               k.element(at(scratch.scales + base), g, 64), 64);
          for (int64_t c = 0; c < count; ++c) {
            int64_t i = tile * count + c;
            Value sum = linear.isCut()
                            ? f[i]
                            : steps.toFloat(exact[i],
                                            k.offset(k.element(sums, g, 4),
                                                     c * tokenSums),
                                            isStored() ? zeros[tile] : Value());
            next.push_back(k.fma(sum, scale, carried[i]));
          }
        }
        return next;
      });
}

SmallVector<Value> PanelWalk::rowPartials(Value token, int64_t joint,
                                          int64_t count) {
  SmallVector<Value> panels;
  for (int64_t tile = 0; tile < joint; ++tile)
    panels.push_back(panel(tile));
  SmallVector<Value> panelZeros;
  for (int64_t tile = 0; tile < joint && isStored(); ++tile)
    panelZeros.push_back(k.load(
        k.i32x16(), at(scratch.zeros + tile * PanelScratch::groupsBytes), 64));
  if (linear.isCut()) {
    int64_t cut = linear.cutColumns();
    Value cuts = k.div(k.add(columns, k.index(cut - 1)), k.index(cut));
    return cutSums(panels, token, firstColumn, cuts, panelZeros, count);
  }
  // Beyond the last column activations are 0, up to whole periods (5.2).
  Value periods = k.shrs(k.add(columns, k.index(periodColumns - 1)),
                         llvm::Log2_64(periodColumns));
  SmallVector<Sums> exact =
      dot->panelSums(panels, {token, firstColumn, firstToken, firstColumn},
                     count, {0, periods});
  Value sums = steps.sums(token, slab);
  int64_t tokenSums = linear.planes * linear.sumCount() * 4;
  SmallVector<Value> partials;
  for (int64_t tile = 0; tile < joint; ++tile) {
    Value zeros = isStored() ? panelZeros[tile] : Value();
    for (int64_t c = 0; c < count; ++c)
      partials.push_back(steps.toFloat(exact[tile * count + c],
                                       k.offset(sums, c * tokenSums), zeros));
  }
  return partials;
}

Value PanelWalk::totalsOf(Value tile) {
  return k.element(at(scratch.totals), tile, dot->blockTokens() * 64);
}

/// totals += slab for `count` tokens of `joint` tiles.
void PanelWalk::addTokens(Value totals, Value token, int64_t joint,
                          int64_t count) {
  SmallVector<Value> partials = linear.isRowScaled()
                                    ? rowPartials(token, joint, count)
                                    : groupedPartials(token, joint, count);
  Value first = k.element(totals, k.sub(token, firstToken), 64);
  for (int64_t tile = 0; tile < joint; ++tile)
    for (int64_t c = 0; c < count; ++c) {
      Value pointer = k.offset(first, (tile * dot->blockTokens() + c) * 64);
      Value total = k.load(k.f32x16(), pointer, 64);
      k.store(k.add(total, partials[tile * count + c]), pointer, 64);
    }
}

void PanelWalk::addSlab(Value totals, int64_t joint) {
  Value token = firstToken;
  for (int64_t count : dot->tokenCounts(joint)) {
    Value rest = k.sub(endToken, token);
    Value whole = k.mul(k.div(rest, k.index(count)), k.index(count));
    Value end = k.add(token, whole);
    k.forLoop(token, end, count,
              [&](Value i) { addTokens(totals, i, joint, count); });
    token = end;
  }
}

//===----------------------------------------------------------------------===//
// Items
//===----------------------------------------------------------------------===//

/// Tiles firstTile … firstTile + tileCount − 1, `joint` (a divisor of
/// tileCount) at a time.
void PanelWalk::emitItem(Value firstTile, Value tileCount, int64_t joint) {
  int64_t slabs = (linear.inputs + slabColumns - 1) / slabColumns;
  k.forLoop(k.index(0), arguments.tokens, dot->blockTokens(), [&](Value token) {
    firstToken = token;
    endToken =
        minimum(k.add(token, k.index(dot->blockTokens())), arguments.tokens);
    Value blockSize = k.sub(endToken, firstToken);
    k.forLoop(k.index(0), tileCount, 1, [&](Value tile) {
      Value totals = totalsOf(tile);
      k.forLoop(k.index(0), blockSize, 1, [&](Value i) {
        k.store(k.zero(k.f32x16()), k.element(totals, i, 64), 64);
      });
    });
    k.forLoop(k.index(0), k.index(slabs), 1, [&](Value index) {
      slab = index;
      firstColumn = k.mul(slab, k.index(slabColumns));
      columns = minimum(k.index(slabColumns),
                        k.sub(k.index(linear.inputs), firstColumn));
      dot->beginSlab(firstToken, endToken, firstColumn);
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

void PanelWalk::emit() {
  int64_t itemTiles = linear.itemTiles();
  bool isJoint = itemTiles == 2 && dot->jointTiles() == 2;
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value item) {
    Value firstTile = k.mul(item, k.index(itemTiles));
    Value rest = k.sub(k.index(linear.tiles()), firstTile);
    if (!isJoint)
      return emitItem(firstTile, minimum(rest, k.index(itemTiles)), 1);
    if (linear.tiles() == 1)
      return emitItem(firstTile, k.index(1), 1);
    if (linear.tiles() % 2 == 0)
      return emitItem(firstTile, k.index(2), 2);
    Value isPair =
        k.compare(arith::CmpIPredicate::sge, rest, k.index(itemTiles));
    k.ifElse(
        isPair, [&] { emitItem(firstTile, k.index(2), 2); },
        [&] { emitItem(firstTile, k.index(1), 1); });
  });
}

void lowbit::emitIntegerPanel(const LinearKernel &linear, KernelBuilder &k,
                              const LinearArguments &arguments) {
  PanelWalk(linear, k, arguments).emit();
}

int64_t lowbit::integerScratchBytes(const LinearKernel &linear) {
  int64_t start = maxDotScratchBytes(linear);
  if (linear.bucket == 1)
    return start;
  return PanelScratch(start, linear.itemTiles(), maxBlockTokens).end;
}
