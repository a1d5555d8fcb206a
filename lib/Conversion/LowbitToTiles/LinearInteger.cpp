//===- LinearInteger.cpp - Integer weights by matrix products ---*- C++ -*-===//
//
// The weights in the order of the CPU are operands of mma.m16n8k32 (u8 × s8):
// lane (g, t) = (lane / 4, lane % 4) loads 16 bytes of vector t of tile g / 4,
// which are rows 4(g % 4) … + 3 of 4 bytes each. Masked, word i is row g of
// one matrix (i even) or row g + 8 (i odd), columns 4t … 4t + 3, so that two
// products, over words 0, 1 and 2, 3, cover the 32 rows of the pair, and lane
// (g, t) gets the sums of rows 4g … 4g + 3.
//
// The 8 columns of the product are planes of tokens: with two planes columns
// 2t and 2t + 1, which lane (g, t) gets, are hi and lo of one token.
//
// A product takes 32 columns of weights as 8 words a row: which digit of which
// vector a word is does not matter as long as both operands agree. Lanes take
// vectors t, t + 4, …; where a piece has fewer than 4 vectors, some lanes share
// a vector and take other digits of it.
//
//===----------------------------------------------------------------------===//

#include "LinearBlock.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace lowbit;

namespace {

/// One lane's word of each of its 4 rows, and the first of the 4 columns of the
/// group that they are codes of (i64).
struct Word {
  Value rows[4];
  Value column;
};

class IntegerProduct : public SlabProduct {
public:
  IntegerProduct(const LinearKernel &linear, TileBuilder &t, int64_t tokens)
      : linear(linear), weights(linear.weights),
        shape(*getDigits(linear.weights)), t(t),
        columnBlocks(std::max<int64_t>(1, tokens * linear.planes / 8)),
        lanes(shape.getPlanes().size()) {}

  void beginKernel(const LinearPointers &given) override;
  void beginTokens(Value token) override;
  void emitSlab(Value slab, int64_t columns, Value partials) override;

private:
  /// A lane's part of a piece of `columns` columns, in one plane of digits.
  struct LanePlace {
    Value bytes;  ///< of its first vector in the piece
    Value column; ///< its first column in the piece
    Value shift;  ///< i32; null where it takes all digits
  };
  using Sums = SmallVector<SmallVector<Value>>; ///< [column block · 2][4]

  int64_t vectorOfPlane(size_t plane) const;
  LanePlace getPlace(size_t plane, int64_t vectors);
  SmallVector<Word> loadPiece(Value codes, int64_t firstColumn, int64_t columns,
                              int64_t groupColumns);
  void multiply(ArrayRef<Word> words, Value firstColumn, Sums &sums);
  Sums startSums();
  Value activations(int64_t block, Value column);
  void addGroup(const Sums &sums, Value group, Value scalesPlace,
                Value zerosPlace, SmallVectorImpl<Value> &partials);
  SmallVector<Value> loadRows(Value place, bool areScales);
  Value toFloat(Value hi, Value lo, Value sumPlace, Value zero);
  int64_t turnColumns() const;
  int64_t
  forTurns(int64_t columns, SmallVectorImpl<Value> &carried,
           llvm::function_ref<void(Value, SmallVectorImpl<Value> &)> body);
  void emitGroup(Value group, int64_t columns,
                 SmallVectorImpl<Value> &partials);
  void emitGroups(Value slab, int64_t columns,
                  SmallVectorImpl<Value> &partials);
  void emitRow(Value slab, int64_t columns, SmallVectorImpl<Value> &partials);
  int64_t tokensPerLane() const { return linear.planes == 2 ? 1 : 2; }
  int64_t tokensPerBlock() const { return 8 / linear.planes; }
  /// Tokens of column block `block` that this lane has the sums of.
  Value tokenOf(int64_t block, int64_t i);

