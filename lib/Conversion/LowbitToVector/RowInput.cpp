//===- RowInput.cpp - A row as a quantizer sees it --------------*- C++ -*-===//

#include "RowInput.h"

using namespace lowbit;
using namespace mlir;

void RowInput::begin(KernelBuilder &k, ValueRange pointers, Value row) {
  source.begin(k, pointers, row);
  kept = scratch;
  if (transforms.empty())
    return;
  forColumns(k, inputColumns, 1, [&](Value i, int64_t lanes) {
    k.store(source.values(k, i, lanes), k.element(scratch, i, 4));
  });
  Value spare = k.offset(scratch, transforms.rowElements() * 4);
  kept = transforms.apply(
      k, scratch, spare,
      pointers.slice(source.argumentCount(), transforms.argumentCount()));
}

Value RowInput::first(KernelBuilder &k, Value i, int64_t lanes) {
  if (!transforms.empty())
    return again(k, i, lanes);
  Value x = source.values(k, i, lanes);
  if (!source.isPlain())
    k.store(x, k.element(kept, i, 4));
  return x;
}

Value RowInput::again(KernelBuilder &k, Value i, int64_t lanes) {
  if (isPlain())
    return source.values(k, i, lanes);
  return loadLanes(k, k.getBuilder().getF32Type(), k.element(kept, i, 4),
                   lanes);
}
