//===- TransformRows.cpp - Rows behind transforms, as f32 -------*- C++ -*-===//
//
// What is not followed by a quantizer: `y = x · T…` stored as it is.
//
//===----------------------------------------------------------------------===//

#include "RowInput.h"

using namespace lowbit;
using namespace mlir;

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  RowInput input(parameters);
  if (parameters.failed())
    return failure();
  int64_t inputs = input.argumentCount();
  SmallVector<Value> pointers = loadArguments(k, arguments, inputs + 1);
  input.prepare(k, arguments.scratch);
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    Value y = rowPointer(k, pointers[inputs], row, {0, input.columns()});
    input.begin(k, pointers, row);
    forColumns(k, input.columns(), 1, [&](Value i, int64_t lanes) {
      storeLanes(k, input.first(k, i, lanes), k.element(y, i, 4), lanes);
    });
  });
  return success();
}

static int64_t scratchBytes(KernelOp kernel) {
  KernelParameters parameters(kernel);
  return RowInput(parameters).scratchBytes();
}

const KernelFamily lowbit::transformRowsFamily = {"transform_rows", emit,
                                                  scratchBytes};
