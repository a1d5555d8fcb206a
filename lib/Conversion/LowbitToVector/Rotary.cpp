//===- Rotary.cpp - Rotary position embedding of rows -----------*- C++ -*-===//
//
// Every head of a row is turned, Spec.md, section 3:
//
//   a' = fma(a, cos, -(b · sin)), b' = fma(b, cos, a · sin)
//
// for the pairs (x[i], x[i + head_dim/2]). What attention needs is turned by
// `rotary_cache`; this family is for rows that are looked at for themselves.
//
//===----------------------------------------------------------------------===//

#include "RowLoops.h"

using namespace lowbit;
using namespace mlir;

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  int64_t columns = parameters.integer("columns", 1);
  int64_t headDim = parameters.integer("head_dim", 1);
  ColumnView xView = parameters.view("x", columns);
  if (!parameters.failed() && (headDim % 2 != 0 || columns % headDim != 0))
    parameters.report("head_dim", "expected an even divisor of the columns");
  if (parameters.failed())
    return failure();
  int64_t half = headDim / 2;
  SmallVector<Value> pointers = loadArguments(k, arguments, 4);
  Type f32 = k.getBuilder().getF32Type();
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    Value x = rowPointer(k, pointers[0], row, xView);
    Value cosRow = rowPointer(k, pointers[1], row, {0, half});
    Value sinRow = rowPointer(k, pointers[2], row, {0, half});
    Value y = rowPointer(k, pointers[3], row, {0, columns});
    k.forLoop(k.index(0), k.index(columns), headDim, [&](Value first) {
      Value in = k.element(x, first, 4);
      Value out = k.element(y, first, 4);
      forColumns(k, half, 1, [&](Value i, int64_t lanes) {
        auto lanesAt = [&](Value pointer, int64_t begin) {
          return loadLanes(
              k, f32, k.offset(k.element(pointer, i, 4), 4 * begin), lanes);
        };
        Value a = lanesAt(in, 0), b = lanesAt(in, half);
        Value cos = lanesAt(cosRow, 0), sin = lanesAt(sinRow, 0);
        Value low = k.fma(a, cos, k.neg(k.mul(b, sin)));
        Value high = k.fma(b, cos, k.mul(a, sin));
        Value place = k.element(out, i, 4);
        storeLanes(k, low, place, lanes);
        storeLanes(k, high, k.offset(place, 4 * half), lanes);
      });
    });
  });
  return success();
}

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::rotaryFamily = {"rotary", emit, scratchBytes};
