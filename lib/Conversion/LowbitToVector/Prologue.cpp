//===- Prologue.cpp - What a row becomes before it is used ------*- C++ -*-===//

#include "Prologue.h"

using namespace lowbit;
using namespace mlir;

RowSource::RowSource(llvm::StringRef prologue, int64_t columns,
                     KernelParameters &parameters)
    : columns(columns) {
  if (prologue == "gate") {
    kind = Kind::Gate;
    firstView = parameters.view("gate", columns);
    secondView = parameters.view("up", columns);
    return;
  }
  firstView = parameters.view("x", columns);
  if (prologue == "rms_norm") {
    kind = Kind::RmsNorm;
    eps = parameters.real("eps");
  } else if (prologue != "none") {
    parameters.report("prologue",
                      "is '" + prologue + "', expected none, rms_norm or gate");
  }
}

/// ms = Sum16fma(x, x) / K. Absent lanes hold 0, and fma(0, 0, lane) is lane.
Value RowSource::meanSquare(KernelBuilder &k) {
  Type f32 = k.getBuilder().getF32Type();
  Value sum = forColumns(k, columns, 2, {k.zero(k.f32x16())},
                         [&](Value i, int64_t lanes, ValueRange carried) {
                           Value x =
                               loadLanes(k, f32, k.element(first, i, 4), lanes);
                           return SmallVector<Value>{k.fma(x, x, carried[0])};
                         })[0];
  return k.div(k.sumLanes(sum), k.f32(float(columns)));
}

void RowSource::begin(KernelBuilder &k, ValueRange pointers, Value row) {
  first = rowPointer(k, pointers[0], row, firstView);
  if (kind == Kind::None)
    return;
  if (kind == Kind::Gate) {
    second = rowPointer(k, pointers[1], row, secondView);
    return;
  }
  second = pointers[1];
  Value root = k.sqrt(k.add(meanSquare(k), k.f32(eps)));
  factor = k.splat(k.div(k.f32(1.0f), root));
}

Value lowbit::emitGate(KernelBuilder &k, Value g, Value u) {
  Value one = k.splat(k.f32(1.0f));
  Value silu = k.div(g, k.add(one, k.exp(k.neg(g))));
  return k.mul(silu, u);
}

Value RowSource::values(KernelBuilder &k, Value i, int64_t lanes) {
  Type f32 = k.getBuilder().getF32Type();
  Value x = loadLanes(k, f32, k.element(first, i, 4), lanes);
  if (kind == Kind::None)
    return x;
  Value other = loadLanes(k, f32, k.element(second, i, 4), lanes);
  if (kind == Kind::Gate)
    return emitGate(k, x, other);
  // The factor is infinite for eps = 0 and a row of zeros, and 0 · inf is NaN:
  // a norm's eps is positive, which the graph's verifier demands.
  return k.mul(k.mul(x, factor), other);
}
