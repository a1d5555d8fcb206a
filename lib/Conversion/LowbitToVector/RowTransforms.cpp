//===- RowTransforms.cpp - Rows times matrices of a known kind --*- C++ -*-===//
//
// Every kind works on whole vectors of 16 columns, in the order of Spec.md,
// section 3. Steps of a Hadamard matrix with a stride below 16 pair lanes of
// one vector; a pair never crosses a row's end, because twice the stride
// divides the block. Sign bits lie in constant tables, one bit for a column.
//
//===----------------------------------------------------------------------===//

#include "RowTransforms.h"
#include "lowbit/Numerics/Hadamard.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace lowbit;
using namespace mlir;

/// Columns after which sums of a matrix begin anew.
static constexpr int64_t sumColumns = 512;

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

RowTransforms::RowTransforms(KernelParameters &parameters, int64_t columns,
                             llvm::StringRef prefix)
    : columns(columns), widest(columns) {
  read(parameters, (prefix + "transforms").str(),
       (prefix + "transform_types").str());
}

/// Matrices that a kind takes.
static size_t matrixCount(TransformInterface kind) {
  if (isa<KroneckerAttr>(kind))
    return 2;
  return isa<DenseAttr, DiagonalAttr>(kind) ? 1 : 0;
}

void RowTransforms::read(KernelParameters &parameters, llvm::StringRef list,
                         llvm::StringRef typeList) {
  SmallVector<RankedTensorType> types = parameters.matrixTypes(typeList);
  for (Attribute attribute : parameters.list(list)) {
    auto kind = dyn_cast<TransformInterface>(attribute);
    if (!kind)
      return parameters.report(list, "expected a list of transforms");
    int64_t first = matrixTypes.size();
    if (first + matrixCount(kind) > types.size())
      return parameters.report(typeList, "has too few matrices");
    auto own = ArrayRef(types).slice(first, matrixCount(kind));
    std::string problem;
    std::optional<int64_t> result =
        kind.getResultColumns(columns, own, problem);
    if (!result || *result > maxKernelExtent)
      return parameters.report(list, result ? "is too large" : problem);
    matrixTypes.append(own.begin(), own.end());
    steps.push_back({kind, columns, *result, first, Value(), Value()});
    columns = *result;
    widest = std::max(widest, *result);
  }
  if (matrixTypes.size() != types.size())
    parameters.report(typeList, "has too many matrices");
}

//===----------------------------------------------------------------------===//
// Signs
//===----------------------------------------------------------------------===//

/// Address of a constant with a bit for each sign: bit i % 8 of byte i / 8 is
/// set where it is negative. Whole words may be read behind it.
static Value makeTable(KernelBuilder &k, const std::vector<int8_t> &signs) {
  std::vector<int8_t> bytes(signs.size() / 8 + 8, 0);
  for (size_t i = 0; i < signs.size(); ++i)
    if (signs[i] < 0)
      bytes[i / 8] = int8_t(bytes[i / 8] | (1 << (i % 8)));
  OpBuilder &builder = k.getBuilder();
  auto module =
      builder.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  auto value = DenseElementsAttr::get(
      RankedTensorType::get({int64_t(bytes.size())}, builder.getI8Type()),
      ArrayRef(bytes));
  auto tables = llvm::to_vector(module.getOps<LLVM::GlobalOp>());
  auto *known = llvm::find_if(tables, [&](LLVM::GlobalOp table) {
    return table.getValueOrNull() == value;
  });
  std::string name = "signs." + std::to_string(known - tables.begin());
  if (known == tables.end()) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(module.getBody());
    auto array = LLVM::LLVMArrayType::get(builder.getI8Type(), bytes.size());
    LLVM::GlobalOp::create(builder, k.getLoc(), array, /*isConstant=*/true,
                           LLVM::Linkage::Internal, name, value,
                           /*alignment=*/16);
  }
  return LLVM::AddressOfOp::create(
      builder, k.getLoc(), LLVM::LLVMPointerType::get(builder.getContext()),
      name);
}

void RowTransforms::prepare(KernelBuilder &k) {
  for (Step &step : steps) {
    // Signs repeat in every block; the table has those of the whole row.
    auto repeat = [&](const std::vector<int8_t> &signs) {
      std::vector<int8_t> row;
      for (int64_t i = 0; i < step.columns; ++i)
        row.push_back(signs[i % signs.size()]);
      return row;
    };
    if (auto signs = dyn_cast<SignsAttr>(step.kind))
      step.signs = makeTable(k, repeat(signs.getSigns()));
    auto hadamard = dyn_cast<HadamardAttr>(step.kind);
    if (!hadamard)
      continue;
    int64_t n = hadamard.getBlock();
    if (hadamard.getSeed())
      step.signs =
          makeTable(k, repeat(signsOfSeed(uint64_t(*hadamard.getSeed()), n)));
    int64_t m = hadamardOrder(n)->core;
    if (m == 1)
      continue;
    // Row i' of the table has the signs of the result's part i', in whole
    // words.
    std::vector<int8_t> core = hadamardCore(m), table;
    for (int64_t to = 0; to < m; ++to)
      for (int64_t from = 0; from < roundUp(m, 32); ++from)
        table.push_back(from >= m                  ? 1
                        : hadamard.getTransposed() ? core[to * m + from]
                                                   : core[from * m + to]);
    step.core = makeTable(k, table);
  }
}

