//===- LinearFloat.cpp - Float weights, f32 activations ---------*- C++ -*-===//
//
// y = W · x for weights of f32, f16 and bf16 and for formats of floats, whose
// codes are widened and scaled in registers. Within a slab each output is one
// chain of fma over k, as Spec.md, section 3 wants; speed comes from many
// chains at once: several tiles for one token, or several tokens for one tile.
//
//===----------------------------------------------------------------------===//

#include "LinearSteps.h"
#include "RowLoops.h"

using namespace mlir;
using namespace lowbit;

namespace {

/// Tokens whose totals wait in scratch.
constexpr int64_t blockTokens = 240;
/// Columns of one turn of the innermost loop.
constexpr int64_t turnColumns = 4;

class FloatWalk {
public:
  FloatWalk(const LinearKernel &linear, KernelBuilder &k,
            const LinearArguments &arguments)
      : linear(linear), k(k), arguments(arguments), steps(linear, k, arguments),
        elementBytes(linear.weightType
                         ? linear.weightType.getIntOrFloatBitWidth() / 8
                         : 0) {}

  void emitRows();
  void emitBlocks();

private:
  /// One turn of a loop over columns: adds `columns` columns to the sums that
  /// are carried.
  using Turn = llvm::function_ref<SmallVector<Value>(
      Value column, ValueRange carried, int64_t columns)>;
  /// Turns of `width` columns from 0 to `count`, the last one shorter.
  SmallVector<Value> forTurns(int64_t count, int64_t width, size_t sums,
                              Turn turn);
  /// Adds a column of w (of each tile) times the activations of `tokens` tokens
  /// at `x` to `sums`.
  void addColumn(ArrayRef<Value> w, Value x, int64_t tokens,
                 SmallVector<Value> &sums);
  /// Weights of 16 rows of a column, f32.
  Value weights(Value pointer);
  /// addColumns for weights with a format.
  SmallVector<Value> addCodes(ArrayRef<Value> tiles, Value token,
                              int64_t tokens, Value begin, int64_t count);
  Value activation(Value token, Value column);
  /// Σ over columns begin … begin + count − 1 of one slab, added to `partials`
  /// (entry tile · tokens + token); `tiles` point at column 0.
  SmallVector<Value> addColumns(ArrayRef<Value> tiles, Value token,
                                int64_t tokens, Value begin, int64_t count);
  /// Totals of `count` tiles from `tile` on for one token, stored.
  void writeTiles(Value token, Value tile, int64_t count);
  void addSlab(Value tile, Value firstToken, Value endToken, Value begin,
               int64_t count);
  /// Tiles (of one token) and tokens (of one tile) taken together.
  int64_t jointTiles() const;
  SmallVector<int64_t> tokenCounts() const;

  const LinearKernel &linear;
  KernelBuilder &k;
  const LinearArguments &arguments;
  LinearSteps steps;
  int64_t elementBytes;
};

} // namespace

int64_t FloatWalk::jointTiles() const {
  // Chains of 4 or 5 cycles must deliver columns faster than memory does.
  unsigned bits = k.getTarget().vectorBits;
  return bits >= 512 ? 4 : bits >= 256 ? 2 : 1;
}

SmallVector<int64_t> FloatWalk::tokenCounts() const {
  unsigned bits = k.getTarget().vectorBits;
  if (bits >= 512)
    return {12, 4, 1};
  return bits >= 256 ? SmallVector<int64_t>{6, 2, 1}
                     : SmallVector<int64_t>{2, 1};
}

Value FloatWalk::weights(Value pointer) {
  if (linear.weightType.isF32())
    return k.load(k.f32x16(), pointer);
  Value bits = k.load(k.vectorType(k.getBuilder().getI16Type()), pointer);
  return linear.weightType.isF16() ? k.f16ToF32(bits) : k.bf16ToF32(bits);
}

Value FloatWalk::activation(Value token, Value column) {
  Value i = k.add(k.mul(token, k.index(linear.xStride)), column);
  return k.element(arguments.x, i, 4);
}

SmallVector<Value> FloatWalk::forTurns(int64_t count, int64_t width,
                                       size_t sums, Turn turn) {
  SmallVector<Value> partials(sums, k.zero(k.f32x16()));
  int64_t whole = count / width * width;
  if (whole)
    partials = k.forLoop(k.index(0), k.index(whole), width, partials,
                         [&](Value column, ValueRange carried) {
                           return turn(column, carried, width);
                         });
  if (count > whole)
    partials = turn(k.index(whole), partials, count - whole);
  return partials;
}

