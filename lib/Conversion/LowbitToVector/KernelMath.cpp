//===- KernelMath.cpp - Arithmetic of KernelBuilder -------------*- C++ -*-===//
//
// Every float step here is one IEEE operation, or an exact emulation of one, so
// that all variants give the same bits (Spec.md, section 3). No op carries
// fast-math flags.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Conversion/KernelBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace mlir;
using namespace lowbit;

/// `like` with another element type: a scalar or a vector of as many lanes.
static Type withElement(Type like, Type element) {
  if (auto vector = dyn_cast<VectorType>(like))
    return VectorType::get(vector.getShape(), element);
  return element;
}

static bool isFloat(Value a) { return isa<FloatType>(getElementTypeOrSelf(a)); }

/// A constant of the type of `like` in every lane.
static Value constantLike(OpBuilder &builder, Location location, Type like,
                          TypedAttr scalar) {
  if (auto vector = dyn_cast<VectorType>(like))
    return arith::ConstantOp::create(builder, location,
                                     DenseElementsAttr::get(vector, scalar));
  return arith::ConstantOp::create(builder, location, scalar);
}

static Value floatLike(OpBuilder &builder, Location location, Type like,
                       double value) {
  return constantLike(builder, location, like,
                      builder.getFloatAttr(getElementTypeOrSelf(like), value));
}

static Value integerLike(OpBuilder &builder, Location location, Type like,
                         int64_t value) {
  return constantLike(
      builder, location, like,
      builder.getIntegerAttr(getElementTypeOrSelf(like), value));
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value KernelBuilder::add(Value a, Value b) {
  if (isFloat(a))
    return arith::AddFOp::create(builder, location, a, b);
  return arith::AddIOp::create(builder, location, a, b);
}

Value KernelBuilder::sub(Value a, Value b) {
  if (isFloat(a))
    return arith::SubFOp::create(builder, location, a, b);
  return arith::SubIOp::create(builder, location, a, b);
}

Value KernelBuilder::mul(Value a, Value b) {
  if (isFloat(a))
    return arith::MulFOp::create(builder, location, a, b);
  return arith::MulIOp::create(builder, location, a, b);
}

Value KernelBuilder::div(Value a, Value b) {
  if (isFloat(a))
    return arith::DivFOp::create(builder, location, a, b);
  return arith::DivSIOp::create(builder, location, a, b);
}

Value KernelBuilder::rem(Value a, Value b) {
  return arith::RemSIOp::create(builder, location, a, b);
}

Value KernelBuilder::andi(Value a, Value b) {
  return arith::AndIOp::create(builder, location, a, b);
}

Value KernelBuilder::ori(Value a, Value b) {
  return arith::OrIOp::create(builder, location, a, b);
}

Value KernelBuilder::xori(Value a, Value b) {
  return arith::XOrIOp::create(builder, location, a, b);
}

Value KernelBuilder::shl(Value a, int64_t bits) {
  return arith::ShLIOp::create(
      builder, location, a, integerLike(builder, location, a.getType(), bits));
}

Value KernelBuilder::shrs(Value a, int64_t bits) {
  return arith::ShRSIOp::create(
      builder, location, a, integerLike(builder, location, a.getType(), bits));
}

Value KernelBuilder::shru(Value a, int64_t bits) {
  return arith::ShRUIOp::create(
      builder, location, a, integerLike(builder, location, a.getType(), bits));
}

Value KernelBuilder::compare(arith::CmpIPredicate predicate, Value a, Value b) {
  return arith::CmpIOp::create(builder, location, predicate, a, b);
}

Value KernelBuilder::compare(arith::CmpFPredicate predicate, Value a, Value b) {
  return arith::CmpFOp::create(builder, location, predicate, a, b);
}

Value KernelBuilder::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(builder, location, condition, a, b);
}

Value KernelBuilder::minf(Value a, Value b) {
  return select(compare(arith::CmpFPredicate::OLT, a, b), a, b);
}

