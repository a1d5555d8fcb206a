//===- DecodeShape.cpp - Packed words to bytes ------------------*- C++ -*-===//

#include "DecodeShape.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <cassert>

using namespace mlir;
using namespace lowbit;

DecodeShape::~DecodeShape() = default;

Value BlockWords::get(int64_t index, int down) {
  VectorType words = k.vectorType(k.getBuilder().getI16Type(), bytes / 2);
  Value &whole = made[{index, 0}];
  if (!whole)
    whole = k.load(words, k.offset(pointer, index * 64));
  Value &shifted = made[{index, down}];
  if (!shifted)
    shifted = down > 0 ? k.shru(whole, down) : k.shl(whole, -down);
  return shifted;
}

int64_t CodeStep::largestIndex() const {
  int64_t bits = 0;
  for (const CodePart &part : parts)
    bits |= part.mask;
  return bits;
}

//===----------------------------------------------------------------------===//
// Digits
//===----------------------------------------------------------------------===//

DigitShape::DigitShape(int bits) : bits(bits) {
  blockColumns = lowbit::blockColumns(bits);
  for (auto [width, shift] : DigitPlanes(bits))
    planes.push_back({width, int(blockColumns * width / 32), shift});
  assert(vectors() * 64 == lowbit::blockBytes(bits) &&
         "the planes are the block");
}

int64_t DigitShape::vectors() const {
  int64_t count = 0;
  for (const VectorPlane &plane : planes)
    count += plane.vectors;
  return count;
}

/// Bits by which a digit is shifted down where it does not form a whole code.
static int shiftDown(StepCut cut, int position, int bits) {
  if (cut == StepCut::InPlace)
    return bits == 1 ? position & 4 : 0;
  int down = position / (2 * bits) * (2 * bits);
  int mask = ((1 << bits) - 1) << (position - down);
  return mask > 63 ? position : down;
}

SmallVector<CodeStep> DigitShape::steps(StepCut cut) const {
  // Digits of several planes are joined where codes are so small that i16 holds
  // the sums of a block, which halves the multiplications; else each digit is a
  // step of its own.
  bool isJoined =
      cut == StepCut::Whole || (cut == StepCut::Small && planes.size() > 1 &&
                                blockColumns / 4 * 256 * largest() <= 32767);
  SmallVector<CodeStep> steps;
  if (isJoined)
    for (int64_t column = 0; column < blockColumns; column += 4)
      steps.push_back({column, 0, {}});
  int64_t first = 0;
  for (const VectorPlane &plane : planes) {
    int64_t perVector = 32 / plane.bits;
    assert(plane.vectors * perVector == blockColumns &&
           "every plane covers all columns of the block");
    int mask = (1 << plane.bits) - 1;
    for (int64_t column = 0; column < blockColumns; column += 4) {
      int64_t vector = first + column / perVector;
      int position = column % perVector / 4 * plane.bits;
      if (isJoined) {
        steps[column / 4].parts.push_back(
            {vector, position - plane.weightLog2, mask << plane.weightLog2});
        continue;
      }
      int down = shiftDown(cut, position, plane.bits);
      int up = position - down;
      steps.push_back(
          {column, plane.weightLog2 - up, {{vector, down, mask << up}}});
    }
    first += plane.vectors;
  }
  return steps;
}

int64_t DigitShape::largestByte(const CodeStep &step) const {
  return step.largestIndex();
}

Value DigitShape::emit(KernelBuilder &k, const CodeStep &step,
                       BlockWords &words) const {
  Value code;
  for (const CodePart &part : step.parts) {
    Value bits = words.get(part.vector, part.down);
    if (part.mask != 0xff) {
      SmallVector<int8_t> mask(words.vectorBytes(),
                               static_cast<int8_t>(part.mask));
      bits = k.andi(bits, k.bitcast(k.constant(mask), bits.getType()));
    }
    code = code ? k.ori(code, bits) : bits;
  }
  return code;
}

/// 16 lanes of which each word takes an equal share.
static Value spread(KernelBuilder &k, ArrayRef<Value> words) {
  if (words.size() == 1)
    return k.splat(words[0]);
  Value vector = k.zero(k.i32x16());
  int64_t share = 16 / words.size();
  for (int64_t i = 0; i < 16; ++i)
    vector = vector::InsertOp::create(k.getBuilder(), k.getLoc(),
                                      words[i / share], vector, i);
  return vector;
}

