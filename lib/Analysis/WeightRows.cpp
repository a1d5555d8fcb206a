//===- WeightRows.cpp - A chain of weight operations, row by row ----------===//

#include "lowbit/Analysis/WeightRows.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Numerics/ChannelSplit.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <mutex>

using namespace lowbit;

namespace {

/// Rows of a tensor of the checkpoint.
class LeafRows : public WeightRows {
public:
  LeafRows(ElementType type, int64_t rows, int64_t columns, Bytes bytes)
      : WeightRows(type, rows, columns), bytes(bytes),
        rowBytes(columns * elementSize(type)) {}

  void readElements(int64_t first, int64_t count, void *out) const override {
    std::memcpy(out, bytes.data + first * rowBytes, count * rowBytes);
  }
  void readFloats(int64_t first, int64_t count, float *out) const override {
    widenElements(type, bytes.data + first * rowBytes, count * columns, out);
  }
  void readDoubles(int64_t first, int64_t count, double *out) const override {
    std::vector<float> floats(count * columns);
    readFloats(first, count, floats.data());
    std::copy(floats.begin(), floats.end(), out);
  }

private:
  Bytes bytes;
  int64_t rowBytes;
};

/// Rows of several, one below the other.
class ConcatRows : public WeightRows {
public:
  ConcatRows(int64_t rows, std::vector<std::unique_ptr<WeightRows>> parts)
      : WeightRows(parts.front()->type, rows, parts.front()->columns),
        parts(std::move(parts)) {}

  void readElements(int64_t first, int64_t count, void *out) const override {
    auto *next = static_cast<uint8_t *>(out);
    forEachPart(first, count,
                [&](const WeightRows &part, int64_t at, int64_t rowCount) {
                  part.readElements(at, rowCount, next);
                  next += rowCount * columns * elementSize(type);
                });
  }
  void readFloats(int64_t first, int64_t count, float *out) const override {
    forEachPart(first, count,
                [&](const WeightRows &part, int64_t at, int64_t rowCount) {
                  part.readFloats(at, rowCount, out);
                  out += rowCount * columns;
                });
  }
  void readDoubles(int64_t first, int64_t count, double *out) const override {
    forEachPart(first, count,
                [&](const WeightRows &part, int64_t at, int64_t rowCount) {
                  part.readDoubles(at, rowCount, out);
                  out += rowCount * columns;
                });
  }
  int64_t heldBytes() const override {
    int64_t sum = 0;
    for (const std::unique_ptr<WeightRows> &part : parts)
      sum += part->heldBytes();
    return sum;
  }
  void release() const override {
    for (const std::unique_ptr<WeightRows> &part : parts)
      part->release();
  }

private:
  template <typename Body>
  void forEachPart(int64_t first, int64_t count, Body body) const {
    for (const std::unique_ptr<WeightRows> &part : parts) {
      if (count > 0 && first < part->rows) {
        int64_t rowCount = std::min(count, part->rows - first);
        body(*part, first, rowCount);
        first += rowCount;
        count -= rowCount;
      }
      first -= part->rows;
    }
  }

  std::vector<std::unique_ptr<WeightRows>> parts;
};

/// Rows of another, as f32.
class WidenRows : public WeightRows {
public:
  explicit WidenRows(std::unique_ptr<WeightRows> input)
      : WeightRows(ElementType::F32, input->rows, input->columns),
        input(std::move(input)) {}

  void readElements(int64_t first, int64_t count, void *out) const override {
    input->readFloats(first, count, static_cast<float *>(out));
  }
  void readFloats(int64_t first, int64_t count, float *out) const override {
    input->readFloats(first, count, out);
  }
  void readDoubles(int64_t first, int64_t count, double *out) const override {
    input->readDoubles(first, count, out);
  }
  int64_t heldBytes() const override { return input->heldBytes(); }
  void release() const override { input->release(); }

private:
  std::unique_ptr<WeightRows> input;
};

/// Rows that are numbers in f64 first.
class DoubleRows : public WeightRows {
public:
  DoubleRows(int64_t rows, int64_t columns)
      : WeightRows(ElementType::F32, rows, columns) {}

