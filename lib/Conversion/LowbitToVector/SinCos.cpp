//===- SinCos.cpp - Cosines and sines of f64 --------------------*- C++ -*-===//

#include "SinCos.h"

using namespace lowbit;
using namespace mlir;

Value SinCos::like(Value scalar) {
  return lanes ? k.splat(scalar, lanes) : scalar;
}

Value SinCos::c(double value) { return like(k.f64(value)); }

Value SinCos::i(int32_t value) { return like(k.i32(value)); }

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
  auto vector = dyn_cast<VectorType>(angle.getType());
  lanes = vector ? vector.getNumElements() : 0;
  Value n = k.rint(k.mul(angle, c(6.36619772367581382433e-01)));
  auto [head, tail] = reduce(angle, n);
  Value cosHead = cosine(head, tail), sinHead = sine(head, tail);
  Value quadrant = k.toI32(n);
  auto bit = [&](Value value, int32_t mask) {
    return k.compare(Predicate::ne, k.andi(value, i(mask)), i(0));
  };
  Value swap = bit(quadrant, 1);
  Value cos = k.select(swap, sinHead, cosHead);
  Value sin = k.select(swap, cosHead, sinHead);
  // Quadrants 1 and 2 turn the cosine's sign, 2 and 3 the sine's.
  Value cosSign = bit(k.add(quadrant, i(1)), 2);
  return {k.select(cosSign, k.neg(cos), cos),
          k.select(bit(quadrant, 2), k.neg(sin), sin)};
}
