//===- Transforms.cpp - Matrices that rows are multiplied with --*- C++ -*-===//

#include "lowbit/IR/Transform.h"
#include "lowbit/Numerics/ChannelSplit.h"
#include "lowbit/Numerics/Hadamard.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// Largest block of a transform without matrices: what fits the fast
/// transforms' 32-bit indices with room to spare.
static constexpr int64_t maxBlock = int64_t(1) << 24;

LogicalResult HadamardAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t block, std::optional<int64_t> seed,
                                   bool transposed) {
  // hadamard_c1
  if (block < 1 || block > maxBlock || !hadamardOrder(block))
    return emitError() << "there is no Hadamard matrix of order " << block;
  if (seed && *seed < 0)
    return emitError() << "seed must not be negative, got " << *seed;
  return success();
}

LogicalResult SignsAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                int64_t block, std::optional<int64_t> seed,
                                StringAttr bits) {
  // signs_c1
  if (block < 1 || block > maxBlock)
    return emitError() << "block must be from 1 to " << maxBlock << ", got "
                       << block;
  // signs_c2
  if (seed.has_value() == static_cast<bool>(bits))
    return emitError() << "signs are given by a seed or by bits";
  if (seed)
    return *seed >= 0
               ? success()
               : emitError() << "seed must not be negative, got " << *seed;
  StringRef digits = bits.getValue();
  unsigned last = digits.empty() ? 16 : llvm::hexDigitValue(digits.back());
  unsigned limit = block % 4 == 0 ? 16 : 1u << (block % 4);
  if (static_cast<int64_t>(digits.size()) != (block + 3) / 4 ||
      !llvm::all_of(digits, llvm::isHexDigit) || last >= limit)
    return emitError() << "bits of " << block << " signs are "
                       << (block + 3) / 4
                       << " hexadecimal digits without further bits, got '"
                       << digits << "'";
  return success();
}

std::vector<int8_t> SignsAttr::getSigns() const {
  if (getSeed())
    return signsOfSeed(static_cast<uint64_t>(*getSeed()), getBlock());
  std::vector<int8_t> signs(getBlock());
  for (int64_t k = 0; k < getBlock(); ++k) {
    unsigned digit = llvm::hexDigitValue(getBits().getValue()[k / 4]);
    signs[k] = (digit >> (k % 4)) & 1 ? -1 : 1;
  }
  return signs;
}

LogicalResult GatherAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t columns, ArrayRef<int64_t> runs,
                                 bool transposed, bool averaged) {
  // gather_c1
  if (columns < 1 || columns > maxBlock)
    return emitError() << "columns must be from 1 to " << maxBlock << ", got "
                       << columns;
  if (runs.empty() || runs.size() % 2 != 0)
    return emitError() << "runs are pairs of first column and count, got "
                       << runs.size() << " numbers";
  int64_t total = 0;
  for (size_t i = 0; i < runs.size(); i += 2) {
    int64_t first = runs[i], count = runs[i + 1];
    if (count < 1 || count > maxBlock || first < -1 ||
        (first >= 0 && first > columns - count))
      return emitError() << "run " << first << ", " << count
                         << " is not within " << columns << " columns";
    total += count;
    if (total > maxBlock)
      return emitError() << "runs have more than " << maxBlock << " columns";
  }
  return success();
}

std::vector<int64_t> GatherAttr::getIndex() const {
  std::vector<int64_t> index;
  for (size_t i = 0; i < getRuns().size(); i += 2)
    for (int64_t j = 0; j < getRuns()[i + 1]; ++j)
      index.push_back(getRuns()[i] < 0 ? -1 : getRuns()[i] + j);
  return index;
}

std::vector<int64_t> GatherAttr::getCopies() const {
  std::vector<int64_t> copies(getColumns());
  for (int64_t column : getIndex())
    if (column >= 0)
      ++copies[column];
  return copies;
}