/// x with the sign of every lane whose bit (from bit 0 of `word`, i32) is set
/// turned round.
static Value flipLanes(KernelBuilder &k, Value x, Value word) {
  SmallVector<int32_t> places;
  for (int32_t lane = 0; lane < vectorLanes; ++lane)
    places.push_back(31 - lane);
  Value bits = arith::ShLIOp::create(k.getBuilder(), k.getLoc(), k.splat(word),
                                     k.constant(places));
  Value sign = k.andi(bits, k.splat(k.i32(INT32_MIN)));
  Value flipped = arith::XOrIOp::create(k.getBuilder(), k.getLoc(),
                                        k.bitcast(x, k.i32x16()), sign);
  return k.bitcast(flipped, k.f32x16());
}

/// The 16 columns from `i` on with the signs of a table (null: none).
static Value withSigns(KernelBuilder &k, Value x, Value table, Value i) {
  if (!table)
    return x;
  Value word =
      k.load(k.getBuilder().getI16Type(), k.offset(table, k.shru(i, 3)));
  return flipLanes(k, x, k.extend(word, k.getBuilder().getI32Type(), false));
}

/// Calls `body` for each vector of a row in scratch, the last one whole.
static void forVectors(KernelBuilder &k, int64_t columns,
                       function_ref<void(Value)> body) {
  k.forLoop(k.index(0), k.index(columns), vectorLanes, body);
}

//===----------------------------------------------------------------------===//
// Hadamard matrices
//===----------------------------------------------------------------------===//

/// One step of stride 1, 2, 4 or 8 in the lanes of a vector.
static Value pairLanes(KernelBuilder &k, Value x, int64_t stride) {
  SmallVector<int64_t> partner;
  SmallVector<int32_t> isUpper;
  for (int64_t lane = 0; lane < vectorLanes; ++lane) {
    partner.push_back(lane ^ stride);
    isUpper.push_back(lane & stride ? 1 : 0);
  }
  Value other =
      vector::ShuffleOp::create(k.getBuilder(), k.getLoc(), x, x, partner);
  Value isLow = k.compare(arith::CmpIPredicate::eq, k.constant(isUpper),
                          k.zero(k.i32x16()));
  return k.select(isLow, k.add(x, other), k.sub(other, x));
}

void RowTransforms::applyHadamard(KernelBuilder &k, const Step &step, Value x,
                                  Value spare) const {
  auto kind = cast<HadamardAttr>(step.kind);
  HadamardOrder order = *hadamardOrder(kind.getBlock());
  int64_t width = int64_t(1) << order.power;
  Value before = kind.getTransposed() ? Value() : step.signs;
  Value after = kind.getTransposed() ? step.signs : Value();
  // Strides that stay in a vector, and the signs that come first.
  forVectors(k, step.columns, [&](Value i) {
    Value place = k.element(x, i, 4);
    Value v = withSigns(k, k.load(k.f32x16(), place), before, i);
    for (int64_t stride = 1; stride < std::min(width, vectorLanes); stride *= 2)
      v = pairLanes(k, v, stride);
    k.store(v, place);
  });
  for (int64_t stride = vectorLanes; stride < width; stride *= 2)
    k.forLoop(k.index(0), k.index(step.columns), 2 * stride, [&](Value first) {
      k.forLoop(k.index(0), k.index(stride), vectorLanes, [&](Value i) {
        Value low = k.element(x, k.add(first, i), 4);
        Value high = k.offset(low, 4 * stride);
        Value a = k.load(k.f32x16(), low), b = k.load(k.f32x16(), high);
        k.store(k.add(a, b), low);
        k.store(k.sub(a, b), high);
      });
    });
  Value from = x;
  if (order.core > 1) {
    applyCore(k, step, x, spare);
    from = spare;
  }
  Value scale = k.splat(k.f32(float(1 / std::sqrt(double(kind.getBlock())))));
  forVectors(k, step.columns, [&](Value i) {
    Value v = k.mul(k.load(k.f32x16(), k.element(from, i, 4)), scale);
    k.store(withSigns(k, v, after, i), k.element(x, i, 4));
  });
}

