//===- QuantizeGroups.cpp - Activations become small integers ---*- C++ -*-===//
//
// Spec.md, section 3 (Activations, i4 and i2) and 5.2. Two passes over a row by
// groups of columns: their exact scales, of which the largest gives the token's
// factor; then the stored scales and the integers. Zero points are taken off
// before an integer is stored as a signed byte, so that linears know nothing of
// them.
//
// Where a value is not finite, the token's scale is NaN and q holds clamped
// integers that nothing depends on.
//
//===----------------------------------------------------------------------===//

#include "RowInput.h"
#include <limits>

using namespace lowbit;
using namespace mlir;

namespace {

/// One kernel that is being emitted.
class QuantizeGroups {
public:
  explicit QuantizeGroups(KernelParameters &parameters)
      : input(parameters), bits(parameters.integer("bits", 2, 4)),
        group(parameters.integer("group", 32, 128)),
        sumGroup(parameters.integer("sum_group", 1, 128)),
        isStored(parameters.boolean("zero_points")) {
    Type scale = parameters.type("scale");
    isE4M3 = scale && isa<Float8E4M3FNType>(scale);
    if (scale && !isE4M3 && !scale.isF16())
      parameters.report("scale", "expected f16 or f8E4M3FN");
    if (bits == 3)
      parameters.report("bits", "expected 4 or 2");
    if (!llvm::is_contained({32, 64, 128}, group))
      parameters.report("group", "expected 32, 64 or 128");
    if (!llvm::is_contained({16, 32, 64, 128}, sumGroup) || sumGroup > group)
      parameters.report("sum_group",
                        "expected 16, 32, 64 or 128, and at most the group");
  }

  void emit(KernelBuilder &k, const KernelArguments &arguments);
  int64_t scratchBytes() const { return input.scratchBytes(); }

private:
  int64_t columns() const { return input.columns(); }
  int64_t groups() const { return (columns() + group - 1) / group; }
  int64_t sumCount() const { return (columns() + sumGroup - 1) / sumGroup; }
  int64_t paddedColumns() const { return roundUp(columns(), 64) + 64; }
  /// Largest |q|, or largest code.
  float limit() const {
    return float(isStored ? (1 << bits) - 1 : (1 << (bits - 1)) - 1);
  }

  SmallVector<Value> load(KernelBuilder &k, Value index, int64_t count,
                          bool isFirst);
  void forGroups(KernelBuilder &k, function_ref<void(Value, int64_t)> body);
  Value emitFactor(KernelBuilder &k, Value row);
  Value roundScale(KernelBuilder &k, Value exact);
  void emitGroup(KernelBuilder &k, Value index, int64_t count, Value factor);

  RowInput input;
  int64_t bits, group, sumGroup;
  bool isStored, isE4M3;
  /// Of the current row.
  Value q, scales, sums, groupScales;
};

/// A group's elements −low, high and |x| bits, the largest of each lane.
struct Extremes {
  Value low, high, magnitude;
};

} // namespace

static Extremes findExtremes(KernelBuilder &k, ArrayRef<Value> vectors) {
  Value none = k.zero(k.f32x16());
  Extremes result{none, none, k.zero(k.i32x16())};
  for (Value x : vectors) {
    result.low = k.maxf(k.neg(x), result.low);
    result.high = k.maxf(x, result.high);
    result.magnitude =
        maxInteger(k, result.magnitude, k.bitcast(k.abs(x), k.i32x16()));
  }
  return result;
}

/// `count` columns of group `index`.
SmallVector<Value> QuantizeGroups::load(KernelBuilder &k, Value index,
                                        int64_t count, bool isFirst) {
  SmallVector<Value> vectors;
  Value column = k.mul(index, k.index(group));
  for (int64_t i = 0; i < count; i += vectorLanes) {
    Value at = k.add(column, k.index(i));
    int64_t lanes = std::min(vectorLanes, count - i);
    vectors.push_back(isFirst ? input.first(k, at, lanes)
                              : input.again(k, at, lanes));
  }
  return vectors;
}

/// Calls `body(index, columns)` for each group.
void QuantizeGroups::forGroups(KernelBuilder &k,
                               function_ref<void(Value, int64_t)> body) {
  int64_t whole = columns() / group;
  if (whole > 0)
    k.forLoop(k.index(0), k.index(whole), 1,
              [&](Value index) { body(index, group); });
  if (columns() % group != 0)
    body(k.index(whole), columns() % group);
}

/// First pass: exact scales of the groups to where the stored ones will be, the
/// token's scale; returns F.
Value QuantizeGroups::emitFactor(KernelBuilder &k, Value row) {
  using Predicate = arith::CmpFPredicate;
  Type f32 = k.getBuilder().getF32Type();
  Type i32 = k.getBuilder().getI32Type();
  // The loops of forGroups carry nothing: what they find waits where the row's
  // scale will be, and in the first sum.
  Value largestPlace = k.element(scales, row, 4);
  k.store(k.f32(0.0f), largestPlace);
  k.store(k.i32(0), sums);
  forGroups(k, [&](Value index, int64_t count) {
    Extremes found = findExtremes(k, load(k, index, count, /*isFirst=*/true));
    Value high = k.maxLanes(found.high), low = k.maxLanes(found.low);
    Value range = isStored ? k.add(high, low) : k.maxf(high, low);
    Value scale = k.div(range, k.f32(limit()));
    k.store(scale, k.element(groupScales, index, 4));
    k.store(k.maxf(scale, k.load(f32, largestPlace)), largestPlace);
    Value magnitude = maxIntegerLanes(k, found.magnitude);
    k.store(maxInteger(k, magnitude, k.load(i32, sums)), sums);
  });
  Value largest = k.load(f32, largestPlace);
  Value factor = isE4M3 ? k.div(largest, k.f32(448.0f)) : k.f32(1.0f);
  Value infinity = k.f32(std::numeric_limits<float>::infinity());
  Value magnitude = k.bitcast(k.load(i32, sums), f32);
  Value isFinite = k.andi(k.compare(Predicate::OLT, magnitude, infinity),
                          k.compare(Predicate::OLT, factor, infinity));
  Value nan = k.f32(std::numeric_limits<float>::quiet_NaN());
  k.store(k.select(isFinite, factor, nan), largestPlace);
  return factor;
}

