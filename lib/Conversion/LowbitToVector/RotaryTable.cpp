//===- RotaryTable.cpp - Cosines and sines of a batch -----------*- C++ -*-===//
//
// Angle = double(position) · double(frequency); cos and sin in f64, rounded to
// f32 once. Both are computed here, without a library and without fma, so that
// every variant gives the same bits:
//
//  - n = rint(angle · 2/pi), r = angle - n · pi/2 with pi/2 in two parts of 33
//    bits and a third of 53. Products with n < 2^20 are exact, and so is the
//    first difference; r comes as a sum of two f64 (Cody and Waite 1980; the
//    second iteration of fdlibm's rem_pio2).
//  - the polynomials of degree 13 and 14 of fdlibm's k_sin and k_cos (Sun
//    Microsystems 1993), with errors below 2^-58 on [-pi/4, pi/4].
//
// The result is within 1 ulp of f64 for angles up to 2^20 radians.
//
//===----------------------------------------------------------------------===//

#include "RowLoops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace lowbit;
using namespace mlir;

/// f64 lanes that are computed together.
static constexpr int64_t angleLanes = 8;
/// Largest frequency: positions up to 2^20 then stay below n = 2^20.
static constexpr float largestFrequency = 1.5f;

namespace {

/// cos and sin of f64 lanes.
class SinCos {
public:
  explicit SinCos(KernelBuilder &k) : k(k) {}
  /// {cos, sin} of `angle`.
  std::pair<Value, Value> emit(Value angle);

private:
  Value c(double value) { return k.splat(k.f64(value), angleLanes); }
  /// c0 + z · (c1 + z · (…)).
  Value polynomial(Value z, ArrayRef<double> coefficients);
  std::pair<Value, Value> reduce(Value angle, Value n);
  Value sine(Value x, Value y);
  Value cosine(Value x, Value y);

  KernelBuilder &k;
};

} // namespace

Value SinCos::polynomial(Value z, ArrayRef<double> coefficients) {
  Value p = c(coefficients.back());
  for (double coefficient : llvm::reverse(coefficients.drop_back()))
    p = k.add(c(coefficient), k.mul(z, p));
  return p;
}

/// r = angle - n · pi/2 as head and tail.
std::pair<Value, Value> SinCos::reduce(Value angle, Value n) {
  Value t = k.sub(angle, k.mul(n, c(0x1.921fb544p+0)));
  Value w = k.mul(n, c(0x1.0b4611a6p-34));
  Value r = k.sub(t, w);
  // What the second difference lost goes into the third part.
  Value lost = k.sub(k.sub(t, r), w);
  w = k.sub(k.mul(n, c(0x1.3198a2e037073p-69)), lost);
  Value head = k.sub(r, w);
  return {head, k.sub(k.sub(r, head), w)};
}

Value SinCos::sine(Value x, Value y) {
  Value z = k.mul(x, x);
  Value v = k.mul(z, x);
  Value r =
      polynomial(z, {8.33333333332248946124e-03, -1.98412698298579493134e-04,
                     2.75573137070700676789e-06, -2.50507602534068634195e-08,
                     1.58969099521155010221e-10});
  Value correction = k.sub(k.mul(z, k.sub(k.mul(c(0.5), y), k.mul(v, r))), y);
  Value s1 = c(-1.66666666666666324348e-01);
  return k.sub(x, k.sub(correction, k.mul(v, s1)));
}

Value SinCos::cosine(Value x, Value y) {
  Value z = k.mul(x, x);
  Value r = k.mul(
      z,
      polynomial(z, {4.16666666666666019037e-02, -1.38888888888741095749e-03,
                     2.48015872894767294178e-05, -2.75573143513906633035e-07,
                     2.08757232129817482790e-09, -1.13596475577881948265e-11}));
  Value half = k.mul(c(0.5), z);
  Value one = c(1.0);
  Value w = k.sub(one, half);
  Value rest =
      k.add(k.sub(k.sub(one, w), half), k.sub(k.mul(z, r), k.mul(x, y)));
  return k.add(w, rest);
}