namespace {

/// `columns` where a block divides them and there are no matrices.
std::optional<int64_t> keepColumns(int64_t columns, int64_t block,
                                   std::string &problem) {
  if (block > 0 && columns % block == 0)
    return columns;
  problem = "has a block of " + std::to_string(block) +
            ", which does not divide " + std::to_string(columns) + " columns";
  return std::nullopt;
}

bool isSquare(RankedTensorType type) {
  return type.hasStaticShape() && type.getRank() == 2 &&
         type.getDimSize(0) == type.getDimSize(1) && type.getDimSize(0) > 0;
}

std::optional<int64_t> requireNone(ArrayRef<RankedTensorType> matrices,
                                   std::string &problem) {
  if (matrices.empty())
    return 0;
  problem = "takes no matrices, got " + std::to_string(matrices.size());
  return std::nullopt;
}

} // namespace

std::optional<int64_t>
HadamardAttr::getResultColumns(int64_t columns,
                               ArrayRef<RankedTensorType> matrices,
                               std::string &problem) const {
  // hadamard_c2
  if (!requireNone(matrices, problem))
    return std::nullopt;
  return keepColumns(columns, getBlock(), problem);
}
int64_t HadamardAttr::getBlock(ArrayRef<RankedTensorType>) const {
  return getBlock();
}
bool HadamardAttr::isOrthogonal() const { return true; }
bool HadamardAttr::isDiagonal() const { return getBlock() == 1; }
TransformInterface HadamardAttr::getTransposedKind() const {
  return HadamardAttr::get(getContext(), getBlock(), getSeed(),
                           !getTransposed());
}

TransformInterface HadamardAttr::getInverseKind() const {
  return getTransposedKind();
}

std::optional<int64_t>
SignsAttr::getResultColumns(int64_t columns,
                            ArrayRef<RankedTensorType> matrices,
                            std::string &problem) const {
  // signs_c3
  if (!requireNone(matrices, problem))
    return std::nullopt;
  return keepColumns(columns, getBlock(), problem);
}
int64_t SignsAttr::getBlock(ArrayRef<RankedTensorType>) const {
  return getBlock();
}
bool SignsAttr::isOrthogonal() const { return true; }
bool SignsAttr::isDiagonal() const { return true; }
TransformInterface SignsAttr::getTransposedKind() const { return *this; }
TransformInterface SignsAttr::getInverseKind() const { return *this; }

std::optional<int64_t>
DiagonalAttr::getResultColumns(int64_t columns,
                               ArrayRef<RankedTensorType> matrices,
                               std::string &problem) const {
  // diagonal_c1
  if (matrices.size() != 1 || matrices[0].getRank() != 1 ||
      !matrices[0].hasStaticShape()) {
    problem = "takes one vector";
    return std::nullopt;
  }
  return keepColumns(columns, matrices[0].getDimSize(0), problem);
}
int64_t DiagonalAttr::getBlock(ArrayRef<RankedTensorType> matrices) const {
  return matrices[0].getDimSize(0);
}
bool DiagonalAttr::isOrthogonal() const { return false; }
bool DiagonalAttr::isDiagonal() const { return true; }
TransformInterface DiagonalAttr::getTransposedKind() const { return *this; }
TransformInterface DiagonalAttr::getInverseKind() const { return *this; }

std::optional<int64_t>
DenseAttr::getResultColumns(int64_t columns,
                            ArrayRef<RankedTensorType> matrices,
                            std::string &problem) const {
  // dense_c1
  if (matrices.size() != 1 || !isSquare(matrices[0])) {
    problem = "takes one square matrix";
    return std::nullopt;
  }
  return keepColumns(columns, matrices[0].getDimSize(0), problem);
}
int64_t DenseAttr::getBlock(ArrayRef<RankedTensorType> matrices) const {
  return matrices[0].getDimSize(0);
}
bool DenseAttr::isOrthogonal() const {
  return getKind() == MatrixKind::Orthogonal;
}
bool DenseAttr::isDiagonal() const { return false; }
TransformInterface DenseAttr::getTransposedKind() const { return *this; }
TransformInterface DenseAttr::getInverseKind() const { return *this; }