/// A scale in its stored type, widened; E4M3 saturates.
Value QuantizeGroups::roundScale(KernelBuilder &k, Value exact) {
  Type i32 = k.getBuilder().getI32Type();
  if (!isE4M3) {
    Value half = k.f32ToF16(k.splat(exact));
    return extractLane(k, k.f16ToF32(half), 0);
  }
  // Below 2^-6 the grid is 2^-9; above, the 20 last bits are rounded off.
  Value small = k.mul(k.rint(k.mul(exact, k.f32(512.0f))), k.f32(0x1p-9f));
  Value word = k.bitcast(exact, i32);
  Value lastBit = k.andi(k.shru(word, 20), k.i32(1));
  Value rounded = k.andi(k.add(k.add(word, k.i32(0x7ffff)), lastBit),
                         k.i32(int32_t(0xfff00000)));
  Value isSmall = k.compare(arith::CmpFPredicate::OLT, exact, k.f32(0x1p-6f));
  Value scale =
      k.select(isSmall, small, k.bitcast(rounded, k.getBuilder().getF32Type()));
  return k.minf(scale, k.f32(448.0f));
}

/// Second pass: the stored scale, integers and sums of one group.
void QuantizeGroups::emitGroup(KernelBuilder &k, Value index, int64_t count,
                               Value factor) {
  using Predicate = arith::CmpFPredicate;
  Type f32 = k.getBuilder().getF32Type();
  SmallVector<Value> vectors = load(k, index, count, /*isFirst=*/false);
  Value place = k.element(groupScales, index, 4);
  Value exact = k.load(f32, place), zero = k.f32(0.0f);
  Value scale;
  if (isE4M3) {
    Value hasFactor = k.compare(Predicate::OGT, factor, zero);
    scale = roundScale(k, k.select(hasFactor, k.div(exact, factor), zero));
  } else {
    scale = roundScale(k, exact);
  }
  k.store(scale, place);
  Value inverse = k.div(k.f32(1.0f), k.mul(factor, scale));
  Value infinity = k.f32(std::numeric_limits<float>::infinity());
  inverse = k.splat(
      k.select(k.compare(Predicate::OLT, inverse, infinity), inverse, zero));
  Value upper = k.splat(k.f32(limit()));
  Value lower = isStored ? k.zero(k.f32x16()) : k.splat(k.f32(-limit()));
  auto clamp = [&](Value v) { return k.maxf(k.minf(v, upper), lower); };
  Value zeroPoint;
  if (isStored) {
    Value low = k.splat(k.maxLanes(findExtremes(k, vectors).low));
    zeroPoint = clamp(k.rint(k.mul(low, inverse)));
  }
  Value column = k.mul(index, k.index(group));
  Value firstSum = k.mul(index, k.index(group / sumGroup));
  int64_t vectorsPerSum = sumGroup / vectorLanes;
  Value total;
  for (auto [i, x] : llvm::enumerate(vectors)) {
    int64_t at = int64_t(i) * vectorLanes;
    Value rounded = k.rint(k.mul(x, inverse));
    Value integer = zeroPoint
                        ? k.sub(clamp(k.add(rounded, zeroPoint)), zeroPoint)
                        : clamp(rounded);
    // Columns that do not exist are 0: rint(0) + z − z.
    Value stored = k.toI32(integer);
    k.store(k.truncate(stored, k.getBuilder().getI8Type()),
            k.offset(q, k.add(column, k.index(at))));
    bool begins = i % vectorsPerSum == 0;
    bool ends = (i + 1) % vectorsPerSum == 0 || i + 1 == vectors.size();
    total = begins ? stored : k.add(total, stored);
    if (ends)
      k.store(addLanes(k, total),
              k.element(sums, k.add(firstSum, k.index(i / vectorsPerSum)), 4));
  }
}

void QuantizeGroups::emit(KernelBuilder &k, const KernelArguments &arguments) {
  int64_t inputs = input.argumentCount();
  SmallVector<Value> pointers = loadArguments(k, arguments, inputs + 4);
  scales = pointers[inputs + 1];
  input.prepare(k, arguments.scratch);
  Value zeros = k.zero(k.vectorType(k.getBuilder().getI8Type()));
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    q = k.element(pointers[inputs], row, paddedColumns());
    sums = k.element(pointers[inputs + 2], row, sumCount() * 4);
    groupScales = k.element(pointers[inputs + 3], row, groups() * 4);
    input.begin(k, pointers, row);
    Value factor = emitFactor(k, row);
    forGroups(k, [&](Value index, int64_t count) {
      emitGroup(k, index, count, factor);
    });
    for (int64_t i = roundUp(columns(), vectorLanes); i < paddedColumns();
         i += vectorLanes)
      k.store(zeros, k.offset(q, i));
  });
}

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  QuantizeGroups quantize(parameters);
  if (parameters.failed())
    return failure();
  quantize.emit(k, arguments);
  return success();
}

static int64_t scratchBytes(KernelOp kernel) {
  KernelParameters parameters(kernel);
  return QuantizeGroups(parameters).scratchBytes();
}

const KernelFamily lowbit::quantizeGroupsFamily = {"quantize_groups", emit,
                                                   scratchBytes};