  void readElements(int64_t first, int64_t count, void *out) const override {
    readFloats(first, count, static_cast<float *>(out));
  }
  void readFloats(int64_t first, int64_t count, float *out) const override {
    std::vector<double> numbers(count * columns);
    readDoubles(first, count, numbers.data());
    for (size_t i = 0; i < numbers.size(); ++i)
      out[i] = static_cast<float>(numbers[i]);
  }
};

/// Something that is made at its first use and kept until it is dropped. Users
/// on other threads wait, and keep what they have.
template <typename T> class Held {
public:
  using Make = std::function<std::shared_ptr<const T>()>;
  explicit Held(Make make) : make(std::move(make)) {}

  std::shared_ptr<const T> get() const {
    std::lock_guard<std::mutex> lock(mutex);
    if (!value)
      value = make();
    return value;
  }
  void drop() const {
    std::lock_guard<std::mutex> lock(mutex);
    value.reset();
  }

private:
  Make make;
  mutable std::mutex mutex;
  mutable std::shared_ptr<const T> value;
};

using Numbers = std::vector<double>;

/// One number.
class FillRows : public DoubleRows {
public:
  FillRows(int64_t rows, int64_t columns, double value)
      : DoubleRows(rows, columns), value(value) {}
  void readDoubles(int64_t, int64_t count, double *out) const override {
    std::fill_n(out, count * columns, value);
  }

private:
  double value;
};

/// A vector of numbers.
class ConstantRows : public DoubleRows {
public:
  explicit ConstantRows(Numbers values)
      : DoubleRows(values.size(), 1), values(std::move(values)) {}
  void readDoubles(int64_t first, int64_t count, double *out) const override {
    std::copy_n(values.data() + first, count, out);
  }

private:
  Numbers values;
};

/// Rows that are computed all at once from all of another.
class WholeRows : public DoubleRows {
public:
  using Compute = std::function<Numbers(const WeightRows &input)>;
  WholeRows(int64_t rows, int64_t columns, std::unique_ptr<WeightRows> from,
            Compute compute)
      : DoubleRows(rows, columns), input(std::move(from)),
        numbers([this, compute = std::move(compute)] {
          auto result = std::make_shared<const Numbers>(compute(*input));
          input->release();
          return result;
        }) {}

  void readDoubles(int64_t first, int64_t count, double *out) const override {
    auto held = numbers.get();
    std::copy_n(held->data() + first * columns, count * columns, out);
  }
  int64_t heldBytes() const override {
    // The input is there as well while this is computed.
    return rows * columns * 8 + input->rows * input->columns * 8 +
           input->heldBytes();
  }
  void release() const override { numbers.drop(); }

private:
  std::unique_ptr<WeightRows> input;
  Held<Numbers> numbers;
};

using MakeTransform = std::function<std::shared_ptr<const RowTransform>()>;

/// W · T, row by row.
class TransformedRows : public DoubleRows {
public:
  TransformedRows(int64_t columns, std::unique_ptr<WeightRows> from,
                  MakeTransform make, int64_t transformBytes)
      : DoubleRows(from->rows, columns), input(std::move(from)),
        transform(std::move(make)), transformBytes(transformBytes) {}

  void readDoubles(int64_t first, int64_t count, double *out) const override {
    std::vector<double> numbers(count * input->columns);
    input->readDoubles(first, count, numbers.data());
    transform.get()->apply(numbers.data(), count, out);
  }
  int64_t heldBytes() const override {
    return transformBytes + input->heldBytes();
  }
  void release() const override {
    transform.drop();
    input->release();
  }

private:
  std::unique_ptr<WeightRows> input;
  Held<RowTransform> transform;
  int64_t transformBytes;
};

/// Rows whose copies of columns are moved apart.
class SpreadRows : public DoubleRows {
public:
  SpreadRows(std::unique_ptr<WeightRows> from, ChannelSplit split)
      : DoubleRows(from->rows, from->columns), input(std::move(from)),
        split(std::move(split)) {}