void FloatWalk::addColumn(ArrayRef<Value> w, Value x, int64_t tokens,
                          SmallVector<Value> &sums) {
  Type f32 = k.getBuilder().getF32Type();
  for (int64_t t = 0; t < tokens; ++t) {
    Value activations =
        k.splat(k.load(f32, k.offset(x, t * linear.xStride * 4)));
    for (size_t tile = 0; tile < w.size(); ++tile) {
      Value &sum = sums[tile * tokens + t];
      sum = k.fma(w[tile], activations, sum);
    }
  }
}

SmallVector<Value> FloatWalk::addColumns(ArrayRef<Value> tiles, Value token,
                                         int64_t tokens, Value begin,
                                         int64_t count) {
  if (!linear.weightType)
    return addCodes(tiles, token, tokens, begin, count);
  Value x = activation(token, begin);
  int64_t columnBytes = tileRows * elementBytes;
  return forTurns(count, turnColumns, tiles.size() * tokens,
                  [&](Value column, ValueRange carried, int64_t columns) {
                    SmallVector<Value> sums(carried);
                    Value here = k.element(x, column, 4);
                    for (int64_t i = 0; i < columns; ++i) {
                      SmallVector<Value> w;
                      for (Value tile : tiles)
                        w.push_back(weights(k.offset(
                            k.element(tile, k.add(begin, column), columnBytes),
                            i * columnBytes)));
                      addColumn(w, k.offset(here, i * 4), tokens, sums);
                    }
                    return sums;
                  });
}

SmallVector<Value> FloatWalk::addCodes(ArrayRef<Value> tiles, Value token,
                                       int64_t tokens, Value begin,
                                       int64_t count) {
  const GroupedWeights &weights = linear.weights;
  const DecodeShape &shape = *weights.shape;
  Value x = activation(token, begin);
  auto addGroup = [&](Value column, ValueRange carried, int64_t columns) {
    SmallVector<Value> sums(carried), codes, scales;
    Value group = k.div(k.add(begin, column), k.index(weights.group));
    for (Value tile : tiles) {
      codes.push_back(k.element(tile, group, weights.geometry.groupBytes));
      int64_t bytes = shape.blocks(columns) * shape.blockBytes();
      scales.push_back(weights.scales(k, k.offset(codes.back(), bytes)));
    }
    Value here = k.element(x, column, 4);
    for (int64_t block = 0; block < shape.blocks(columns); ++block) {
      SmallVector<BlockWords> words;
      for (Value pointer : codes)
        words.emplace_back(k, k.offset(pointer, block * shape.blockBytes()),
                           64);
      for (const CodeStep &step : shape.steps(StepCut::Whole)) {
        SmallVector<Value> bytes;
        for (BlockWords &w : words)
          bytes.push_back(k.bitcast(shape.emit(k, step, w), k.i32x16()));
        int64_t first = block * shape.columns() + step.column;
        for (int64_t i = first; i < std::min(first + stepColumns, columns);
             ++i) {
          SmallVector<Value> w;
          for (auto [word, scale] : llvm::zip_equal(bytes, scales)) {
            Value code =
                k.andi(k.shru(word, 8 * (i - first)), k.splat(k.i32(0xFF)));
            w.push_back(k.mul(weights.floatValues(k, code), scale));
          }
          addColumn(w, k.offset(here, i * 4), tokens, sums);
        }
      }
    }
    return sums;
  };
  return forTurns(count, weights.group, tiles.size() * tokens, addGroup);
}

//===----------------------------------------------------------------------===//
// One token at a time
//===----------------------------------------------------------------------===//