std::optional<int64_t>
KroneckerAttr::getResultColumns(int64_t columns,
                                ArrayRef<RankedTensorType> matrices,
                                std::string &problem) const {
  // kronecker_c1
  if (matrices.size() != 2 || !isSquare(matrices[0]) ||
      !isSquare(matrices[1])) {
    problem = "takes two square matrices";
    return std::nullopt;
  }
  int64_t block;
  if (__builtin_mul_overflow(matrices[0].getDimSize(0),
                             matrices[1].getDimSize(0), &block))
    block = 0;
  return keepColumns(columns, block, problem);
}
int64_t KroneckerAttr::getBlock(ArrayRef<RankedTensorType> matrices) const {
  return matrices[0].getDimSize(0) * matrices[1].getDimSize(0);
}
bool KroneckerAttr::isOrthogonal() const {
  return getKind() == MatrixKind::Orthogonal;
}
bool KroneckerAttr::isDiagonal() const { return false; }
TransformInterface KroneckerAttr::getTransposedKind() const { return *this; }
TransformInterface KroneckerAttr::getInverseKind() const { return *this; }

std::optional<int64_t>
GatherAttr::getResultColumns(int64_t columns,
                             ArrayRef<RankedTensorType> matrices,
                             std::string &problem) const {
  if (!requireNone(matrices, problem))
    return std::nullopt;
  int64_t total = 0;
  for (size_t i = 1; i < getRuns().size(); i += 2)
    total += getRuns()[i];
  // gather_c2
  bool isTransposed = getTransposed();
  int64_t from = isTransposed ? total : getColumns();
  int64_t to = isTransposed ? getColumns() : total;
  if (columns == from)
    return to;
  problem = "takes rows of " + std::to_string(from) + " columns, got " +
            std::to_string(columns);
  return std::nullopt;
}
int64_t GatherAttr::getBlock(ArrayRef<RankedTensorType>) const { return 0; }
bool GatherAttr::isOrthogonal() const { return false; }
bool GatherAttr::isDiagonal() const { return false; }
TransformInterface GatherAttr::getTransposedKind() const {
  return GatherAttr::get(getContext(), getColumns(), getRuns(),
                         !getTransposed(), getAveraged());
}
TransformInterface GatherAttr::getInverseKind() const {
  return GatherAttr::get(getContext(), getColumns(), getRuns(),
                         !getTransposed(), !getAveraged());
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

static SmallVector<RankedTensorType, 2> typesOf(ValueRange matrices) {
  SmallVector<RankedTensorType, 2> types;
  for (Value matrix : matrices)
    types.push_back(cast<RankedTensorType>(matrix.getType()));
  return types;
}

/// The columns that a transform makes of `columns`; an error where it does not
/// take them.
static FailureOr<int64_t> checkTransform(Operation *op, int64_t columns,
                                         TransformInterface kind,
                                         ValueRange matrices) {
  std::string problem;
  std::optional<int64_t> result =
      kind.getResultColumns(columns, typesOf(matrices), problem);
  if (result)
    return *result;
  op->emitOpError() << "has a transform " << kind << " that " << problem;
  return failure();
}

LogicalResult TransformOp::verify() {
  auto input = dyn_cast<RankedTensorType>(getInput().getType());
  auto result = dyn_cast<RankedTensorType>(getResult().getType());
  if (!input || !result || input.getRank() != 2 || result.getRank() != 2 ||
      input.isDynamicDim(1) || input.getDimSize(1) < 1)
    return emitOpError() << "requires rows of a known number of columns, got "
                         << getInput().getType();
  // transform_c1
  FailureOr<int64_t> columns =
      checkTransform(*this, input.getDimSize(1), getTransform(), getMatrices());
  if (failed(columns))
    return failure();
  // transform_c2
  if (result.getDimSize(1) != *columns ||
      result.getDimSize(0) != input.getDimSize(0))
    return emitOpError() << "gives " << *columns << " columns, the result is "
                         << result;
  return success();
}

LogicalResult TransformWeightOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  // transform_weight_c1
  int64_t rank = input.getRank(), dim = getDim();
  if (!input.hasStaticShape() || rank < 1 || rank > 2 || dim < 0 || dim >= rank)
    return emitOpError() << "requires a vector or a matrix and one of its "
                            "dimensions, got "
                         << input << " and dim = " << dim;
  // transform_weight_c2
  FailureOr<int64_t> size = checkTransform(*this, input.getDimSize(dim),
                                           getTransform(), getMatrices());
  if (failed(size))
    return failure();
  // transform_weight_c3
  SmallVector<int64_t> shape(input.getShape());
  shape[dim] = *size;
  auto wanted = RankedTensorType::get(shape, Float32Type::get(getContext()));
  if (getResult().getType() != wanted)
    return emitOpError() << "gives " << wanted << ", the result is "
                         << getResult().getType();
  return success();
}