Value KernelBuilder::maxf(Value a, Value b) {
  return select(compare(arith::CmpFPredicate::OGT, a, b), a, b);
}

Value KernelBuilder::neg(Value a) {
  return arith::NegFOp::create(builder, location, a);
}

Value KernelBuilder::abs(Value a) {
  return math::AbsFOp::create(builder, location, a);
}

Value KernelBuilder::sqrt(Value a) {
  return math::SqrtOp::create(builder, location, a);
}

/// Without an instruction (SSE4.1 has one, so has AArch64) this would be a
/// call; every variant that we generate has it.
Value KernelBuilder::rint(Value a) {
  return math::RoundEvenOp::create(builder, location, a);
}

/// a·b + c in f32 with one rounding, from f64 arithmetic: the product is exact
/// in f64; the sum is rounded to odd (its last bit set where anything was
/// lost), and then the rounding to f32 is the only one that counts (Boldo and
/// Melquiond, "Emulation of a FMA and correctly rounded sums", 2008).
static Value emulateFma(KernelBuilder &k, Value a, Value b, Value c) {
  OpBuilder &builder = k.getBuilder();
  Location location = k.getLoc();
  Type wide = withElement(a.getType(), builder.getF64Type());
  Type bits = withElement(a.getType(), builder.getI64Type());
  auto widen = [&](Value v) -> Value {
    return arith::ExtFOp::create(builder, location, wide, v);
  };
  Value p = k.mul(widen(a), widen(b)), z = widen(c);
  // TwoSum (Knuth): s + error = p + z exactly.
  Value s = k.add(p, z);
  Value t = k.sub(s, p);
  Value error = k.add(k.sub(p, k.sub(s, t)), k.sub(z, t));
  Value zero = k.zero(wide);
  Value inexact = k.compare(arith::CmpFPredicate::ONE, error, zero);
  Value one = integerLike(builder, location, bits, 1);
  Value sBits = k.bitcast(s, bits);
  Value even =
      k.compare(arith::CmpIPredicate::eq, k.andi(sBits, one), k.zero(bits));
  // Toward the error: the magnitude grows where error and sum agree in sign.
  Value grows = arith::XOrIOp::create(
      builder, location, k.compare(arith::CmpFPredicate::OGT, error, zero),
      k.compare(arith::CmpFPredicate::OLT, s, zero));
  Value odd = k.select(grows, k.add(sBits, one), k.sub(sBits, one));
  Value adjust = k.andi(inexact, even);
  Value rounded = k.bitcast(k.select(adjust, odd, sBits), wide);
  return arith::TruncFOp::create(builder, location, a.getType(), rounded);
}

