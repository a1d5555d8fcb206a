//===- SelectRows.cpp - The listed rows of a batch --------------*- C++ -*-===//

#include "RowLoops.h"

using namespace lowbit;
using namespace mlir;

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  int64_t columns = parameters.integer("columns", 1);
  ColumnView view = parameters.view("x", columns);
  if (parameters.failed())
    return failure();
  SmallVector<Value> pointers = loadArguments(k, arguments, 3);
  Type f32 = k.getBuilder().getF32Type();
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    Value source = loadIndex(k, k.element(pointers[1], row, 4));
    Value x = rowPointer(k, pointers[0], source, view);
    Value y = rowPointer(k, pointers[2], row, {0, columns});
    forColumns(k, columns, 2, [&](Value i, int64_t lanes) {
      storeLanes(k, loadLanes(k, f32, k.element(x, i, 4), lanes),
                 k.element(y, i, 4), lanes);
    });
  });
  return success();
}

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::selectRowsFamily = {"select_rows", emit,
                                               scratchBytes};
