//===- QuantizeRows.cpp - Activations become integers -----------*- C++ -*-===//
//
// Spec.md, section 3 (Activations) and 5.2. Two passes over a row: the largest
// magnitude, then the integers and their sums. What a norm or a gate computes
// is kept between the passes in scratch (RowInput.h).
//
//   amax = max |x|, inv = Q / amax, q = clamp(rint(x · inv), -Q, Q)
//   two planes: Q = 32639, hi = (q + 128) >> 8, lo = q - 256 · hi
//
// Where a value is not finite, the scale is NaN and q holds clamped integers
// that nothing depends on.
//
//===----------------------------------------------------------------------===//

#include "RowInput.h"
#include <limits>

using namespace lowbit;
using namespace mlir;

namespace {

/// One kernel that is being emitted.
class QuantizeRows {
public:
  QuantizeRows(KernelOp kernel, KernelParameters &parameters)
      : input(parameters), columns(input.columns()),
        planes(parameters.integer("planes", 1, 2)),
        sumGroup(parameters.integer("sum_group", 1)) {
    if (!parameters.failed() &&
        !llvm::is_contained({16, 32, 64, 128, 512}, sumGroup))
      parameters.report("sum_group", "expected 16, 32, 64, 128 or 512");
  }

  void emit(KernelBuilder &k, const KernelArguments &arguments);
  int64_t scratchBytes() const { return input.scratchBytes(); }

private:
  float limit() const { return planes == 2 ? 32639.0f : 127.0f; }
  int64_t groups() const { return (columns + sumGroup - 1) / sumGroup; }
  int64_t paddedColumns() const { return roundUp(columns, 64) + 64; }

  Value findMagnitude(KernelBuilder &k);
  void emitScale(KernelBuilder &k, Value magnitude, Value row);
  SmallVector<Value> quantizeVector(KernelBuilder &k, Value i, int64_t lanes,
                                    ValueRange sums);
  void emitGroup(KernelBuilder &k, Value group, int64_t groupColumns,
                 Value row);
  void emitPadding(KernelBuilder &k);

  RowInput input;
  int64_t columns, planes, sumGroup;
  /// Of the current row.
  Value q, sums, scales, inverse;
};

} // namespace

/// Bits of the largest |x|. As signed integers magnitudes are in the order of
/// the numbers, with infinity and NaN above all of them, so none is lost.
Value QuantizeRows::findMagnitude(KernelBuilder &k) {
  Value largest =
      forColumns(k, columns, input.isPlain() ? 2 : 1, {k.zero(k.i32x16())},
                 [&](Value i, int64_t lanes, ValueRange carried) {
                   Value x = input.first(k, i, lanes);
                   Value bits = k.bitcast(k.abs(x), k.i32x16());
                   return SmallVector<Value>{maxInteger(k, carried[0], bits)};
                 })[0];
  return maxIntegerLanes(k, largest);
}

void QuantizeRows::emitScale(KernelBuilder &k, Value magnitude, Value row) {
  using Predicate = arith::CmpFPredicate;
  Value infinity = k.f32(std::numeric_limits<float>::infinity());
  Value amax = k.bitcast(magnitude, k.getBuilder().getF32Type());
  Value inv = k.div(k.f32(limit()), amax);
  Value isFinite = k.compare(Predicate::OLT, amax, infinity);
  // amax = 0, or so small that Q / amax is infinite: all q and the scale are 0.
  Value isUsable = k.compare(Predicate::OLT, inv, infinity);
  Value zero = k.f32(0.0f);
  Value scale = k.select(isUsable, k.div(amax, k.f32(limit())), zero);
  Value nan = k.f32(std::numeric_limits<float>::quiet_NaN());
  k.store(k.select(isFinite, scale, nan), k.element(scales, row, 4));
  inverse = k.splat(k.select(k.andi(isFinite, isUsable), inv, zero));
}

/// Quantizes and stores 16 columns; adds each plane to its sums.
SmallVector<Value> QuantizeRows::quantizeVector(KernelBuilder &k, Value i,
                                                int64_t lanes,
                                                ValueRange carried) {
  Type i8 = k.getBuilder().getI8Type();
  Value x = input.again(k, i, lanes);
  Value bound = k.splat(k.f32(limit()));
  Value clamped = k.maxf(k.minf(k.rint(k.mul(x, inverse)), bound),
                         k.splat(k.f32(-limit())));
  Value integer = k.toI32(clamped);
  SmallVector<Value> planeValues{integer};
  if (planes == 2) {
    Value hi = k.shrs(k.add(integer, k.splat(k.i32(128))), 8);
    planeValues = {hi, k.sub(integer, k.shl(hi, 8))};
  }
  SmallVector<Value> next;
  for (auto [plane, value] : llvm::enumerate(planeValues)) {
    Value place = k.offset(k.offset(q, int64_t(plane) * paddedColumns()), i);
    k.store(k.truncate(value, i8), place);
    next.push_back(k.add(carried[plane], value));
  }
  return next;
}

/// Quantizes the columns of one group and stores their sums.
void QuantizeRows::emitGroup(KernelBuilder &k, Value group,
                             int64_t groupColumns, Value row) {
  Value firstColumn = k.mul(group, k.index(sumGroup));
  SmallVector<Value> zeros(planes, k.zero(k.i32x16()));
  SmallVector<Value> totals = forColumns(
      k, groupColumns, 2, zeros, [&](Value i, int64_t lanes, ValueRange sums) {
        return quantizeVector(k, k.add(firstColumn, i), lanes, sums);
      });
  for (auto [plane, total] : llvm::enumerate(totals)) {
    Value place = k.add(k.index(int64_t(plane) * groups()), group);
    k.store(addLanes(k, total), k.element(sums, place, 4));
  }
}

/// Zeros behind the row's last vector, up to the plane's end.
void QuantizeRows::emitPadding(KernelBuilder &k) {
  Value zeros = k.zero(k.vectorType(k.getBuilder().getI8Type()));
  for (int64_t plane = 0; plane < planes; ++plane)
    for (int64_t i = roundUp(columns, vectorLanes); i < paddedColumns();
         i += vectorLanes)
      k.store(zeros, k.offset(q, plane * paddedColumns() + i));
}

void QuantizeRows::emit(KernelBuilder &k, const KernelArguments &arguments) {
  int64_t inputs = input.argumentCount();
  SmallVector<Value> pointers = loadArguments(k, arguments, inputs + 3);
  input.prepare(k, arguments.scratch);
  scales = pointers[inputs + 1];
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    q = k.element(pointers[inputs], row, planes * paddedColumns());
    sums = k.element(pointers[inputs + 2], row, planes * groups() * 4);
    input.begin(k, pointers, row);
    emitScale(k, findMagnitude(k), row);
    int64_t whole = columns / sumGroup;
    if (whole > 0)
      k.forLoop(k.index(0), k.index(whole), 1,
                [&](Value group) { emitGroup(k, group, sumGroup, row); });
    if (columns % sumGroup != 0)
      emitGroup(k, k.index(whole), columns % sumGroup, row);
    emitPadding(k);
  });
}

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  QuantizeRows quantize(kernel, parameters);
  if (parameters.failed())
    return failure();
  quantize.emit(k, arguments);
  return success();
}

static int64_t scratchBytes(KernelOp kernel) {
  KernelParameters parameters(kernel);
  return QuantizeRows(kernel, parameters).scratchBytes();
}

const KernelFamily lowbit::quantizeRowsFamily = {"quantize_rows", emit,
                                                 scratchBytes};