  void readDoubles(int64_t first, int64_t count, double *out) const override {
    input->readDoubles(first, count, out);
    for (int64_t row = 0; row < count; ++row)
      split.spread(out + row * columns);
  }
  int64_t heldBytes() const override { return input->heldBytes(); }
  void release() const override { input->release(); }

private:
  std::unique_ptr<WeightRows> input;
  ChannelSplit split;
};

Numbers readAll(const WeightRows &input) {
  Numbers numbers(input.rows * input.columns);
  input.readDoubles(0, input.rows, numbers.data());
  return numbers;
}

/// Tᵀ · W: each column is a row of the transform, some of them at a time.
Numbers transformColumns(const WeightRows &input,
                         const RowTransform &transform) {
  Numbers from = readAll(input);
  int64_t columns = input.columns, stripe = 16;
  Numbers result(transform.outColumns * columns);
  Numbers in(stripe * transform.inColumns), out(stripe * transform.outColumns);
  for (int64_t first = 0; first < columns; first += stripe) {
    int64_t count = std::min(stripe, columns - first);
    for (int64_t row = 0; row < transform.inColumns; ++row)
      for (int64_t j = 0; j < count; ++j)
        in[j * transform.inColumns + row] = from[row * columns + first + j];
    transform.apply(in.data(), count, out.data());
    for (int64_t row = 0; row < transform.outColumns; ++row)
      for (int64_t j = 0; j < count; ++j)
        result[row * columns + first + j] = out[j * transform.outColumns + row];
  }
  return result;
}

Numbers transposeNumbers(const WeightRows &input) {
  Numbers from = readAll(input), result(from.size());
  for (int64_t i = 0; i < input.rows; ++i)
    for (int64_t j = 0; j < input.columns; ++j)
      result[j * input.rows + i] = from[i * input.columns + j];
  return result;
}

Numbers diagonalNumbers(const WeightRows &input) {
  Numbers from = readAll(input), result(from.size() * from.size());
  for (size_t i = 0; i < from.size(); ++i)
    result[i * (from.size() + 1)] = from[i];
  return result;
}

/// The inverse; empty where there is none. A vector has one column.
Numbers invertNumbers(const WeightRows &input) {
  Numbers numbers = readAll(input);
  if (input.columns == input.rows && input.rows > 1)
    return invertMatrix(numbers, input.rows) ? numbers : Numbers();
  for (double &number : numbers) {
    if (number == 0 || number - number != 0)
      return {};
    number = 1 / number;
  }
  return numbers;
}

Result<std::unique_ptr<WeightRows>> makeLeaf(WeightOp weight,
                                             ParameterBytes &bytes,
                                             std::vector<WeightLeaf> &leaves) {
  auto module = weight->getParentOfType<mlir::ModuleOp>();
  auto parameter = module.lookupSymbol<ParameterOp>(weight.getParameter());
  SourceAttr source = parameter ? parameter.getSourceAttr() : SourceAttr();
  if (!source)
    return unsupported("module", weight.getParameter().str(),
                       "is read by another parameter and has no source");
  mlir::RankedTensorType type = parameter.getTensorType();
  if (parameter.getLayoutAttr() || getFormat(type))
    return unsupported("module", weight.getParameter().str(),
                       "is packed already, a chain reads plain tensors");
  Result<Bytes> found = bytes.find(source);
  if (!found)
    return found.error();
  int64_t rows = type.getRank() == 0 ? 1 : type.getDimSize(0);
  int64_t columns = rows == 0 ? 0 : type.getNumElements() / rows;
  int64_t first =
      leaves.empty() ? 0 : leaves.back().firstRow + leaves.back().rows;
  leaves.push_back(
      {source.getFile().str(), source.getTensor().str(), first, rows});
  return std::unique_ptr<WeightRows>(std::make_unique<LeafRows>(
      getStorageType(type.getElementType()), rows, columns, *found));
}

using Made = Result<std::unique_ptr<WeightRows>>;

template <typename Rows, typename... Arguments>
Made makeRows(Arguments &&...arguments) {
  return std::unique_ptr<WeightRows>(
      std::make_unique<Rows>(std::forward<Arguments>(arguments)...));
}

/// Rows and columns as WeightRows counts them.
std::pair<int64_t, int64_t> shapeOf(mlir::Value value) {
  auto type = llvm::cast<mlir::RankedTensorType>(value.getType());
  return {type.getDimSize(0), type.getRank() == 1 ? 1 : type.getDimSize(1)};
}

/// Bytes of a transform with its matrices.
int64_t bytesOfTransform(mlir::ValueRange matrices) {
  int64_t sum = 0;
  for (mlir::Value matrix : matrices) {
    auto [rows, columns] = shapeOf(matrix);
    sum += rows * columns * 8;
  }
  return sum;
}

Made makeTransformed(TransformWeightOp op, ParameterBytes &bytes,
                     std::vector<WeightLeaf> &leaves) {
  size_t firstLeaf = leaves.size();
  Made input = makeWeightRows(op.getInput(), bytes, leaves);
  if (!input)
    return input.error();
  auto inputType = llvm::cast<mlir::RankedTensorType>(op.getInput().getType());
  int64_t size = inputType.getDimSize(op.getDim());
  // Made once now for its errors, and again when it is needed: matrices of many
  // jobs would be a model's worth of memory.
  if (auto made =
          makeRowTransform(op.getTransform(), op.getMatrices(), size, bytes);
      !made)
    return made.error();
  MakeTransform make = [op, size, &bytes]() mutable {
    return std::shared_ptr<const RowTransform>(std::move(
        *makeRowTransform(op.getTransform(), op.getMatrices(), size, bytes)));
  };
  auto [rows, columns] = shapeOf(op.getResult());
  if (op.getDim() == 1)
    return makeRows<TransformedRows>(columns, std::move(*input),
                                     std::move(make),
                                     bytesOfTransform(op.getMatrices()));
  if (rows != (*input)->rows && leaves.size() > firstLeaf) {
    // Which row came from which leaf is not kept.
    leaves.resize(firstLeaf + 1);
    leaves.back().rows = rows;
  }
  return makeRows<WholeRows>(rows, columns, std::move(*input),
                             [make](const WeightRows &from) {
                               return transformColumns(from, *make());
                             });
}

Made makeInverse(InvertOp op, ParameterBytes &bytes,
                 std::vector<WeightLeaf> &leaves) {
  Made input = makeWeightRows(op.getInput(), bytes, leaves);
  if (!input)
    return input.error();
  if (invertNumbers(**input).empty()) {
    const WeightLeaf &leaf = leaves.back();
    return badInput(leaf.file, leaf.tensor, "has no inverse");
  }
  auto [rows, columns] = shapeOf(op.getResult());
  return makeRows<WholeRows>(rows, columns, std::move(*input), invertNumbers);
}

Made makeConcat(ConcatOp op, ParameterBytes &bytes,
                std::vector<WeightLeaf> &leaves) {
  std::vector<std::unique_ptr<WeightRows>> parts;
  int64_t rows = 0;
  for (mlir::Value input : op.getInputs()) {
    Made part = makeWeightRows(input, bytes, leaves);
    if (!part)
      return part.error();
    rows += (*part)->rows;
    parts.push_back(std::move(*part));
  }
  return makeRows<ConcatRows>(rows, std::move(parts));
}

/// Rows computed from all of one operand.
Made makeWhole(mlir::Operation *op, WholeRows::Compute compute,
               ParameterBytes &bytes, std::vector<WeightLeaf> &leaves) {
  Made input = makeWeightRows(op->getOperand(0), bytes, leaves);
  if (!input)
    return input.error();
  auto [rows, columns] = shapeOf(op->getResult(0));
  return makeRows<WholeRows>(rows, columns, std::move(*input),
                             std::move(compute));
}

} // namespace

