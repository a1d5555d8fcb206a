//===- PanelWalk.cpp - Blocks of tokens against panels ----------*- C++ -*-===//

#include "PanelWalk.h"
#include "RowLoops.h"

using namespace mlir;
using namespace lowbit;

void PanelWalk::forTokenBlocks(function_ref<void()> body) {
  k.forLoop(k.index(0), arguments.tokens, dot->blockTokens(), [&](Value token) {
    firstToken = token;
    endToken = minInteger(k, k.add(token, k.index(dot->blockTokens())),
                          arguments.tokens);
    body();
  });
}

void PanelWalk::beginSlab(Value index) {
  slab = index;
  firstColumn = k.mul(slab, k.index(slabColumns));
  columns = minInteger(k, k.index(slabColumns),
                       k.sub(k.index(linear.inputs), firstColumn));
  dot->beginSlab(firstToken, endToken, firstColumn);
}

SmallVector<Value> PanelWalk::rowPartials(Value token, int64_t joint,
                                          int64_t count,
                                          ArrayRef<Value> zeros) {
  SmallVector<Value> panels;
  for (int64_t tile = 0; tile < joint; ++tile)
    panels.push_back(panel(tile));
  // Beyond the last column activations are 0, up to whole periods (5.2).
  Value periods = k.shrs(k.add(columns, k.index(periodColumns - 1)),
                         llvm::Log2_64(periodColumns));
  Value sums = steps.sums(token, slab);
  SmallVector<Sums> exact = dot->panelSums(
      panels, {token, firstColumn, firstToken, firstColumn, sums}, count,
      {0, periods});
  int64_t tokenSums = linear.planes * linear.sumCount() * 4;
  SmallVector<Value> partials;
  for (int64_t tile = 0; tile < joint; ++tile)
    for (int64_t c = 0; c < count; ++c)
      partials.push_back(toFloat(exact[tile * count + c],
                                 k.offset(sums, c * tokenSums),
                                 zeros.empty() ? Value() : zeros[tile]));
  return partials;
}

/// totals += slab for `count` tokens of `joint` panels.
void PanelWalk::addTokens(Value totals, Value token, int64_t joint,
                          int64_t count) {
  SmallVector<Value> slabSums = partials(token, joint, count);
  Value first = k.element(totals, k.sub(token, firstToken), 64);
  for (int64_t tile = 0; tile < joint; ++tile)
    for (int64_t c = 0; c < count; ++c) {
      Value pointer = k.offset(first, (tile * dot->blockTokens() + c) * 64);
      Value total = k.load(k.f32x16(), pointer, 64);
      k.store(k.add(total, slabSums[tile * count + c]), pointer, 64);
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