LogicalResult SpreadOp::verify() {
  GatherAttr copies = getCopies();
  auto type = cast<RankedTensorType>(getInput().getType());
  std::vector<int64_t> index = copies.getIndex();
  // spread_c1
  if (copies.getTransposed() || copies.getAveraged() || type.getRank() != 2 ||
      type.getDimSize(1) != static_cast<int64_t>(index.size()))
    return emitOpError() << "requires a matrix with the " << index.size()
                         << " columns of a plain gather, got " << type;
  // spread_c2
  IntAttr format = getFormat();
  if (format.getBits() < 2 || !format.getScale().isF16())
    return emitOpError() << "requires at least 2 bits and scales in f16, got "
                         << format.getShortName();
  // spread_c3
  int64_t group = format.getGroup(), columns = index.size();
  group = group == 0 ? columns : group;
  SmallVector<int64_t> last(copies.getColumns(), -1), count(last.size(), 0);
  for (int64_t i = 0; i < columns; ++i) {
    int64_t column = index[i];
    if (column < 0)
      continue;
    bool isFirst = count[column]++ == 0;
    if (count[column] > ChannelSplit::maxCopies ||
        (!isFirst && (last[column] != i - 1 || i % group == 0)))
      return emitOpError() << "requires copies of a column, at most "
                           << ChannelSplit::maxCopies
                           << ", side by side in a group of " << group
                           << ", but column " << column << " is copied to "
                           << last[column] << " and " << i;
    last[column] = i;
  }
  return success();
}

LogicalResult TransposeOp::verify() {
  // transpose_c1
  auto input = cast<RankedTensorType>(getInput().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  if (input.getRank() != 2 || result.getRank() != 2 ||
      input.getElementType() != result.getElementType() ||
      input.getDimSize(0) != result.getDimSize(1) ||
      input.getDimSize(1) != result.getDimSize(0))
    return emitOpError() << "does not make " << result << " of " << input;
  return success();
}

LogicalResult InvertOp::verify() {
  // invert_c1
  auto input = cast<RankedTensorType>(getInput().getType());
  if (!(input.hasStaticShape() && input.getRank() == 1) && !isSquare(input))
    return emitOpError() << "requires a vector or a square matrix, got "
                         << input;
  return success();
}

LogicalResult FillOp::verify() {
  // fill_c1
  auto result = cast<RankedTensorType>(getResult().getType());
  if (!getValue().isFinite() || !result.hasStaticShape() ||
      result.getRank() < 1 || result.getRank() > 2)
    return emitOpError() << "requires a finite value and a static vector or "
                            "matrix, got "
                         << getValueAttr() << " and " << result;
  return success();
}

LogicalResult ConstantOp::verify() {
  // constant_c1
  auto values = dyn_cast<DenseFPElementsAttr>(getValue());
  if (!values || values.getType() != getResult().getType() ||
      values.getType().getRank() != 1 ||
      !llvm::all_of(values.getValues<APFloat>(),
                    [](const APFloat &value) { return value.isFinite(); }))
    return emitOpError() << "requires a dense vector of finite numbers of type "
                         << getResult().getType();
  return success();
}

void ConstantOp::build(OpBuilder &builder, OperationState &state,
                       ArrayRef<float> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getF32Type());
  build(builder, state, type, DenseElementsAttr::get(type, values));
}

LogicalResult OrthonormalizeOp::verify() {
  // orthonormalize_c1
  auto input = cast<RankedTensorType>(getInput().getType());
  if (!isSquare(input))
    return emitOpError() << "requires a square matrix, got " << input;
  return success();
}