  const LinearKernel &linear;
  const GroupedWeights &weights;
  const DigitShape &shape;
  TileBuilder &t;
  const int64_t columnBlocks;
  LinearPointers pointers;
  Value g, k;       ///< i64: lane / 4, lane % 4
  Value tile;       ///< of this lane's rows
  Value rowBytes;   ///< i64: 16 · (g % 4), place of its rows in a vector
  Value firstRow;   ///< i64: 4 · (g % 4)
  Value firstToken; ///< i64
  SmallVector<Value> columnRows; ///< q of this lane's column, by block
  /// By plane of digits and number of vectors, made once.
  SmallVector<llvm::SmallDenseMap<int64_t, LanePlace>> lanes;
};

} // namespace

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void IntegerProduct::beginKernel(const LinearPointers &given) {
  pointers = given;
  g = t.shru(t.lane(), 2);
  k = t.andi(t.lane(), t.index(3));
  tile = pairTile(t, linear, t.item(), t.shru(g, 2), pointers.weight);
  Value quarter = t.andi(g, t.index(3));
  rowBytes = t.mul(quarter, t.index(16));
  firstRow = t.mul(quarter, t.index(4));
  for (auto [plane, digits] : llvm::enumerate(shape.getPlanes()))
    for (int64_t columns : {32, 64, 128})
      (void)getPlace(plane, columns * digits.bits / 32);
}

int64_t IntegerProduct::vectorOfPlane(size_t plane) const {
  int64_t vector = 0;
  for (size_t i = 0; i < plane; ++i)
    vector += shape.getPlanes()[i].vectors;
  return vector;
}

/// Where this lane is in a piece that has `vectors` vectors of a plane.
IntegerProduct::LanePlace IntegerProduct::getPlace(size_t plane,
                                                   int64_t vectors) {
  auto known = lanes[plane].find(vectors);
  if (known != lanes[plane].end())
    return known->second;
  const DigitPlane &digits = shape.getPlanes()[plane];
  int64_t perVector = 32 / digits.bits, digitCount = 8 / digits.bits;
  int64_t shared = std::min<int64_t>(vectors, 4);
  Value vector = t.andi(k, t.index(shared - 1));
  Value block = t.div(vector, t.index(digits.vectors));
  Value within = t.rem(vector, t.index(digits.vectors));
  LanePlace place;
  place.bytes = t.add(t.add(t.mul(block, t.index(weights.geometry.blockBytes)),
                            t.mul(within, t.index(64))),
                      t.add(rowBytes, t.index(64 * vectorOfPlane(plane))));
  place.column = t.mul(vector, t.index(perVector));
  if (vectors < 4) {
    int64_t digitsPerLane = digitCount * vectors / 4;
    Value digit = t.mul(t.div(k, t.index(vectors)), t.index(digitsPerLane));
    place.column = t.add(place.column, t.mul(digit, t.index(4)));
    place.shift = t.truncate(t.mul(digit, t.index(digits.bits)),
                             t.getBuilder().getI32Type());
  }
  lanes[plane][vectors] = place;
  return place;
}