void FloatWalk::writeTiles(Value token, Value tile, int64_t count) {
  SmallVector<Value> tiles;
  for (int64_t i = 0; i < count; ++i)
    tiles.push_back(steps.tile(k.add(tile, k.index(i))));
  int64_t slabs = linear.inputs / slabColumns;
  auto addPart = [&](ValueRange totals, Value begin, int64_t columns) {
    SmallVector<Value> next;
    for (auto [total, partial] :
         llvm::zip_equal(totals, addColumns(tiles, token, 1, begin, columns)))
      next.push_back(k.add(total, partial));
    return next;
  };
  SmallVector<Value> totals(count, k.zero(k.f32x16()));
  if (slabs > 0)
    totals = k.forLoop(k.index(0), k.index(slabs * slabColumns), slabColumns,
                       totals, [&](Value begin, ValueRange carried) {
                         return addPart(carried, begin, slabColumns);
                       });
  if (int64_t rest = linear.inputs % slabColumns)
    totals = addPart(totals, k.index(slabs * slabColumns), rest);
  for (int64_t i = 0; i < count; ++i)
    steps.writeRow(token, k.add(tile, k.index(i)), totals[i], Value());
}

void FloatWalk::emitRows() {
  k.forLoop(k.index(0), arguments.tokens, 1, [&](Value token) {
    int64_t joint = jointTiles();
    Value count = k.sub(arguments.end, arguments.begin);
    Value whole = k.mul(k.div(count, k.index(joint)), k.index(joint));
    Value middle = k.add(arguments.begin, whole);
    if (joint > 1)
      k.forLoop(arguments.begin, middle, joint,
                [&](Value tile) { writeTiles(token, tile, joint); });
    k.forLoop(joint > 1 ? middle : arguments.begin, arguments.end, 1,
              [&](Value tile) { writeTiles(token, tile, 1); });
  });
}

//===----------------------------------------------------------------------===//
// Blocks of tokens
//===----------------------------------------------------------------------===//

/// totals[token] += slab, for the tokens of the block.
void FloatWalk::addSlab(Value tile, Value firstToken, Value endToken,
                        Value begin, int64_t count) {
  Value token = firstToken;
  for (int64_t tokens : tokenCounts()) {
    Value rest = k.sub(endToken, token);
    Value whole = k.mul(k.div(rest, k.index(tokens)), k.index(tokens));
    Value end = k.add(token, whole);
    k.forLoop(token, end, tokens, [&](Value here) {
      SmallVector<Value> partials =
          addColumns({tile}, here, tokens, begin, count);
      Value totals = k.element(arguments.scratch, k.sub(here, firstToken), 64);
      for (auto [i, partial] : llvm::enumerate(partials)) {
        Value pointer = k.offset(totals, i * 64);
        k.store(k.add(k.load(k.f32x16(), pointer, 64), partial), pointer, 64);
      }
    });
    token = end;
  }
}

void FloatWalk::emitBlocks() {
  Value itemTiles = k.index(linear.itemTiles());
  Value endTile =
      minInteger(k, k.mul(arguments.end, itemTiles), k.index(linear.tiles()));
  int64_t slabs = linear.inputs / slabColumns;
  k.forLoop(k.mul(arguments.begin, itemTiles), endTile, 1, [&](Value index) {
    Value tile = steps.tile(index);
    k.forLoop(k.index(0), arguments.tokens, blockTokens, [&](Value first) {
      Value end =
          minInteger(k, k.add(first, k.index(blockTokens)), arguments.tokens);
      k.forLoop(k.index(0), k.sub(end, first), 1, [&](Value i) {
        k.store(k.zero(k.f32x16()), k.element(arguments.scratch, i, 64), 64);
      });
      if (slabs > 0)
        k.forLoop(k.index(0), k.index(slabs * slabColumns), slabColumns,
                  [&](Value begin) {
                    addSlab(tile, first, end, begin, slabColumns);
                  });
      if (int64_t rest = linear.inputs % slabColumns)
        addSlab(tile, first, end, k.index(slabs * slabColumns), rest);
      k.forLoop(first, end, 1, [&](Value token) {
        Value totals = k.element(arguments.scratch, k.sub(token, first), 64);
        steps.writeRow(token, index, k.load(k.f32x16(), totals, 64), Value());
      });
    });
  });
}

void lowbit::emitFloatLinear(const LinearKernel &linear, KernelBuilder &k,
                             const LinearArguments &arguments) {
  FloatWalk walk(linear, k, arguments);
  if (linear.bucket == 1)
    walk.emitRows();
  else
    walk.emitBlocks();
}

int64_t lowbit::floatScratchBytes(const LinearKernel &linear) {
  return linear.bucket == 1 ? 0 : blockTokens * 64;
}