Value KernelBuilder::fma(Value a, Value b, Value c) {
  if (!target.hasFma && getElementTypeOrSelf(a).isF32())
    return emulateFma(*this, a, b, c);
  return math::FmaOp::create(builder, location, a, b, c);
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

Value KernelBuilder::bitcast(Value a, Type type) {
  if (a.getType() == type)
    return a;
  if (isa<VectorType>(type))
    return vector::BitCastOp::create(builder, location, type, a);
  return arith::BitcastOp::create(builder, location, type, a);
}

Value KernelBuilder::toF32(Value i) {
  return arith::SIToFPOp::create(
      builder, location, withElement(i.getType(), builder.getF32Type()), i);
}

Value KernelBuilder::toI32(Value f) {
  return arith::FPToSIOp::create(
      builder, location, withElement(f.getType(), builder.getI32Type()), f);
}

Value KernelBuilder::extend(Value a, Type element, bool isSigned) {
  Type type = withElement(a.getType(), element);
  if (isSigned)
    return arith::ExtSIOp::create(builder, location, type, a);
  return arith::ExtUIOp::create(builder, location, type, a);
}

Value KernelBuilder::truncate(Value a, Type element) {
  return arith::TruncIOp::create(builder, location,
                                 withElement(a.getType(), element), a);
}

Value KernelBuilder::f16ToF32(Value bits) {
  Type f32 = withElement(bits.getType(), builder.getF32Type());
  if (target.hasF16Conversion)
    return arith::ExtFOp::create(
        builder, location, f32,
        bitcast(bits, withElement(bits.getType(), builder.getF16Type())));
  // The magnitude's bits, moved to the place of f32's, are value · 2^-112; one
  // exact multiplication makes the value, subnormals included. Infinity and NaN
  // (exponent 31) keep their meaning by setting the exponent to 255.
  Value wide = extend(bits, builder.getI32Type(), /*isSigned=*/false);
  Type i32Type = wide.getType();
  auto mask = [&](int64_t value) {
    return integerLike(builder, location, i32Type, value);
  };
  Value magnitude = shl(andi(wide, mask(0x7fff)), 13);
  Value sign = shl(andi(wide, mask(0x8000)), 16);
  Value scaled = bitcast(
      mul(bitcast(magnitude, f32), floatLike(builder, location, f32, 0x1p112)),
      i32Type);
  Value special =
      compare(arith::CmpIPredicate::uge, magnitude, mask(0x0f800000));
  Value finite = select(special, ori(magnitude, mask(0x7f800000)), scaled);
  return bitcast(ori(finite, sign), f32);
}

Value KernelBuilder::f32ToF16(Value f) {
  Type i16Type = withElement(f.getType(), builder.getI16Type());
  if (target.hasF16Conversion)
    return bitcast(arith::TruncFOp::create(
                       builder, location,
                       withElement(f.getType(), builder.getF16Type()), f),
                   i16Type);
  Type f32 = f.getType();
  Type i32Type = withElement(f32, builder.getI32Type());
  auto integer = [&](int64_t value) {
    return integerLike(builder, location, i32Type, value);
  };
  Value bits = bitcast(f, i32Type);
  Value sign = andi(shru(bits, 16), integer(0x8000));
  Value magnitude = andi(bits, integer(0x7fffffff));
  // Subnormal results: adding 2^-1 places the last f16 bit at the last bit of
  // the sum, which the addition rounds to nearest even.
  Value half = floatLike(builder, location, f32, 0.5);
  Value small = sub(bitcast(add(bitcast(magnitude, f32), half), i32Type),
                    bitcast(half, i32Type));
  // Normal results: rebias the exponent by -112 and round the 13 lost bits.
  Value lastBit = andi(shru(magnitude, 13), integer(1));
  Value normal =
      shru(add(add(magnitude, integer(0xfff - (112 << 23))), lastBit), 13);
  Value result =
      select(compare(arith::CmpIPredicate::ult, magnitude, integer(0x38800000)),
             small, normal);
  Value overflows =
      compare(arith::CmpIPredicate::uge, magnitude, integer(0x47800000));
  result = select(overflows, integer(0x7c00), result);
  Value isNan =
      compare(arith::CmpIPredicate::ugt, magnitude, integer(0x7f800000));
  Value payload =
      ori(integer(0x7e00), andi(shru(magnitude, 13), integer(0x3ff)));
  result = select(isNan, payload, result);
  return truncate(ori(result, sign), builder.getI16Type());
}

Value KernelBuilder::bf16ToF32(Value bits) {
  return bitcast(
      shl(extend(bits, builder.getI32Type(), /*isSigned=*/false), 16),
      withElement(bits.getType(), builder.getF32Type()));
}

Value KernelBuilder::e4m3ToF32(Value bytes) {
  Type f32 = withElement(bytes.getType(), builder.getF32Type());
  if (target.hasF16Conversion) {
    // Moved to f16's place the code is value · 2^-8, subnormals included, and
    // the conversion of f16 subnormals is fast where arithmetic on f32
    // subnormals is not.
    Value moved =
        shl(extend(bytes, builder.getI16Type(), /*isSigned=*/false), 7);
    return mul(f16ToF32(moved), floatLike(builder, location, f32, 0x1p8));
  }
  // Exponents of f32 are larger by 120; codes below 8, zero and the subnormals,
  // are multiples of 2^-9.
  Value code = extend(bytes, builder.getI32Type(), /*isSigned=*/false);
  Type i32 = code.getType();
  auto integer = [&](int64_t value) {
    return integerLike(builder, location, i32, value);
  };
  Value normal = bitcast(add(shl(code, 20), integer(120 << 23)), f32);
  Value subnormal = mul(toF32(code), floatLike(builder, location, f32, 0x1p-9));
  Value isNormal = compare(arith::CmpIPredicate::uge, code, integer(8));
  return select(isNormal, normal, subnormal);
}

Value KernelBuilder::e8m0ToF32(Value bytes) {
  Type f32 = withElement(bytes.getType(), builder.getF32Type());
  Value wide = extend(bytes, builder.getI32Type(), /*isSigned=*/false);
  Value normal = shl(wide, 23);
  // 2^-127 is a subnormal.
  Value least = i32(0x00400000), zeroCode = zero(wide.getType());
  if (isa<VectorType>(wide.getType()))
    least = splat(least, cast<VectorType>(wide.getType()).getDimSize(0));
  Value isLeast = compare(arith::CmpIPredicate::eq, wide, zeroCode);
  return bitcast(select(isLeast, least, normal), f32);
}

//===----------------------------------------------------------------------===//
// Tables of bytes
//===----------------------------------------------------------------------===//

/// The instruction that looks 16-byte pieces up, and how many bytes it takes.
/// On x86 bit 7 of an index gives 0 and bits 4 to 6 are ignored; `tbl` gives 0
/// for all indices above 15.
static std::pair<StringRef, int64_t> lookUpInstruction(const TargetInfo &target,
                                                       int64_t lanes) {
  if (!target.triple.starts_with("x86_64"))
    return {"llvm.aarch64.neon.tbl1.v16i8", 16};
  if (lanes >= 64 && target.features.contains("+avx512bw"))
    return {"llvm.x86.avx512.pshuf.b.512", 64};
  if (lanes >= 32 && target.features.contains("+avx2"))
    return {"llvm.x86.avx2.pshuf.b", 32};
  return {"llvm.x86.ssse3.pshuf.b.128", 16};
}

/// table[index & 15] of up to 64 lanes, 0 where the instruction says so; each
/// piece of 16 lanes has a piece of the table, which has as many.
static Value lookUpPieces(KernelBuilder &k, Value indices, Value table) {
  OpBuilder &builder = k.getBuilder();
  int64_t lanes = cast<VectorType>(indices.getType()).getDimSize(0);
  auto [name, width] = lookUpInstruction(k.getTarget(), lanes);
  auto pieceOf = [&, width = width](Value whole, int64_t at) -> Value {
    if (width == lanes)
      return whole;
    return vector::ExtractStridedSliceOp::create(
        builder, k.getLoc(), whole, ArrayRef<int64_t>{at},
        ArrayRef<int64_t>{width}, ArrayRef<int64_t>{1});
  };
  Value result;
  for (int64_t at = 0; at < lanes; at += width) {
    Value found =
        LLVM::CallIntrinsicOp::create(
            builder, k.getLoc(), k.vectorType(builder.getI8Type(), width),
            builder.getStringAttr(name),
            ValueRange{pieceOf(table, at), pieceOf(indices, at)})
            .getResult(0);
    if (width == lanes)
      return found;
    if (!result)
      result = k.zero(indices.getType());
    result = vector::InsertStridedSliceOp::create(builder, k.getLoc(), found,
                                                  result, ArrayRef<int64_t>{at},
                                                  ArrayRef<int64_t>{1});
  }
  return result;
}

/// The same with one table of 16 entries for all.
static Value lookUpPieces(KernelBuilder &k, Value indices,
                          ArrayRef<uint8_t> table) {
  int64_t lanes = cast<VectorType>(indices.getType()).getDimSize(0);
  SmallVector<int8_t> entries;
  for (int64_t i = 0; i < lanes; ++i)
    entries.push_back(static_cast<int8_t>(table[i % 16]));
  return lookUpPieces(k, indices, k.constant(entries));
}

Value KernelBuilder::lookUp(Value indices, Value table) {
  return lookUpPieces(*this, indices, table);
}

Value KernelBuilder::lookUp(Value indices, ArrayRef<uint8_t> table) {
  assert(table.size() % 16 == 0 && !table.empty() && table.size() <= 64);
  if (table.size() == 16)
    return lookUpPieces(*this, indices, table);
  int64_t lanes = cast<VectorType>(indices.getType()).getDimSize(0);
  auto everywhere = [&](int value) {
    SmallVector<int8_t> bytes(lanes, static_cast<int8_t>(value));
    return constant(bytes);
  };
  // Each 16 entries see the other indices as beyond them: on x86 adding 0x70
  // puts those of 16 and more (up to 63) at 0x80 and above.
  bool isX86 = target.triple.starts_with("x86_64");
  Value result;
  for (size_t part = 0; part < table.size() / 16; ++part) {
    Value index = xori(indices, everywhere(int(part) * 16));
    if (isX86)
      index = add(index, everywhere(0x70));
    Value found = lookUpPieces(*this, index, table.slice(part * 16, 16));
    result = result ? ori(result, found) : found;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Steps of Spec.md, section 3
//===----------------------------------------------------------------------===//

/// The lower and the upper half of a vector.
static std::pair<Value, Value> halves(KernelBuilder &k, Value vector) {
  int64_t half = cast<VectorType>(vector.getType()).getDimSize(0) / 2;
  auto extract = [&](int64_t at) -> Value {
    return vector::ExtractStridedSliceOp::create(
        k.getBuilder(), k.getLoc(), vector, ArrayRef<int64_t>{at},
        ArrayRef<int64_t>{half}, ArrayRef<int64_t>{1});
  };
  return {extract(0), extract(half)};
}

Value KernelBuilder::sumLanes(Value vector) {
  while (cast<VectorType>(vector.getType()).getDimSize(0) > 1) {
    auto [low, high] = halves(*this, vector);
    vector = add(low, high);
  }
  return vector::ExtractOp::create(builder, location, vector, int64_t(0));
}

Value KernelBuilder::maxLanes(Value vector) {
  while (cast<VectorType>(vector.getType()).getDimSize(0) > 1) {
    auto [low, high] = halves(*this, vector);
    vector = maxf(low, high);
  }
  return vector::ExtractOp::create(builder, location, vector, int64_t(0));
}

Value KernelBuilder::exp(Value x) {
  Type type = x.getType();
  Type i32Type = withElement(type, builder.getI32Type());
  auto c = [&](float value) {
    return floatLike(builder, location, type, value);
  };
  Value underflows = compare(arith::CmpFPredicate::OLT, x, c(-87.33654f));
  // Clamped below too, so that the conversion of n is in range; the result of
  // those lanes is replaced by 0.
  Value clamped = select(underflows, c(-87.33654f), x);
  Value isHigh = compare(arith::CmpFPredicate::OGT, clamped, c(88.37626f));
  clamped = select(isHigh, c(88.37626f), clamped);
  Value isNan = compare(arith::CmpFPredicate::UNO, x, x);
  Value safe = select(isNan, c(0.0f), clamped);
  Value n = rint(mul(safe, c(1.44269504f)));
  Value r = fma(n, c(-0.693359375f), safe);
  r = fma(n, c(2.12194440e-4f), r);
  Value p = c(1.9875691500e-4f);
  for (float coefficient :
       {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
        5.0000001201e-1f})
    p = fma(p, r, c(coefficient));
  Value t = mul(p, r);
  t = fma(t, r, r);
  Value y = add(t, c(1.0f));
  // y · 2^n with n in [-126, 127]: a multiplication by an exact power of two.
  Value exponent =
      shl(add(toI32(n), integerLike(builder, location, i32Type, 127)), 23);
  y = mul(y, bitcast(exponent, type));
  y = select(underflows, c(0.0f), y);
  return select(isNan, x, y);
}
