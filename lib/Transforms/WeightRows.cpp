//===- WeightRows.cpp - A chain of weight operations, row by row ----------===//

#include "WeightRows.h"
#include "lowbit/Checkpoint/Message.h"
#include "mlir/IR/BuiltinOps.h"

#include <algorithm>
#include <cstring>

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

private:
  std::unique_ptr<WeightRows> input;
};

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

} // namespace

WeightRows::~WeightRows() = default;

Result<std::unique_ptr<WeightRows>>
lowbit::makeWeightRows(mlir::Value value, ParameterBytes &bytes,
                       std::vector<WeightLeaf> &leaves) {
  mlir::Operation *op = value.getDefiningOp();
  if (auto weight = llvm::dyn_cast_or_null<WeightOp>(op))
    return makeLeaf(weight, bytes, leaves);
  if (auto widen = llvm::dyn_cast_or_null<WidenOp>(op)) {
    auto input = makeWeightRows(widen.getInput(), bytes, leaves);
    if (!input)
      return input.error();
    return std::unique_ptr<WeightRows>(
        std::make_unique<WidenRows>(std::move(*input)));
  }
  if (auto concat = llvm::dyn_cast_or_null<ConcatOp>(op)) {
    std::vector<std::unique_ptr<WeightRows>> parts;
    int64_t rows = 0;
    for (mlir::Value input : concat.getInputs()) {
      auto part = makeWeightRows(input, bytes, leaves);
      if (!part)
        return part.error();
      rows += (*part)->rows;
      parts.push_back(std::move(*part));
    }
    return std::unique_ptr<WeightRows>(
        std::make_unique<ConcatRows>(rows, std::move(parts)));
  }
  return unsupported("module", "",
                     "cannot compute rows of a weight through " +
                         (op ? op->getName().getStringRef().str()
                             : std::string("a block argument")));
}