WeightRows::~WeightRows() = default;

Made lowbit::makeWeightRows(mlir::Value value, ParameterBytes &bytes,
                            std::vector<WeightLeaf> &leaves) {
  mlir::Operation *op = value.getDefiningOp();
  if (!op)
    return unsupported("module", "",
                       "cannot compute rows of a weight through a block "
                       "argument");
  return llvm::TypeSwitch<mlir::Operation *, Made>(op)
      .Case([&](WeightOp o) { return makeLeaf(o, bytes, leaves); })
      .Case([&](ConcatOp o) { return makeConcat(o, bytes, leaves); })
      .Case([&](TransformWeightOp o) {
        return makeTransformed(o, bytes, leaves);
      })
      .Case([&](SpreadOp o) -> Made {
        Made input = makeWeightRows(o.getInput(), bytes, leaves);
        if (!input)
          return input.error();
        return makeRows<SpreadRows>(
            std::move(*input),
            ChannelSplit(o.getFormat().getFormat(), o.getCopies().getIndex()));
      })
      .Case([&](InvertOp o) { return makeInverse(o, bytes, leaves); })
      .Case([&](TransposeOp o) {
        return makeWhole(o, transposeNumbers, bytes, leaves);
      })
      .Case([&](ExpandDiagonalOp o) {
        return makeWhole(o, diagonalNumbers, bytes, leaves);
      })
      .Case([&](OrthonormalizeOp o) {
        return makeWhole(
            o,
            [](const WeightRows &input) {
              Numbers numbers = readAll(input);
              orthonormalizeMatrix(numbers, input.rows);
              return numbers;
            },
            bytes, leaves);
      })
      .Case([&](ConstantOp o) {
        auto values = llvm::cast<mlir::DenseFPElementsAttr>(o.getValue());
        Numbers numbers;
        for (const llvm::APFloat &value : values.getValues<llvm::APFloat>())
          numbers.push_back(value.convertToDouble());
        return makeRows<ConstantRows>(std::move(numbers));
      })
      .Case([&](FillOp o) {
        auto [rows, columns] = shapeOf(o.getResult());
        return makeRows<FillRows>(rows, columns,
                                  o.getValue().convertToDouble());
      })
      .Case([&](WidenOp o) -> Made {
        Made input = makeWeightRows(o.getInput(), bytes, leaves);
        if (!input)
          return input.error();
        return makeRows<WidenRows>(std::move(*input));
      })
      .Default([](mlir::Operation *other) -> Made {
        return unsupported("module", "",
                           "cannot compute rows of a weight through " +
                               other->getName().getStringRef().str());
      });
}

