//===- WeightInput.cpp - The rows that a transformed weight reads ---------===//

#include "lowbit/Analysis/WeightInput.h"
#include "lowbit/Analysis/WeightRows.h"
#include "lowbit/Checkpoint/Message.h"
#include "mlir/IR/BuiltinOps.h"

#include <algorithm>

using namespace lowbit;

namespace {

/// Rows that are transformed at a time.
constexpr int64_t rowsAtATime = 16;

int64_t columnsOf(mlir::Value weight) {
  auto type = llvm::cast<mlir::RankedTensorType>(weight.getType());
  return type.getRank() < 2 ? 1 : type.getDimSize(1);
}

/// The transforms of the weight's columns, from the checkpoint's tensor on.
void collectColumnTransforms(mlir::Value value,
                             llvm::SmallVectorImpl<TransformWeightOp> &steps,
                             std::vector<std::string> &names) {
  mlir::Operation *op = value.getDefiningOp();
  if (auto step = llvm::dyn_cast_or_null<TransformWeightOp>(op)) {
    collectColumnTransforms(step.getInput(), steps, names);
    if (step.getDim() == 1)
      steps.push_back(step);
  } else if (auto spread = llvm::dyn_cast_or_null<SpreadOp>(op)) {
    collectColumnTransforms(spread.getInput(), steps, names);
  } else if (auto weight = llvm::dyn_cast_or_null<WeightOp>(op)) {
    auto module = op->getParentOfType<mlir::ModuleOp>();
    auto parameter = module.lookupSymbol<ParameterOp>(weight.getParameter());
    if (parameter && parameter.getSourceAttr())
      names.push_back(parameter.getSourceAttr().getTensor().str());
  } else if (llvm::isa_and_nonnull<ConcatOp, WidenOp, QuantizeOp>(op)) {
    // Linears that share their rows share what was done to them.
    llvm::SmallVector<TransformWeightOp> first;
    for (mlir::Value operand : op->getOperands()) {
      llvm::SmallVector<TransformWeightOp> other;
      collectColumnTransforms(operand, first.empty() ? first : other, names);
    }
    steps.append(first);
  }
}

/// A column that is divided by 0 was 0 before: it is not known what the rows
/// have there, and the weight has zeros.
double reciprocal(double factor) { return factor == 0 ? 0 : 1 / factor; }

/// `rows` × `columns` to `columns` × `rows`; in place where it is square.
void transposeMatrix(std::vector<double> &matrix, int64_t rows,
                     int64_t columns) {
  if (rows == columns) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < i; ++j)
        std::swap(matrix[i * rows + j], matrix[j * rows + i]);
    return;
  }
  std::vector<double> turned(matrix.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      turned[j * rows + i] = matrix[i * columns + j];
  matrix = std::move(turned);
}

/// What W · T in the weight says was done to the rows: x · T⁻ᵀ. Numbers are
/// inverted here, as the module has no such matrix.
Result<std::unique_ptr<RowTransform>> makeRowSide(TransformWeightOp step,
                                                  ParameterBytes &bytes) {
  int64_t columns = columnsOf(step.getInput());
  TransformInterface kind =
      step.getTransform().getInverseKind().getTransposedKind();
  if (step.getMatrices().empty())
    return makeRowTransform(kind, step.getMatrices(), columns, bytes);
  std::vector<std::vector<double>> matrices;
  std::vector<int64_t> sizes;
  for (mlir::Value matrix : step.getMatrices()) {
    Result<std::vector<double>> read = readWeight(matrix, bytes);
    if (!read)
      return read.error();
    auto shape = llvm::cast<mlir::RankedTensorType>(matrix.getType());
    int64_t n = shape.getDimSize(0);
    sizes.push_back(n);
    if (shape.getRank() == 1) {
      for (double &factor : *read)
        factor = reciprocal(factor);
      return makeDiagonalRows(columns, std::move(*read));
    }
    if (!step.getTransform().isOrthogonal()) {
      if (!invertMatrix(*read, n))
        return badInput("module", "transform", "has no inverse");
      transposeMatrix(*read, n, n);
    }
    matrices.push_back(std::move(*read));
  }
  if (matrices.size() == 1)
    return makeKroneckerRows(columns, {}, 1, std::move(matrices[0]), sizes[0]);
  return makeKroneckerRows(columns, std::move(matrices[0]), sizes[0],
                           std::move(matrices[1]), sizes[1]);
}

/// Each row of `matrix` through the transform; in place where the columns stay.
void transformRows(std::vector<double> &matrix, int64_t rows,
                   const RowTransform &transform) {
  int64_t from = transform.inColumns, to = transform.outColumns;
  std::vector<double> other(from == to ? 0 : rows * to);
  double *out = from == to ? matrix.data() : other.data();
  std::vector<double> in(rowsAtATime * from);
  for (int64_t row = 0; row < rows; row += rowsAtATime) {
    int64_t count = std::min(rowsAtATime, rows - row);
    std::copy_n(matrix.data() + row * from, count * from, in.data());
    transform.apply(in.data(), count, out + row * to);
  }
  if (from != to)
    matrix = std::move(other);
}

} // namespace

