//===- FileMatrix.cpp - Learned matrices by reference ---------------------===//

#include "FileMatrix.h"
#include "WeightChains.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Numerics/RowTransform.h"
#include "mlir/IR/BuiltinOps.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace lowbit;

/// How far from orthogonal a learned rotation may be: f16 has three digits.
static constexpr double maxOrthogonalityError = 1e-2;

Result<Value> MatrixFile::use(const std::string &name) {
  auto tensor = numbers.tensor(path, name);
  if (!tensor)
    return tensor.error();
  if (!*tensor)
    return Value();
  auto module = function->getParentOfType<ModuleOp>();
  std::string symbol = "transform." + name;
  auto known = module.lookupSymbol<ParameterOp>(symbol);
  for (int copy = 2; known && known.getSourceAttr() != (*tensor)->source;
       ++copy) {
    symbol = "transform." + name + "." + std::to_string(copy);
    known = module.lookupSymbol<ParameterOp>(symbol);
  }
  if (!known) {
    OpBuilder builder(function);
    ParameterOp::create(
        builder, function.getLoc(), builder.getStringAttr(symbol),
        TypeAttr::get((*tensor)->type), (*tensor)->source, LayoutAttr());
  }
  OpBuilder weights = weightBuilder(function);
  return Value(
      WeightOp::create(weights, function.getLoc(), (*tensor)->type, symbol));
}

static bool isSquare(Value matrix, int64_t size) {
  auto type = cast<RankedTensorType>(matrix.getType());
  return type.getRank() == 2 && type.getDimSize(0) == type.getDimSize(1) &&
         (size == 0 || type.getDimSize(0) == size);
}

Result<Transform> MatrixFile::rotation(const std::vector<std::string> &names,
                                       int64_t size) {
  for (const std::string &name : names) {
    Result<Value> matrix = use(name);
    if (!matrix)
      return matrix.error();
    if (!*matrix)
      continue;
    std::string wanted = std::to_string(size) + " x " + std::to_string(size);
    if (!isSquare(*matrix, size))
      return badInput(path, name, "must be " + wanted);
    auto values = numbers.weight(*matrix);
    if (!values)
      return values.error();
    double error = orthogonalityError(*values, size);
    if (!(error <= maxOrthogonalityError))
      return badInput(path, name,
                      "is not orthogonal: P·Pᵀ differs from 1 by " +
                          std::to_string(error));
    OpBuilder weights = weightBuilder(function);
    auto type = RankedTensorType::get({size, size}, weights.getF32Type());
    Value exact =
        OrthonormalizeOp::create(weights, function.getLoc(), type, *matrix);
    return makeDense(exact, MatrixKind::Orthogonal);
  }
  return Transform();
}

Result<double> MatrixFile::conditionOf(Value matrix, const std::string &name) {
  auto values = numbers.weight(matrix);
  if (!values)
    return values.error();
  auto type = cast<RankedTensorType>(matrix.getType());
  int64_t n = type.getDimSize(0);
  double condition;
  if (type.getRank() == 1) {
    auto [least, largest] = std::minmax_element(
        values->begin(), values->end(),
        [](double a, double b) { return std::fabs(a) < std::fabs(b); });
    condition = std::fabs(*largest) / std::fabs(*least);
  } else {
    double norm = columnSumNorm(*values, n);
    if (!invertMatrix(*values, n))
      return badInput(path, name, "has no inverse");
    condition = norm * columnSumNorm(*values, n);
  }
  if (!std::isfinite(condition))
    return badInput(path, name, "has no inverse");
  return condition;
}

Result<Transform> MatrixFile::transform(const std::string &name,
                                        int64_t columns, double limit,
                                        double &condition) {
  auto make = [&](const std::vector<std::string> &tensors,
                  TransformInterface kind) -> Result<Transform> {
    Transform result{kind, {}};
    condition = 1;
    for (const std::string &tensor : tensors) {
      Result<Value> matrix = use(tensor);
      if (!matrix)
        return matrix.error();
      if (!*matrix && !result.matrices.empty())
        return badInput(path, tensor, "is missing");
      if (!*matrix)
        return Transform();
      result.matrices.push_back(*matrix);
    }
    if (!getResultColumns(result, columns))
      return badInput(path, tensors.front(),
                      "does not make a transform of " +
                          std::to_string(columns) + " columns");
    for (size_t i = 0; i < tensors.size(); ++i) {
      Result<double> part = conditionOf(result.matrices[i], tensors[i]);
      if (!part)
        return part.error();
      condition *= *part;
    }
    if (condition > limit)
      return badInput(path, tensors.front(),
                      "has the condition number " + std::to_string(condition) +
                          ", above max-condition " + std::to_string(limit));
    return result;
  };
  MLIRContext *context = function.getContext();
  for (auto &[tensors, kind] :
       {std::make_pair(
            std::vector<std::string>{name + ".P"},
            TransformInterface(DenseAttr::get(context, MatrixKind::General))),
        std::make_pair(std::vector<std::string>{name + ".P1", name + ".P2"},
                       TransformInterface(
                           KroneckerAttr::get(context, MatrixKind::General))),
        std::make_pair(std::vector<std::string>{name + ".scale"},
                       TransformInterface(DiagonalAttr::get(context)))}) {
    Result<Transform> made = make(tensors, kind);
    if (!made || *made)
      return made;
  }
  return Transform();
}
