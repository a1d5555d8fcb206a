//===- LinearFloat.cpp - Float weights, f32 activations ---------*- C++ -*-===//
//
// y = W · x for weights of f32, f16 and bf16. Within a slab each output is one
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
        elementBytes(linear.weightType.getIntOrFloatBitWidth() / 8) {}

  void emitRows();
  void emitBlocks();

private:
  /// Weights of 16 rows of a column, f32.
  Value weights(Value pointer);
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

SmallVector<Value> FloatWalk::addColumns(ArrayRef<Value> tiles, Value token,
                                         int64_t tokens, Value begin,
                                         int64_t count) {
  Type f32 = k.getBuilder().getF32Type();
  Value x = activation(token, begin);
  int64_t columnBytes = tileRows * elementBytes;
  SmallVector<Value> partials(tiles.size() * tokens, k.zero(k.f32x16()));
  auto add = [&](Value column, ValueRange carried, int64_t turns) {
    SmallVector<Value> next(carried);
    Value here = k.element(x, column, 4);
    for (int64_t turn = 0; turn < turns; ++turn) {
      SmallVector<Value> w;
      for (Value tile : tiles)
        w.push_back(
            weights(k.offset(k.element(tile, k.add(begin, column), columnBytes),
                             turn * columnBytes)));
      for (int64_t t = 0; t < tokens; ++t) {
        int64_t at = (t * linear.xStride + turn) * 4;
        Value activations = k.splat(k.load(f32, k.offset(here, at)));
        for (size_t tile = 0; tile < tiles.size(); ++tile) {
          Value &partial = next[tile * tokens + t];
          partial = k.fma(w[tile], activations, partial);
        }
      }
    }
    return next;
  };
  int64_t whole = count / turnColumns * turnColumns;
  if (whole)
    partials = k.forLoop(k.index(0), k.index(whole), turnColumns, partials,
                         [&](Value column, ValueRange carried) {
                           return add(column, carried, turnColumns);
                         });
  if (count > whole)
    partials = add(k.index(whole), partials, count - whole);
  return partials;
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