LogicalResult ExpandDiagonalOp::verify() {
  // expand_diagonal_c1
  auto input = cast<RankedTensorType>(getInput().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  if (input.getRank() != 1 || !isSquare(result) ||
      result.getDimSize(0) != input.getDimSize(0))
    return emitOpError() << "does not make " << result << " of " << input;
  return success();
}

//===----------------------------------------------------------------------===//
// A transform with its operands
//===----------------------------------------------------------------------===//

Transform lowbit::getTransform(TransformOp op) {
  return {op.getTransform(), llvm::to_vector<2>(op.getMatrices())};
}

Transform lowbit::getTransform(TransformWeightOp op) {
  return {op.getTransform(), llvm::to_vector<2>(op.getMatrices())};
}

int64_t lowbit::getBlock(const Transform &transform) {
  return transform.kind.getBlock(typesOf(transform.matrices));
}

std::optional<int64_t> lowbit::getResultColumns(const Transform &transform,
                                                int64_t columns) {
  std::string problem;
  return transform.kind.getResultColumns(columns, typesOf(transform.matrices),
                                         problem);
}

Value lowbit::transposeMatrix(OpBuilder &builder, Location loc, Value matrix) {
  auto type = cast<RankedTensorType>(matrix.getType());
  if (type.getRank() == 1)
    return matrix;
  if (auto transposed = matrix.getDefiningOp<TransposeOp>())
    return transposed.getInput();
  auto result = RankedTensorType::get({type.getDimSize(1), type.getDimSize(0)},
                                      type.getElementType());
  return TransposeOp::create(builder, loc, result, matrix);
}

Value lowbit::invertMatrix(OpBuilder &builder, Location loc, Value matrix) {
  if (auto inverse = matrix.getDefiningOp<InvertOp>())
    return inverse.getInput();
  auto type = cast<RankedTensorType>(matrix.getType());
  return InvertOp::create(
      builder, loc,
      RankedTensorType::get(type.getShape(), builder.getF32Type()), matrix);
}

Transform lowbit::transpose(OpBuilder &builder, Location loc,
                            const Transform &transform) {
  Transform result{transform.kind.getTransposedKind(), {}};
  for (Value matrix : transform.matrices)
    result.matrices.push_back(transposeMatrix(builder, loc, matrix));
  return result;
}

Transform lowbit::invert(OpBuilder &builder, Location loc,
                         const Transform &transform) {
  if (transform.kind.isOrthogonal())
    return transpose(builder, loc, transform);
  Transform result{transform.kind.getInverseKind(), {}};
  for (Value matrix : transform.matrices)
    result.matrices.push_back(invertMatrix(builder, loc, matrix));
  return result;
}

Value lowbit::applyToRows(OpBuilder &builder, Location loc, Value rows,
                          const Transform &transform) {
  auto type = cast<RankedTensorType>(rows.getType());
  int64_t columns = *getResultColumns(transform, type.getDimSize(1));
  return TransformOp::create(
      builder, loc,
      RankedTensorType::get({type.getDimSize(0), columns},
                            type.getElementType()),
      rows, transform.kind, transform.matrices);
}

Value lowbit::applyToWeight(OpBuilder &builder, Location loc, Value weight,
                            int64_t dim, const Transform &transform) {
  auto type = cast<RankedTensorType>(weight.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = *getResultColumns(transform, shape[dim]);
  return TransformWeightOp::create(
      builder, loc, RankedTensorType::get(shape, builder.getF32Type()), weight,
      builder.getI64IntegerAttr(dim), transform.kind, transform.matrices);
}

Transform lowbit::makeHadamard(MLIRContext *context, int64_t block,
                               int64_t seed) {
  return {
      HadamardAttr::get(context, block,
                        seed < 0 ? std::nullopt : std::optional<int64_t>(seed),
                        /*transposed=*/false),
      {}};
}

Transform lowbit::makeDiagonal(Value vector) {
  return {DiagonalAttr::get(vector.getContext()), {vector}};
}

Transform lowbit::makeDense(Value matrix, MatrixKind kind) {
  return {DenseAttr::get(matrix.getContext(), kind), {matrix}};
}