/// spare[i'][j] = Σ_i ± x[i][j], in order, for each block of m rows of `width`.
/// Vectors may reach into the next row of the block: a later row overwrites
/// what they leave there, and behind the last one is room.
void RowTransforms::applyCore(KernelBuilder &k, const Step &step, Value x,
                              Value spare) const {
  int64_t n = cast<HadamardAttr>(step.kind).getBlock();
  HadamardOrder order = *hadamardOrder(n);
  int64_t m = order.core, width = int64_t(1) << order.power;
  int64_t rowBytes = roundUp(m, 32) / 8;
  k.forLoop(k.index(0), k.index(step.columns), n, [&](Value block) {
    Value from = k.element(x, block, 4), to = k.element(spare, block, 4);
    k.forLoop(k.index(0), k.index(m), 1, [&](Value row) {
      Value signs = k.element(step.core, row, rowBytes);
      Value target = k.element(to, k.mul(row, k.index(width)), 4);
      k.forLoop(k.index(0), k.index(width), vectorLanes, [&](Value j) {
        auto term = [&](Value i) {
          Value place = k.add(k.mul(i, k.index(width)), j);
          Value byte =
              k.load(k.getBuilder().getI8Type(), k.offset(signs, k.shru(i, 3)));
          Value wide =
              k.extend(byte, k.getBuilder().getI32Type(), /*isSigned=*/false);
          Value bit =
              k.truncate(k.andi(i, k.index(7)), k.getBuilder().getI32Type());
          Value shifted =
              arith::ShRUIOp::create(k.getBuilder(), k.getLoc(), wide, bit);
          Value sign = k.splat(k.shl(shifted, 31));
          Value v = k.load(k.f32x16(), k.element(from, place, 4));
          Value flipped = arith::XOrIOp::create(k.getBuilder(), k.getLoc(),
                                                k.bitcast(v, k.i32x16()), sign);
          return k.bitcast(flipped, k.f32x16());
        };
        Value sum =
            k.forLoop(k.index(1), k.index(m), 1, term(k.index(0)),
                      [&](Value i, ValueRange carried) {
                        return SmallVector<Value>{k.add(carried[0], term(i))};
                      })[0];
        k.store(sum, k.element(target, j, 4));
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// The other kinds
//===----------------------------------------------------------------------===//

void RowTransforms::applyDiagonal(KernelBuilder &k, const Step &step, Value x,
                                  Value factors) const {
  int64_t n = matrixTypes[step.firstMatrix].getDimSize(0);
  k.forLoop(k.index(0), k.index(step.columns), n, [&](Value block) {
    Value place = k.element(x, block, 4);
    forColumns(k, n, 1, [&](Value i, int64_t lanes) {
      Value target = k.element(place, i, 4);
      Value v = k.mul(k.load(k.f32x16(), target),
                      k.load(k.f32x16(), k.element(factors, i, 4)));
      storeLanes(k, v, target, lanes);
    });
  });
}

void RowTransforms::applyGather(KernelBuilder &k, GatherAttr gather, Value x,
                                Value y) const {
  Type f32 = k.getBuilder().getF32Type();
  ArrayRef<int64_t> runs = gather.getRuns();
  std::vector<int64_t> copies = gather.getCopies();
  auto divide = [&](Value place, int64_t first, int64_t count) {
    for (int64_t i = 0; i < count && gather.getAveraged(); ++i)
      if (copies[first + i] > 1)
        k.store(k.div(k.load(f32, k.offset(place, 4 * i)),
                      k.f32(float(copies[first + i]))),
                k.offset(place, 4 * i));
  };
  if (gather.getTransposed())
    forColumns(k, gather.getColumns(), 1, [&](Value i, int64_t) {
      k.store(k.zero(k.f32x16()), k.element(y, i, 4));
    });
  int64_t column = 0;
  for (size_t run = 0; run < runs.size(); run += 2) {
    int64_t first = runs[run], count = runs[run + 1];
    Value wide = k.offset(gather.getTransposed() ? x : y, 4 * column);
    column += count;
    if (first < 0 && gather.getTransposed())
      continue;
    forColumns(k, count, 1, [&](Value i, int64_t lanes) {
      Value place = k.element(wide, i, 4);
      if (first < 0)
        return storeLanes(k, k.zero(k.f32x16()), place, lanes);
      Value other =
          k.element(k.offset(gather.getTransposed() ? y : x, 4 * first), i, 4);
      if (!gather.getTransposed())
        return storeLanes(k, k.load(k.f32x16(), other), place, lanes);
      storeLanes(k, k.add(k.load(k.f32x16(), other), k.load(k.f32x16(), place)),
                 other, lanes);
    });
    if (!gather.getTransposed() && first >= 0)
      divide(wide, first, count);
  }
  if (gather.getTransposed())
    divide(y, 0, gather.getColumns());
}

/// Σ_i of `count` terms as a float linear sums them: slabs of 512, each a
/// sequence of fma from 0.
static Value sumProducts(KernelBuilder &k, int64_t count,
                         function_ref<std::pair<Value, Value>(Value)> factors) {
  auto sumSlab = [&](Value begin, Value end, Value total) {
    Value partial = k.forLoop(
        begin, end, 1, k.zero(k.f32x16()), [&](Value i, ValueRange carried) {
          auto [a, b] = factors(i);
          return SmallVector<Value>{k.fma(a, b, carried[0])};
        })[0];
    return k.add(total, partial);
  };
  Value total = k.zero(k.f32x16());
  int64_t whole = count / sumColumns * sumColumns;
  if (whole > 0)
    total =
        k.forLoop(k.index(0), k.index(whole), sumColumns, total,
                  [&](Value slab, ValueRange carried) {
                    Value end = k.add(slab, k.index(sumColumns));
                    return SmallVector<Value>{sumSlab(slab, end, carried[0])};
                  })[0];
  if (whole < count)
    total = sumSlab(k.index(whole), k.index(count), total);
  return total;
}

void RowTransforms::applyDense(KernelBuilder &k, const Step &step, Value x,
                               Value y, Value matrix) const {
  Type f32 = k.getBuilder().getF32Type();
  int64_t n = matrixTypes[isa<KroneckerAttr>(step.kind) ? step.firstMatrix + 1
                                                        : step.firstMatrix]
                  .getDimSize(0);
  k.forLoop(k.index(0), k.index(step.columns), n, [&](Value block) {
    Value from = k.element(x, block, 4), to = k.element(y, block, 4);
    forColumns(k, n, 1, [&](Value j, int64_t lanes) {
      Value sum = sumProducts(k, n, [&](Value i) {
        Value place = k.add(k.mul(i, k.index(n)), j);
        return std::pair<Value, Value>(
            k.load(k.f32x16(), k.element(matrix, place, 4)),
            k.splat(k.load(f32, k.element(from, i, 4))));
      });
      storeLanes(k, sum, k.element(to, j, 4), lanes);
    });
  });
}

void RowTransforms::applyColumns(KernelBuilder &k, const Step &step, Value x,
                                 Value y, Value matrix, int64_t a,
                                 int64_t b) const {
  Type f32 = k.getBuilder().getF32Type();
  k.forLoop(k.index(0), k.index(step.columns), a * b, [&](Value block) {
    Value from = k.element(x, block, 4), to = k.element(y, block, 4);
    k.forLoop(k.index(0), k.index(a), 1, [&](Value row) {
      forColumns(k, b, 1, [&](Value j, int64_t lanes) {
        Value sum = sumProducts(k, a, [&](Value i) {
          Value factor = k.add(k.mul(i, k.index(a)), row);
          Value place = k.add(k.mul(i, k.index(b)), j);
          return std::pair<Value, Value>(
              k.splat(k.load(f32, k.element(matrix, factor, 4))),
              k.load(k.f32x16(), k.element(from, place, 4)));
        });
        Value place = k.add(k.mul(row, k.index(b)), j);
        storeLanes(k, sum, k.element(to, place, 4), lanes);
      });
    });
  });
}

Value RowTransforms::apply(KernelBuilder &k, Value x, Value spare,
                           ValueRange matrices) const {
  for (const Step &step : steps) {
    auto matrix = [&](int64_t i) { return matrices[step.firstMatrix + i]; };
    llvm::TypeSwitch<Attribute>(step.kind)
        .Case([&](HadamardAttr) { applyHadamard(k, step, x, spare); })
        .Case([&](SignsAttr) {
          forVectors(k, step.columns, [&](Value i) {
            Value place = k.element(x, i, 4);
            k.store(withSigns(k, k.load(k.f32x16(), place), step.signs, i),
                    place);
          });
        })
        .Case([&](DiagonalAttr) { applyDiagonal(k, step, x, matrix(0)); })
        .Case([&](GatherAttr gather) {
          applyGather(k, gather, x, spare);
          std::swap(x, spare);
        })
        .Case([&](DenseAttr) {
          applyDense(k, step, x, spare, matrix(0));
          std::swap(x, spare);
        })
        .Case([&](KroneckerAttr) {
          applyDense(k, step, x, spare, matrix(1));
          int64_t a = matrixTypes[step.firstMatrix].getDimSize(0);
          int64_t b = matrixTypes[step.firstMatrix + 1].getDimSize(0);
          applyColumns(k, step, spare, x, matrix(0), a, b);
        });
  }
  return x;
}