Result<std::unique_ptr<RowTransform>>
lowbit::makeRowTransform(TransformInterface kind, mlir::ValueRange matrices,
                         int64_t columns, ParameterBytes &bytes) {
  std::vector<Numbers> numbers;
  for (mlir::Value matrix : matrices) {
    Result<Numbers> read = readWeight(matrix, bytes);
    if (!read)
      return read.error();
    numbers.push_back(std::move(*read));
  }
  auto sizeOf = [&](size_t i) { return shapeOf(matrices[i]).first; };
  using MadeTransform = Result<std::unique_ptr<RowTransform>>;
  return llvm::TypeSwitch<TransformInterface, MadeTransform>(kind)
      .Case([&](HadamardAttr k) -> MadeTransform {
        std::optional<uint64_t> seed;
        if (k.getSeed())
          seed = static_cast<uint64_t>(*k.getSeed());
        return makeHadamardRows(columns, k.getBlock(), seed, k.getTransposed());
      })
      .Case([&](SignsAttr k) -> MadeTransform {
        std::vector<int8_t> signs = k.getSigns();
        return makeDiagonalRows(columns, Numbers(signs.begin(), signs.end()));
      })
      .Case([&](DiagonalAttr) -> MadeTransform {
        return makeDiagonalRows(columns, std::move(numbers[0]));
      })
      .Case([&](DenseAttr) -> MadeTransform {
        return makeKroneckerRows(columns, {}, 1, std::move(numbers[0]),
                                 sizeOf(0));
      })
      .Case([&](KroneckerAttr) -> MadeTransform {
        return makeKroneckerRows(columns, std::move(numbers[0]), sizeOf(0),
                                 std::move(numbers[1]), sizeOf(1));
      })
      .Case([&](GatherAttr k) -> MadeTransform {
        return makeGatherRows(k.getColumns(), k.getIndex(), k.getTransposed(),
                              k.getAveraged());
      })
      .Default([](TransformInterface) -> MadeTransform {
        return unsupported("module", "", "has a transform that is not known");
      });
}

Result<std::vector<double>> lowbit::readWeight(mlir::Value weight,
                                               ParameterBytes &bytes) {
  std::vector<WeightLeaf> leaves;
  Made rows = makeWeightRows(weight, bytes, leaves);
  if (!rows)
    return rows.error();
  return readAll(**rows);
}
