//===- Gate.cpp - Gated activation ------------------------------*- C++ -*-===//

#include "Prologue.h"

using namespace lowbit;
using namespace mlir;

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  int64_t columns = parameters.integer("columns", 1);
  RowSource source("gate", columns, parameters);
  if (parameters.failed())
    return failure();
  SmallVector<Value> pointers = loadArguments(k, arguments, 3);
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    source.begin(k, pointers, row);
    Value y = rowPointer(k, pointers[2], row, {0, columns});
    forColumns(k, columns, 1, [&](Value i, int64_t lanes) {
      storeLanes(k, source.values(k, i, lanes), k.element(y, i, 4), lanes);
    });
  });
  return success();
}

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::gateFamily = {"gate", emit, scratchBytes};
