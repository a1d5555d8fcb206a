//===- Add.cpp - Sum of two batches of rows ---------------------*- C++ -*-===//
//
// y = a + b. In place where y is a or b: each vector is read before the same
// place is written.
//
//===----------------------------------------------------------------------===//

#include "RowLoops.h"

using namespace lowbit;
using namespace mlir;

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  int64_t columns = parameters.integer("columns", 1);
  ColumnView aView = parameters.view("a", columns);
  ColumnView bView = parameters.view("b", columns);
  if (parameters.failed())
    return failure();
  SmallVector<Value> pointers = loadArguments(k, arguments, 3);
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    Value a = rowPointer(k, pointers[0], row, aView);
    Value b = rowPointer(k, pointers[1], row, bView);
    // y in place has the stride of what it replaces; otherwise rows of y are
    // `columns` apart, as every result (Spec.md, 5.2).
    Value y = rowPointer(k, pointers[2], row, {0, columns});
    forColumns(k, columns, 2, [&](Value i, int64_t lanes) {
      Type f32 = k.getBuilder().getF32Type();
      Value sum = k.add(loadLanes(k, f32, k.element(a, i, 4), lanes),
                        loadLanes(k, f32, k.element(b, i, 4), lanes));
      storeLanes(k, sum, k.element(y, i, 4), lanes);
    });
  });
  return success();
}

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::addFamily = {"add", emit, scratchBytes};
