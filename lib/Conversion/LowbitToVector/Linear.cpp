//===- Linear.cpp - The family of linears -----------------------*- C++ -*-===//
//
// y = W · x for every weight type and activation: the choice of the walk.
// A walk says in which order tiles, tokens and columns are taken and does the
// float steps; an instruction family (LinearDot.h) does the integer sums.
//
//   bucket 1       LinearRow.cpp    codes are masked in place
//   bucket 16, 32  LinearPanel.cpp  codes are decoded once to a panel in L1;
//                                   on AVX2 up to 4 tokens of bucket 16 go the
//                                   way of one: a panel pays from the fifth on
//   float weights  LinearFloat.cpp
//   trellis codes  LinearTrellis.h: walks of their own, the same sums
//
//===----------------------------------------------------------------------===//

#include "LinearTrellis.h"

using namespace mlir;
using namespace lowbit;

static LogicalResult emitLinear(KernelOp kernel, KernelBuilder &k,
                                const KernelArguments &arguments) {
  FailureOr<LinearKernel> linear = LinearKernel::get(kernel);
  if (failed(linear))
    return failure();
  LinearArguments loaded = LinearArguments::load(*linear, k, arguments);
  if (!linear->isInteger())
    emitFloatLinear(*linear, k, loaded);
  else if (linear->trellis && linear->bucket == 1)
    emitTrellisRow(*linear, k, loaded);
  else if (linear->trellis)
    emitTrellisPanel(*linear, k, loaded);
  else if (linear->bucket == 1)
    emitIntegerRow(*linear, k, loaded);
  else if (linear->hasRowWalk(k.getTarget()))
    k.ifElse(
        k.compare(arith::CmpIPredicate::sle, loaded.tokens,
                  k.index(LinearKernel::rowWalkTokens)),
        [&] { emitIntegerRow(*linear, k, loaded); },
        [&] { emitIntegerPanel(*linear, k, loaded); });
  else
    emitIntegerPanel(*linear, k, loaded);
  return success();
}

static int64_t linearScratchBytes(KernelOp kernel) {
  FailureOr<LinearKernel> linear = LinearKernel::get(kernel);
  if (failed(linear))
    return 0;
  return linear->trellis       ? trellisScratchBytes(*linear)
         : linear->isInteger() ? integerScratchBytes(*linear)
                               : floatScratchBytes(*linear);
}

const KernelFamily lowbit::linearFamily = {"linear", emitLinear,
                                           linearScratchBytes};