/// This lane's words of the columns firstColumn … + columns − 1 of a group of
/// `groupColumns` columns whose codes start at `codes`. `columns` is 32, 64 or
/// 128; columns beyond the group have activations of 0.
SmallVector<Word> IntegerProduct::loadPiece(Value codes, int64_t firstColumn,
                                            int64_t columns,
                                            int64_t groupColumns) {
  OpBuilder &builder = t.getBuilder();
  int64_t blocks = shape.blocks(groupColumns);
  unsigned alignment = std::gcd<int64_t>(
      16, linear.isRowScaled() ? 16 : weights.geometry.groupBytes);
  SmallVector<Word> words;
  for (auto [plane, digits] : llvm::enumerate(shape.getPlanes())) {
    int64_t perVector = 32 / digits.bits, digitCount = 8 / digits.bits;
    int64_t vectors = columns / perVector;
    LanePlace place = getPlace(plane, vectors);
    int64_t firstVector = firstColumn / perVector;
    int64_t existing = blocks * digits.vectors - firstVector;
    int64_t loads = std::max<int64_t>(1, vectors / 4);
    for (int64_t load = 0; load < loads; ++load) {
      // Vectors 4·load + (0 … 3) of the piece; digits.vectors divides 4.
      int64_t block = (firstVector + 4 * load) / digits.vectors;
      Value pointer = t.offset(t.offset(codes, place.bytes),
                               block * weights.geometry.blockBytes);
      if (4 * load >= existing)
        continue;
      int64_t here = std::min<int64_t>(vectors, 4);
      if (4 * load + here > existing) {
        // Lanes beyond the group's last vector repeat its first one.
        Value vector = t.andi(k, t.index(here - 1));
        Value exists = t.isLess(vector, t.index(existing - 4 * load));
        Value first = t.offset(t.offset(codes, rowBytes),
                               block * weights.geometry.blockBytes +
                                   64 * vectorOfPlane(plane));
        pointer = t.select(exists, pointer, first);
      }
      Value loaded = t.loadConstant(t.vectorType(builder.getI32Type(), 4),
                                    pointer, alignment);
      int64_t taken = vectors < 4 ? digitCount * vectors / 4 : digitCount;
      for (int64_t digit = 0; digit < taken; ++digit) {
        Word word;
        word.column =
            t.add(place.column,
                  t.index(firstColumn + 4 * load * perVector + 4 * digit));
        int64_t shift = digit * digits.bits;
        int32_t byteMask = (1 << digits.bits) - 1;
        for (int64_t row = 0; row < 4; ++row) {
          Value value =
              vector::ExtractOp::create(builder, t.getLoc(), loaded, row);
          if (place.shift)
            value =
                arith::ShRUIOp::create(builder, t.getLoc(), value, place.shift);
          // The digit in place, times its weight.
          int64_t right = shift - digits.weightLog2;
          if (right > 0)
            value = t.shru(value, right);
          else if (right < 0)
            value = t.shl(value, -right);
          if (digits.bits < 8)
            value = t.andi(value,
                           t.i32((byteMask << digits.weightLog2) * 0x01010101));
          word.rows[row] = value;
        }
        words.push_back(word);
      }
    }
    // The upper half of the last product where its vectors do not exist.
    if (words.size() % 2 != 0) {
      Word none = words.back();
      std::fill(std::begin(none.rows), std::end(none.rows), t.i32(0));
      words.push_back(none);
    }
  }
  return words;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void IntegerProduct::beginTokens(Value token) {
  firstToken = token;
  columnRows.clear();
  Value last = t.sub(t.rows(), t.index(1));
  for (int64_t block = 0; block < columnBlocks; ++block) {
    // Column g of the product: plane g % planes of a token; one that does not
    // exist repeats the last.
    Value own = linear.planes == 2 ? t.shru(g, 1) : g;
    Value here = t.add(token, t.add(own, t.index(block * tokensPerBlock())));
    here = t.minInteger(here, last);
    Value row = t.mul(here, t.index(linear.planes));
    if (linear.planes == 2)
      row = t.add(row, t.andi(g, t.index(1)));
    columnRows.push_back(t.element(pointers.q, row, linear.planeStride()));
  }
}

Value IntegerProduct::activations(int64_t block, Value column) {
  return t.load(t.getBuilder().getI32Type(),
                t.offset(columnRows[block], column));
}

IntegerProduct::Sums IntegerProduct::startSums() {
  return Sums(2 * columnBlocks, SmallVector<Value>(4, t.i32(0)));
}

/// sums += words · activations; words come in pairs, of which the second is
/// the upper half of the operands. `firstColumn` is the group's.
void IntegerProduct::multiply(ArrayRef<Word> words, Value firstColumn,
                              Sums &sums) {
  assert(words.size() % 2 == 0 && "a product takes two words");
  for (size_t i = 0; i < words.size(); i += 2) {
    const Word &low = words[i], &high = words[i + 1];
    for (int64_t block = 0; block < columnBlocks; ++block) {
      SmallVector<Value> b;
      for (const Word *word : {&low, &high})
        b.push_back(activations(block, t.add(firstColumn, word->column)));
      for (int64_t half = 0; half < 2; ++half) {
        SmallVector<Value> a{low.rows[2 * half], low.rows[2 * half + 1],
                             high.rows[2 * half], high.rows[2 * half + 1]};
        SmallVector<Value> &c = sums[2 * block + half];
        c = t.mma(a, b, c);
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// Float steps
//===----------------------------------------------------------------------===//

Value IntegerProduct::tokenOf(int64_t block, int64_t i) {
  Value own = linear.planes == 2 ? k : t.add(t.mul(k, t.index(2)), t.index(i));
  return t.add(firstToken, t.add(own, t.index(block * tokensPerBlock())));
}

/// The scales (f32) or zero points (i32) of this lane's 4 rows.
SmallVector<Value> IntegerProduct::loadRows(Value place, bool areScales) {
  OpBuilder &builder = t.getBuilder();
  SmallVector<Value> result;
  if (areScales) {
    for (int64_t row = 0; row < 4; ++row)
      result.push_back(
          loadScale(t, weights, place, t.add(firstRow, t.index(row))));
    return result;
  }
  // 4 · b bits, from a bit that is a multiple of 4 on.
  int bits = weights.zeroBits;
  Type i32Type = builder.getI32Type();
  Value bit = t.mul(firstRow, t.index(bits));
  Value bytes = t.offset(place, t.shru(bit, 3));
  Value word = t.i32(0);
  for (int64_t byte = 0; byte < (4 * bits + 11) / 8 && byte < 4; ++byte) {
    Value loaded = t.extend(
        t.loadConstant(builder.getI8Type(), t.offset(bytes, byte)), i32Type,
        /*isSigned=*/false);
    word = t.ori(word, t.shl(loaded, 8 * byte));
  }
  word = arith::ShRUIOp::create(builder, t.getLoc(), word,
                                t.truncate(t.andi(bit, t.index(7)), i32Type));
  for (int64_t row = 0; row < 4; ++row)
    result.push_back(
        t.andi(t.shru(word, row * bits), t.i32((int64_t(1) << bits) - 1)));
  return result;
}

/// f: the zero point taken off the exact sums Σ c·q, and the planes joined.
/// `sumPlace` points at the plain sum of plane 0.
Value IntegerProduct::toFloat(Value hi, Value lo, Value sumPlace, Value zero) {
  Type i32Type = t.getBuilder().getI32Type();
  SmallVector<Value> exact{hi}, plain{t.load(i32Type, sumPlace)};
  if (linear.planes == 2) {
    exact.push_back(lo);
    plain.push_back(t.load(i32Type, t.offset(sumPlace, linear.sumCount() * 4)));
    if (linear.combinesPlanes()) {
      exact = {t.add(t.shl(hi, 8), lo)};
      plain = {t.add(t.shl(plain[0], 8), plain[1])};
    }
  }
  SmallVector<Value> parts;
  for (auto [sum, activations] : llvm::zip_equal(exact, plain)) {
    Value whole =
        weights.multiplier == 1 ? sum : t.mul(sum, t.i32(weights.multiplier));
    Value offset = t.mul(activations, zero ? zero : t.i32(weights.zero));
    parts.push_back(t.toF32(t.sub(whole, offset)));
  }
  return parts.size() == 1 ? parts[0]
                           : t.fma(parts[0], t.f32(256.0f), parts[1]);
}

/// partials[(block · tokens per lane + i) · 4 + row] for one group or slab;
/// `group` is its place among the sums. Scales are null for row-scaled weights.
void IntegerProduct::addGroup(const Sums &sums, Value group, Value scalesPlace,
                              Value zerosPlace,
                              SmallVectorImpl<Value> &partials) {
  SmallVector<Value> scales, zeros(4, Value());
  if (scalesPlace)
    scales = loadRows(scalesPlace, /*areScales=*/true);
  if (weights.hasStoredZeros())
    zeros = loadRows(zerosPlace, /*areScales=*/false);
  Value last = t.sub(t.rows(), t.index(1));
  for (int64_t block = 0; block < columnBlocks; ++block)
    for (int64_t i = 0; i < tokensPerLane(); ++i) {
      Value token = t.minInteger(tokenOf(block, i), last);
      Value place = t.add(
          t.mul(token, t.index(linear.planes * linear.sumCount())), group);
      Value sumPlace = t.element(pointers.sums, place, 4);
      for (int64_t row = 0; row < 4; ++row) {
        // Row 4g + row: word `row` is matrix row g (even) or g + 8 (odd).
        const SmallVector<Value> &c = sums[2 * block + row / 2];
        Value first = c[row % 2 * 2], second = c[row % 2 * 2 + 1];
        Value f = linear.planes == 2
                      ? toFloat(first, second, sumPlace, zeros[row])
                      : toFloat(i == 0 ? first : second, Value(), sumPlace,
                                zeros[row]);
        Value &partial = partials[(block * tokensPerLane() + i) * 4 + row];
        partial = scales.empty() ? f : t.fma(f, scales[row], partial);
      }
    }
}

//===----------------------------------------------------------------------===//
// Slabs
//===----------------------------------------------------------------------===//

/// Pieces of 128, 64 and 32 columns that cover `columns`.
static SmallVector<std::pair<int64_t, int64_t>> cutPieces(int64_t columns) {
  SmallVector<std::pair<int64_t, int64_t>> pieces;
  int64_t padded = (columns + 31) / 32 * 32;
  for (int64_t at = 0; at < padded;) {
    int64_t rest = padded - at;
    int64_t size = rest >= 128 ? 128 : rest >= 64 ? 64 : 32;
    pieces.push_back({at, size});
    at += size;
  }
  return pieces;
}

/// One group of `columns` columns.
void IntegerProduct::emitGroup(Value group, int64_t columns,
                               SmallVectorImpl<Value> &partials) {
  const TileGeometry &geometry = weights.geometry;
  Value codes = t.element(tile, group, geometry.groupBytes);
  Value column = t.mul(group, t.index(weights.group));
  Sums sums = startSums();
  for (auto [first, size] : cutPieces(columns))
    multiply(loadPiece(codes, first, size, columns), column, sums);
  int64_t scales = shape.blocks(columns) * geometry.blockBytes;
  addGroup(sums, group, t.offset(codes, scales),
           t.offset(codes, scales + geometry.scalesBytes), partials);
}

/// Columns that the body of a loop over a slab takes: as many as a lane loads
/// in four times 16 bytes (two times where there are many tokens, whose
/// activations want registers, too), and whole groups.
int64_t IntegerProduct::turnColumns() const {
  int64_t codeBits = 8 * weights.geometry.blockBytes / (16 * shape.columns());
  int64_t loads = linear.bucket == 1 ? 4 : 2;
  int64_t columns = llvm::bit_floor(uint64_t(loads * 128 / codeBits));
  return std::clamp(columns, std::max<int64_t>(32, weights.group), slabColumns);
}

/// Calls `body(first column, carried)` for each whole turn of a slab of
/// `columns` columns, in a loop; the columns that it covered.
int64_t IntegerProduct::forTurns(
    int64_t columns, SmallVectorImpl<Value> &carried,
    llvm::function_ref<void(Value, SmallVectorImpl<Value> &)> body) {
  int64_t covered = columns / turnColumns() * turnColumns();
  if (covered > 0)
    carried = t.forLoop(t.index(0), t.index(covered), turnColumns(), carried,
                        [&](Value column, ValueRange values) {
                          SmallVector<Value> next(values);
                          body(column, next);
                          return next;
                        });
  return covered;
}

/// The partial sums of a slab of groups.
void IntegerProduct::emitGroups(Value slab, int64_t columns,
                                SmallVectorImpl<Value> &partials) {
  int64_t size = weights.group;
  Value firstGroup = t.mul(slab, t.index(slabColumns / size));
  int64_t covered = forTurns(
      columns, partials, [&](Value column, SmallVectorImpl<Value> &carried) {
        Value first = t.add(firstGroup, t.shru(column, llvm::Log2_64(size)));
        for (int64_t i = 0; i < turnColumns() / size; ++i)
          emitGroup(t.add(first, t.index(i)), size, carried);
      });
  for (int64_t at = covered; at < columns; at += size)
    emitGroup(t.add(firstGroup, t.index(at / size)),
              std::min(size, columns - at), partials);
}

/// The same of a slab of a row with one scale: its exact sums.
void IntegerProduct::emitRow(Value slab, int64_t columns,
                             SmallVectorImpl<Value> &partials) {
  int64_t blockBytes = weights.geometry.blockBytes;
  auto bytesOf = [&](int64_t count) {
    return count / shape.columns() * blockBytes;
  };
  Value codes = t.element(tile, slab, bytesOf(slabColumns));
  Value firstColumn = t.mul(slab, t.index(slabColumns));
  SmallVector<Value> exact(8 * columnBlocks, t.i32(0));
  auto addPieces = [&](Value from, Value column, int64_t count,
                       SmallVectorImpl<Value> &carried) {
    Sums sums = startSums();
    for (auto [i, value] : llvm::enumerate(carried))
      sums[i / 4][i % 4] = value;
    for (auto [first, size] : cutPieces(count))
      multiply(loadPiece(from, first, size, count), column, sums);
    for (auto [i, value] : llvm::enumerate(carried))
      value = sums[i / 4][i % 4];
  };
  int64_t covered = forTurns(
      columns, exact, [&](Value column, SmallVectorImpl<Value> &carried) {
        Value blocks = t.shru(column, llvm::Log2_64(shape.columns()));
        addPieces(t.element(codes, blocks, blockBytes),
                  t.add(firstColumn, column), turnColumns(), carried);
      });
  if (covered < columns)
    addPieces(t.offset(codes, bytesOf(covered)),
              t.add(firstColumn, t.index(covered)), columns - covered, exact);
  Sums sums = startSums();
  for (auto [i, value] : llvm::enumerate(exact))
    sums[i / 4][i % 4] = value;
  addGroup(sums, slab, Value(), t.offset(tile, weights.geometry.group(0).zeros),
           partials);
}

void IntegerProduct::emitSlab(Value slab, int64_t columns, Value partials) {
  int64_t tokens = columnBlocks * tokensPerLane();
  SmallVector<Value> sums(tokens * 4, t.f32(0.0f));
  if (linear.isRowScaled())
    emitRow(slab, columns, sums);
  else
    emitGroups(slab, columns, sums);
  Value rows = t.mul(g, t.index(4));
  for (int64_t block = 0; block < columnBlocks; ++block)
    for (int64_t i = 0; i < tokensPerLane(); ++i) {
      int64_t at = (block * tokensPerLane() + i) * 4;
      Value vector = vector::FromElementsOp::create(
          t.getBuilder(), t.getLoc(),
          t.vectorType(t.getBuilder().getF32Type(), 4),
          ValueRange(sums).slice(at, 4));
      Value token = t.sub(tokenOf(block, i), firstToken);
      Value place = t.add(t.mul(token, t.index(pairRows)), rows);
      auto store = [&] { t.store(vector, t.element(partials, place, 4)); };
      if (linear.bucket == 1)
        t.ifThen(t.compare(arith::CmpIPredicate::eq, token, t.index(0)), store);
      else
        store();
    }
}

std::unique_ptr<SlabProduct>
lowbit::createIntegerProduct(const LinearKernel &linear, TileBuilder &t,
                             int64_t tokens) {
  return std::make_unique<IntegerProduct>(linear, t, tokens);
}
