//===- LinearFloat.cpp - Float weights by chains of fma ---------*- C++ -*-===//
//
// Within a slab each output is one chain of fma over k, as Spec.md, section 3
// wants: a lane has one row of the pair and one chain for each token. Columns
// of a tile lie one after the other, 16 rows each, so a warp reads two runs of
// consecutive elements at a time.
//
//===----------------------------------------------------------------------===//

#include "LinearBlock.h"

using namespace mlir;
using namespace lowbit;

namespace {

class FloatProduct : public SlabProduct {
public:
  FloatProduct(const LinearKernel &linear, TileBuilder &t, int64_t tokens)
      : linear(linear), t(t), tokens(tokens),
        elementBytes(linear.weightType.getIntOrFloatBitWidth() / 8) {}

  void beginKernel(const LinearPointers &pointers) override;
  void beginTokens(Value token) override;
  void emitSlab(Value slab, int64_t columns, Value partials) override;

private:
  /// Columns of one turn of the innermost loop.
  static constexpr int64_t turnColumns = 4;
  Value weight(Value column);

  const LinearKernel &linear;
  TileBuilder &t;
  const int64_t tokens, elementBytes;
  Value x, row;
  SmallVector<Value> activations; ///< row of x, by token
};

} // namespace

void FloatProduct::beginKernel(const LinearPointers &pointers) {
  x = pointers.x;
  Value tile =
      pairTile(t, linear, t.item(), t.shru(t.lane(), 4), pointers.weight);
  row = t.element(tile, t.andi(t.lane(), t.index(tileRows - 1)), elementBytes);
}

void FloatProduct::beginTokens(Value token) {
  activations.clear();
  Value last = t.sub(t.rows(), t.index(1));
  for (int64_t i = 0; i < tokens; ++i) {
    // One that does not exist repeats the last.
    Value here = t.minInteger(t.add(token, t.index(i)), last);
    activations.push_back(
        t.element(x, t.mul(here, t.index(linear.xStride)), 4));
  }
}

Value FloatProduct::weight(Value column) {
  OpBuilder &builder = t.getBuilder();
  Value pointer = t.element(row, column, tileRows * elementBytes);
  if (linear.weightType.isF32())
    return t.loadConstant(builder.getF32Type(), pointer);
  Value bits = t.loadConstant(builder.getI16Type(), pointer);
  return linear.weightType.isF16() ? t.f16ToF32(bits) : t.bf16ToF32(bits);
}

void FloatProduct::emitSlab(Value slab, int64_t columns, Value partials) {
  Value begin = t.mul(slab, t.index(slabColumns));
  SmallVector<Value> sums(tokens, t.f32(0.0f));
  auto add = [&](Value column, int64_t turns, ValueRange carried) {
    SmallVector<Value> next(carried);
    for (int64_t turn = 0; turn < turns; ++turn) {
      Value here = t.add(t.add(begin, column), t.index(turn));
      Value w = weight(here);
      for (auto [sum, activation] : llvm::zip_equal(next, activations))
        sum = t.fma(w, t.loadF32(activation, here), sum);
    }
    return next;
  };
  int64_t whole = columns / turnColumns * turnColumns;
  if (whole > 0)
    sums = t.forLoop(t.index(0), t.index(whole), turnColumns, sums,
                     [&](Value column, ValueRange carried) {
                       return add(column, turnColumns, carried);
                     });
  if (columns > whole)
    sums = add(t.index(whole), columns - whole, sums);
  for (auto [token, sum] : llvm::enumerate(sums))
    t.storeF32(sum, t.offset(partials, 4 * pairRows * int64_t(token)),
               t.lane());
}

std::unique_ptr<SlabProduct>
lowbit::createFloatProduct(const LinearKernel &linear, TileBuilder &t,
                           int64_t tokens) {
  return std::make_unique<FloatProduct>(linear, t, tokens);
}