Value DigitShape::row(KernelBuilder &k, Value codes, Value lane, Value pair,
                      int64_t first, int64_t lanes) const {
  // The pair is whole blocks, or the block is the pair.
  Value start =
      k.element(codes, pair, pairColumns / blockColumns * blockBytes());
  start = k.element(start, lane, 4);
  Type i32 = k.getBuilder().getI32Type();
  Value code;
  int64_t planeVector = 0; // first vector of the plane in a block
  for (const VectorPlane &plane : planes) {
    // Columns 4j + b of a word lie in byte b, at digit j.
    int64_t perWord = 32 / plane.bits;
    SmallVector<Value> words;
    for (int64_t column = 0; column < 16; column += perWord) {
      int64_t at = first + column;
      int64_t vector = at / blockColumns * vectors() + planeVector +
                       at % blockColumns / perWord;
      words.push_back(column < lanes ? k.load(i32, k.offset(start, vector * 64))
                                     : k.i32(0));
    }
    SmallVector<int32_t> shifts;
    for (int64_t i = 0; i < 16; ++i)
      shifts.push_back(8 * (i % 4) + (first + i) % perWord / 4 * plane.bits);
    Value digit = arith::ShRUIOp::create(k.getBuilder(), k.getLoc(),
                                         spread(k, words), k.constant(shifts));
    digit = k.andi(digit, k.splat(k.i32((1 << plane.bits) - 1)));
    if (plane.weightLog2)
      digit = k.shl(digit, plane.weightLog2);
    code = code ? k.ori(code, digit) : digit;
    planeVector += plane.vectors;
  }
  return code;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

TableShape::TableShape(int bits, SmallVector<uint8_t> entries)
    : DigitShape(bits), table(std::move(entries)) {
  assert(bits <= 6 && table.size() <= (size_t(1) << bits));
  table.resize((table.size() + 15) / 16 * 16, table.back());
}

int64_t TableShape::largest() const { return *llvm::max_element(table); }

SmallVector<CodeStep> TableShape::steps(StepCut) const {
  return DigitShape::steps(StepCut::Whole);
}

int64_t TableShape::largestByte(const CodeStep &) const { return largest(); }

Value TableShape::emit(KernelBuilder &k, const CodeStep &step,
                       BlockWords &words) const {
  Value index = DigitShape::emit(k, step, words);
  VectorType bytes =
      k.vectorType(k.getBuilder().getI8Type(), words.vectorBytes());
  return k.bitcast(k.lookUp(k.bitcast(index, bytes), table), index.getType());
}

Value TableShape::row(KernelBuilder &k, Value codes, Value lane, Value pair,
                      int64_t first, int64_t lanes) const {
  Value index = DigitShape::row(k, codes, lane, pair, first, lanes);
  Value bytes = k.truncate(index, k.getBuilder().getI8Type());
  return k.extend(k.lookUp(bytes, table), k.getBuilder().getI32Type(),
                  /*isSigned=*/false);
}

//===----------------------------------------------------------------------===//
// Levels of groups
//===----------------------------------------------------------------------===//

SmallVector<CodeStep> LevelShape::steps(StepCut) const {
  SmallVector<CodeStep> result;
  for (int64_t vector = 1; vector < vectors(); ++vector)
    for (CodeStep step : digits.steps(StepCut::Whole)) {
      step.column += (vector - 1) * digits.columns();
      for (CodePart &part : step.parts)
        part.vector += vector;
      result.push_back(step);
    }
  return result;
}

Value LevelShape::emit(KernelBuilder &k, const CodeStep &step,
                       BlockWords &words) const {
  int64_t count = words.vectorBytes();
  VectorType bytes = k.vectorType(k.getBuilder().getI8Type(), count);
  Value levels = k.xori(k.bitcast(words.get(0, 0), bytes),
                        k.constant(SmallVector<int8_t>(count, -128)));
  // Lane r's levels are bytes 4r … of its piece of 16.
  SmallVector<int8_t> places;
  for (int64_t i = 0; i < count; ++i)
    places.push_back(static_cast<int8_t>(i % 16 / 4 * 4));
  Value index =
      k.ori(k.bitcast(digits.emit(k, step, words), bytes), k.constant(places));
  return k.bitcast(k.lookUp(index, levels), words.get(0, 0).getType());
}

Value LevelShape::row(KernelBuilder &k, Value codes, Value lane, Value pair,
                      int64_t first, int64_t lanes) const {
  Value index = digits.row(k, k.offset(codes, 64), lane, pair, first, lanes);
  Value levels =
      k.xori(k.load(k.getBuilder().getI32Type(), k.element(codes, lane, 4)),
             k.i32(static_cast<int32_t>(0x80808080u)));
  Value moved = arith::ShRUIOp::create(k.getBuilder(), k.getLoc(),
                                       k.splat(levels), k.shl(index, 3));
  return k.andi(moved, k.splat(k.i32(255)));
}

int lowbit::smallestStep(const IntegerFormat &format) {
  int smallest = format.element == Element::Free ? -128 : 0;
  for (int code = 0; code < format.codes(); ++code)
    if (format.isNumber(code))
      smallest = std::min(smallest, format.tableStep(code));
  return smallest;
}

std::shared_ptr<const DecodeShape>
lowbit::makeDecodeShape(const IntegerFormat &format) {
  if (format.element == Element::Free)
    return std::make_shared<LevelShape>(format.group);
  if (format.element == Element::Integer || format.isFloat())
    return std::make_shared<DigitShape>(format.bits);
  SmallVector<uint8_t> table;
  bool isIndex = true;
  int smallest = smallestStep(format);
  for (int code = 0; code < format.codes() && format.isNumber(code); ++code) {
    table.push_back(static_cast<uint8_t>(format.tableStep(code) - smallest));
    isIndex &= table.back() == code;
  }
  if (isIndex)
    return std::make_shared<DigitShape>(format.bits);
  return std::make_shared<TableShape>(format.bits, std::move(table));
}