Result<WeightInput> WeightInput::find(mlir::Value weight,
                                      ParameterBytes &bytes) {
  WeightInput input;
  llvm::SmallVector<TransformWeightOp> ops;
  collectColumnTransforms(weight, ops, input.names);
  input.resultColumns = columnsOf(weight);
  input.sourceColumns =
      ops.empty() ? input.resultColumns : columnsOf(ops.front().getInput());
  for (TransformWeightOp op : ops) {
    auto rows = makeRowSide(op, bytes);
    if (!rows)
      return rows.error();
    auto gather = llvm::dyn_cast<GatherAttr>(op.getTransform());
    int times = op.getTransform().isDiagonal()      ? 2
                : gather && !gather.getTransposed() ? 1
                                                    : 0;
    input.steps.push_back({std::move(*rows), times});
  }
  return input;
}

bool WeightInput::mixesColumns() const {
  return std::any_of(steps.begin(), steps.end(), [](const Step &step) {
    return step.timesOnDiagonal == 0;
  });
}

Status WeightInput::check(const InputStatistics &statistics) const {
  auto diagonal = statistics.diagonal(names, measuredColumns(statistics));
  if (!diagonal)
    return diagonal.error();
  if (*diagonal && isAhead(statistics) && mixesColumns() &&
      !hasMoments(statistics))
    return badInput("profile", "h." + names.front(),
                    "is a diagonal, but a transform mixes the columns: "
                    "calibrate with --moments full");
  return std::nullopt;
}

std::vector<double>
WeightInput::transformMoments(const std::vector<float> &measured) const {
  int64_t columns = sourceColumns;
  std::vector<double> square(columns * columns);
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j <= i; ++j)
      square[i * columns + j] = square[j * columns + i] =
          measured[i * (i + 1) / 2 + j];
  for (const Step &step : steps) {
    // Rows, then columns: H is symmetric.
    int64_t from = step.rows->inColumns, to = step.rows->outColumns;
    transformRows(square, from, *step.rows);
    transposeMatrix(square, from, to);
    transformRows(square, to, *step.rows);
  }
  return square;
}

std::vector<double>
WeightInput::transformDiagonal(std::vector<double> diagonal) const {
  for (const Step &step : steps)
    for (int time = 0; time < step.timesOnDiagonal; ++time)
      transformRows(diagonal, 1, *step.rows);
  return diagonal;
}

Result<std::optional<std::vector<float>>>
WeightInput::diagonal(const InputStatistics &statistics) const {
  using Diagonal = std::optional<std::vector<float>>;
  if (Status status = check(statistics))
    return *status;
  auto measured = statistics.diagonal(names, measuredColumns(statistics));
  if (!measured || !*measured || !isAhead(statistics))
    return measured;
  if (mixesColumns())
    return Diagonal();
  std::vector<double> turned = transformDiagonal(
      std::vector<double>((*measured)->begin(), (*measured)->end()));
  return Diagonal(std::vector<float>(turned.begin(), turned.end()));
}

Result<std::optional<std::vector<float>>>
WeightInput::moments(const InputStatistics &statistics) const {
  auto measured = statistics.moments(names, measuredColumns(statistics));
  if (!measured || !*measured || !isAhead(statistics))
    return measured;
  std::vector<double> square = transformMoments(**measured);
  std::vector<float> triangle;
  triangle.reserve(resultColumns * (resultColumns + 1) / 2);
  for (int64_t i = 0; i < resultColumns; ++i)
    for (int64_t j = 0; j <= i; ++j)
      triangle.push_back(static_cast<float>(square[i * resultColumns + j]));
  return std::optional<std::vector<float>>(std::move(triangle));
}

Result<std::optional<InputNumbers>>
WeightInput::numbers(const Profile &profile) const {
  auto measured = profile.diagonal(names, sourceColumns);
  if (!measured)
    return measured.error();
  if (!*measured)
    return std::optional<InputNumbers>();
  InputNumbers result;
  result.columns = resultColumns;
  auto triangle = profile.moments(names, sourceColumns);
  if (!triangle)
    return triangle.error();
  if (*triangle) {
    result.moments = transformMoments(**triangle);
    result.diagonal.resize(resultColumns);
    for (int64_t i = 0; i < resultColumns; ++i)
      result.diagonal[i] = result.moments[i * (resultColumns + 1)];
  } else if (!mixesColumns()) {
    result.diagonal = transformDiagonal(
        std::vector<double>((*measured)->begin(), (*measured)->end()));
  }
  auto samples = profile.samples(names, sourceColumns);
  if (!samples)
    return samples.error();
  result.sampleRows = static_cast<int64_t>(samples->size()) / sourceColumns;
  result.samples.assign(samples->begin(), samples->end());
  for (const Step &step : steps)
    transformRows(result.samples, result.sampleRows, *step.rows);
  return std::optional<InputNumbers>(std::move(result));
}

int64_t WeightInput::peakBytes(const InputStatistics &statistics) const {
  int64_t columns = std::max(sourceColumns, resultColumns);
  // Triangles in f32; the square in f64, twice where columns are added.
  int64_t squares = !isAhead(statistics)             ? 0
                    : sourceColumns == resultColumns ? 1
                                                     : 2;
  return (2 + 8 * squares + (squares ? 2 : 0)) * columns * columns;
}