std::pair<Value, Value> SinCos::emit(Value angle) {
  using Predicate = arith::CmpIPredicate;
  OpBuilder &builder = k.getBuilder();
  Value n = k.rint(k.mul(angle, c(6.36619772367581382433e-01)));
  auto [head, tail] = reduce(angle, n);
  Value cosHead = cosine(head, tail), sinHead = sine(head, tail);
  VectorType i32Type = k.vectorType(builder.getI32Type(), angleLanes);
  Value quadrant = arith::FPToSIOp::create(builder, k.getLoc(), i32Type, n);
  auto constant = [&](int32_t value) {
    return k.splat(k.i32(value), angleLanes);
  };
  auto bit = [&](Value value, int32_t mask) {
    return k.compare(Predicate::ne, k.andi(value, constant(mask)), constant(0));
  };
  Value swap = bit(quadrant, 1);
  Value cos = k.select(swap, sinHead, cosHead);
  Value sin = k.select(swap, cosHead, sinHead);
  // Quadrants 1 and 2 turn the cosine's sign, 2 and 3 the sine's.
  Value cosSign = bit(k.add(quadrant, constant(1)), 2);
  return {k.select(cosSign, k.neg(cos), cos),
          k.select(bit(quadrant, 2), k.neg(sin), sin)};
}

/// The frequencies from `first` on as f64 lanes; 0 beyond the last.
static Value frequencyLanes(KernelBuilder &k, ArrayRef<float> frequencies,
                            int64_t first) {
  SmallVector<double> lanes(angleLanes);
  for (int64_t i = 0; i < angleLanes; ++i)
    if (first + i < int64_t(frequencies.size()))
      lanes[i] = frequencies[first + i];
  auto type = k.vectorType(k.getBuilder().getF64Type(), angleLanes);
  return arith::ConstantOp::create(
      k.getBuilder(), k.getLoc(),
      DenseElementsAttr::get(type, ArrayRef<double>(lanes)));
}

static void storeRounded(KernelBuilder &k, Value f64Lanes, Value pointer,
                         int64_t lanes) {
  OpBuilder &builder = k.getBuilder();
  Value rounded = arith::TruncFOp::create(
      builder, k.getLoc(), k.vectorType(builder.getF32Type(), angleLanes),
      f64Lanes);
  if (lanes == angleLanes)
    k.store(rounded, pointer);
  else
    k.storeTail(rounded, pointer, lanes);
}

static LogicalResult emit(KernelOp kernel, KernelBuilder &k,
                          const KernelArguments &arguments) {
  KernelParameters parameters(kernel);
  ArrayRef<float> frequencies = parameters.reals("frequencies");
  int64_t half = frequencies.size();
  if (!parameters.failed() && half == 0)
    parameters.report("frequencies", "is empty");
  for (float frequency : frequencies)
    if (!(frequency >= 0 && frequency <= largestFrequency))
      parameters.report("frequencies", "holds " + std::to_string(frequency) +
                                           ", expected 0 to " +
                                           std::to_string(largestFrequency));
  if (parameters.failed())
    return failure();

  OpBuilder &builder = k.getBuilder();
  SmallVector<Value> pointers = loadArguments(k, arguments, 3);
  k.forLoop(arguments.begin, arguments.end, 1, [&](Value row) {
    Value pair = k.element(pointers[0], row, 8);
    Value position = k.load(builder.getI32Type(), k.offset(pair, 4), 4);
    Value wide =
        k.splat(arith::SIToFPOp::create(builder, k.getLoc(),
                                        builder.getF64Type(), position),
                angleLanes);
    Value cosRow = rowPointer(k, pointers[1], row, {0, half});
    Value sinRow = rowPointer(k, pointers[2], row, {0, half});
    for (int64_t i = 0; i < half; i += angleLanes) {
      Value angle = k.mul(wide, frequencyLanes(k, frequencies, i));
      auto [cos, sin] = SinCos(k).emit(angle);
      int64_t lanes = std::min(angleLanes, half - i);
      storeRounded(k, cos, k.offset(cosRow, 4 * i), lanes);
      storeRounded(k, sin, k.offset(sinRow, 4 * i), lanes);
    }
  });
  return success();
}

static int64_t scratchBytes(KernelOp) { return 0; }

const KernelFamily lowbit::rotaryTableFamily = {"rotary_table", emit,
                                                scratchBytes};
