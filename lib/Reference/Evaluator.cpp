//===- Evaluator.cpp - Run a function of the module -------------*- C++ -*-===//

#include "Evaluator.h"
#include "Transform.h"

#include "lowbit/Checkpoint/Message.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include <type_traits>

using namespace mlir;
using namespace lowbit;
using namespace lowbit::reference;

//===----------------------------------------------------------------------===//
// Operands and results
//===----------------------------------------------------------------------===//

template <typename T> RowsView<T> Evaluator<T>::rows(Value value) const {
  const auto &tensor = std::get<HostTensor>(slots.find(value)->second);
  return {tensor.as<T>().data(), tensor.rows(), tensor.columns()};
}

template <typename T>
llvm::ArrayRef<int32_t> Evaluator<T>::indices(Value value) const {
  return std::get<HostTensor>(slots.find(value)->second).template as<int32_t>();
}

template <typename T>
std::vector<RowPlace> Evaluator<T>::places(Value value) const {
  llvm::ArrayRef<int32_t> numbers = indices(value);
  std::vector<RowPlace> places;
  for (size_t i = 0; i + 1 < numbers.size(); i += 2)
    places.push_back({numbers[i], numbers[i + 1]});
  return places;
}

template <typename T>
Result<WeightPtr> Evaluator<T>::weight(Value value) const {
  const Slot &slot = slots.find(value)->second;
  if (const auto *weight = std::get_if<WeightPtr>(&slot))
    return *weight;
  Attribute constant;
  if (matchPattern(value, m_Constant(&constant)))
    return weightOfConstant(constant);
  return unsupported("module", "",
                     "computes a weight from activations, which the "
                     "interpreter cannot");
}

template <typename T>
Status Evaluator<T>::set(Operation *op, std::vector<T> values) {
  auto type = llvm::cast<RankedTensorType>(op->getResult(0).getType());
  std::vector<int64_t> shape(type.getShape().begin(), type.getShape().end());
  int64_t columns = shape.size() == 2 ? shape[1] : 1;
  shape[0] = columns ? static_cast<int64_t>(values.size()) / columns : 0;
  slots[op->getResult(0)] = hostTensor(std::move(shape), std::move(values));
  return std::nullopt;
}

template <> KeyValueCache<float> &Evaluator<float>::cache() {
  return state.cache;
}
template <> KeyValueCache<double> &Evaluator<double>::cache() {
  return state.exactCache;
}

template <typename T> void Evaluator<T>::dropDeadOperands(Operation *op) {
  for (Value operand : op->getOperands())
    if (llvm::all_of(operand.getUsers(), [&](Operation *user) {
          return user == op || user->isBeforeInBlock(op);
        }))
      slots.erase(operand);
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

template <typename T>
Status Evaluator<T>::evaluateConstant(Operation *op, Attribute value) {
  auto elements = llvm::dyn_cast<DenseElementsAttr>(value);
  auto type = elements ? llvm::dyn_cast<RankedTensorType>(elements.getType())
                       : RankedTensorType();
  if (!type || type.getRank() < 1 || type.getRank() > 2)
    return unsupported("module", "constant",
                       "must be a dense vector or matrix");
  std::vector<int64_t> shape(type.getShape().begin(), type.getShape().end());
  if (type.getElementType().isInteger(32)) {
    std::vector<int32_t> values(elements.getValues<int32_t>().begin(),
                                elements.getValues<int32_t>().end());
    slots[op->getResult(0)] = hostTensor(std::move(shape), std::move(values));
    return std::nullopt;
  }
  Result<WeightPtr> weight = weightOfConstant(value);
  if (!weight)
    return weight.error();
  const std::vector<float> &floats = (*weight)->values;
  slots[op->getResult(0)] = hostTensor(
      std::move(shape), std::vector<T>(floats.begin(), floats.end()));
  return std::nullopt;
}

template <typename T> Status Evaluator<T>::evaluateWeight(Operation *op) {
  Result<WeightPtr> result = WeightPtr();
  if (auto use = llvm::dyn_cast<WeightOp>(op)) {
    result = state.parameters.get(use.getParameter());
  } else {
    llvm::SmallVector<WeightPtr> operands;
    for (Value operand : op->getOperands()) {
      Result<WeightPtr> operandWeight = weight(operand);
      if (!operandWeight)
        return operandWeight.error();
      operands.push_back(*operandWeight);
    }
    result = evaluateWeightOp(op, operands, function.getSymName());
  }
  if (!result)
    return result.error();
  slots[op->getResult(0)] = *result;
  return std::nullopt;
}

/// Exit 3 where an index is outside 0 … limit − 1.
static Status checkIndices(llvm::ArrayRef<int32_t> indices, int64_t limit,
                           llvm::StringRef name) {
  for (size_t i = 0; i < indices.size(); ++i)
    if (indices[i] < 0 || indices[i] >= limit)
      return badInput(name.str(), std::to_string(i),
                      "is " + std::to_string(indices[i]) +
                          ", must be from 0 to " + std::to_string(limit - 1));
  return std::nullopt;
}

template <typename T> Status Evaluator<T>::evaluateEmbedding(EmbeddingOp op) {
  Result<WeightPtr> table = weight(op.getTable());
  if (!table)
    return table.error();
  llvm::ArrayRef<int32_t> ids = indices(op.getIds());
  if (Status failed = checkIndices(ids, (*table)->rows, "ids"))
    return failed;
  return set(op, embedding<T>(ids, **table));
}

template <typename T> Status Evaluator<T>::evaluateRmsNorm(RmsNormOp op) {
  Result<WeightPtr> gain = weight(op.getGain());
  if (!gain)
    return gain.error();
  return set(op, rmsNorm<T>(rows(op.getInput()), **gain,
                            T(op.getEps().convertToFloat())));
}

template <typename T> Status Evaluator<T>::evaluateLinear(LinearOp op) {
  Result<WeightPtr> matrix = weight(op.getWeight());
  if (!matrix)
    return matrix.error();
  WeightPtr bias;
  if (op.getBias()) {
    Result<WeightPtr> vector = weight(op.getBias());
    if (!vector)
      return vector.error();
    bias = *vector;
  }
  ActivationAttr activation = op.getActivation();
  LinearInput input;
  input.bits = activation.getType().getIntOrFloatBitWidth();
  input.group = activation.getGroup();
  input.isE4M3 = activation.isGrouped() && !activation.getScale().isF16();
  input.isStored = activation.getOffset() == ZeroOffset::Stored;
  return set(op, linear<T>(rows(op.getInput()), **matrix, bias.get(), input,
                           state.options.threads));
}

template <typename T> Status Evaluator<T>::evaluateAttention(AttentionOp op) {
  AttentionShape shape;
  shape.layer = op.getLayer();
  shape.heads = op.getHeads();
  shape.kvHeads = op.getKvHeads();
  shape.headDim = op.getHeadDim();
  shape.scale = op.getScale().convertToFloat();
  mlir::Type type = op.getCache();
  // F64 mode rounds nothing that is kept.
  bool isExact =
      std::is_same_v<T, double> || state.options.exactCache || type.isF32();
  shape.element = isExact             ? CacheElement::Exact
                  : type.isF16()      ? CacheElement::F16
                  : type.isInteger(8) ? CacheElement::I8
                                      : CacheElement::Grouped;
  shape.bits = type.getIntOrFloatBitWidth();
  shape.group = op.getCacheGroup().value_or(0);
  if (shape.element != CacheElement::Grouped || shape.group == 0)
    shape.group = shape.headDim;
  Result<std::vector<T>> result =
      attention<T>(rows(op.getQuery()), rows(op.getKey()), rows(op.getValue()),
                   places(op.getRows()), shape, cache(), state.options.threads);
  if (!result)
    return result.error();
  return set(op, std::move(*result));
}

template <typename T> Status Evaluator<T>::evaluateTransform(TransformOp op) {
  llvm::SmallVector<WeightPtr> matrices;
  for (Value operand : op.getMatrices()) {
    Result<WeightPtr> matrix = weight(operand);
    if (!matrix)
      return matrix.error();
    matrices.push_back(*matrix);
  }
  auto result =
      transformRows<T>(rows(op.getInput()), op.getTransform(), matrices);
  if (!result)
    return result.error();
  return set(op, std::move(*result));
}

template <typename T> Status Evaluator<T>::evaluateSelectRows(SelectRowsOp op) {
  RowsView<T> input = rows(op.getInput());
  llvm::ArrayRef<int32_t> index = indices(op.getIndex());
  if (Status failed = checkIndices(index, input.rows, "select"))
    return failed;
  return set(op, selectRows<T>(input, index));
}

/// `file:line:column`, or what else the location says.
static std::string placeOf(Location location) {
  std::string place;
  llvm::raw_string_ostream out(place);
  if (auto line = llvm::dyn_cast<FileLineColLoc>(location))
    out << line.getFilename().getValue() << ":" << line.getLine() << ":"
        << line.getColumn();
  else
    out << location;
  return place;
}

template <typename T>
Status Evaluator<T>::evaluateCheck(Operation *op, Value value,
                                   ElementsAttr expected,
                                   std::optional<double> tolerance) {
  std::optional<std::string> difference = compareWith(
      slots.find(value)->second, expected, tolerance, state.compared);
  if (!difference)
    return std::nullopt;
  state.failures.push_back(placeOf(op->getLoc()) + ": @" +
                           function.getSymName().str() + ": " + *difference);
  return std::nullopt;
}

template <typename T> Status Evaluator<T>::evaluate(Operation *op) {
  Attribute constant;
  if (matchPattern(op, m_Constant(&constant)))
    return evaluateConstant(op, constant);
  return llvm::TypeSwitch<Operation *, Status>(op)
      .Case<WeightOp, ConcatOp, QuantizeOp, WidenOp, TransformWeightOp,
            TransposeOp, InvertOp, FillOp, ConstantOp, OrthonormalizeOp,
            ExpandDiagonalOp, SpreadOp>(
          [&](Operation *weightOp) { return evaluateWeight(weightOp); })
      .Case([&](EmbeddingOp o) { return evaluateEmbedding(o); })
      .Case([&](RmsNormOp o) { return evaluateRmsNorm(o); })
      .Case([&](LinearOp o) { return evaluateLinear(o); })
      .Case([&](AttentionOp o) { return evaluateAttention(o); })
      .Case([&](SelectRowsOp o) { return evaluateSelectRows(o); })
      .Case([&](TransformOp o) { return evaluateTransform(o); })
      .Case([&](SliceOp o) {
        auto type = llvm::cast<RankedTensorType>(o.getResult().getType());
        return set(
            o, slice<T>(rows(o.getInput()), o.getOffset(), type.getDimSize(1)));
      })
      .Case([&](RotaryOp o) {
        return set(o, rotary<T>(rows(o.getInput()), places(o.getRows()),
                                o.getFrequencies()));
      })
      .Case([&](GateOp o) {
        return set(o, gate<T>(rows(o.getGate()), rows(o.getUp())));
      })
      .Case([&](AddOp o) {
        return set(o, add<T>(rows(o.getLhs()), rows(o.getRhs())));
      })
      .Case([](ObserveOp) -> Status { return std::nullopt; })
      .Case([&](check::ExpectEqOp o) {
        return evaluateCheck(o, o.getValue(), o.getExpected(), std::nullopt);
      })
      .Case([&](check::ExpectCloseOp o) {
        return evaluateCheck(o, o.getValue(), o.getExpected(),
                             o.getTolerance().convertToDouble());
      })
      .Default([&](Operation *other) -> Status {
        return unsupported(
            "module", "@" + function.getSymName().str(),
            "has an operation that the interpreter does not know: " +
                other->getName().getStringRef().str());
      });
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

/// Exit 3 where a tensor does not have the type that the function wants.
template <typename T>
static Status checkArgument(const HostTensor &tensor, Type type,
                            size_t number) {
  auto expected = llvm::dyn_cast<RankedTensorType>(type);
  bool fits = expected &&
              expected.getRank() == static_cast<int64_t>(tensor.shape.size());
  for (size_t i = 0; fits && i < tensor.shape.size(); ++i)
    fits =
        expected.isDynamicDim(i) || expected.getDimSize(i) == tensor.shape[i];
  fits =
      fits && (expected.getElementType().isInteger(32) ? tensor.holds<int32_t>()
                                                       : tensor.holds<T>());
  if (fits)
    return std::nullopt;
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return badInput("module", "argument " + std::to_string(number),
                  "must be a " + text);
}

template <typename T>
Result<std::vector<HostTensor>>
Evaluator<T>::run(const std::vector<HostTensor> &arguments) {
  if (function.isExternal() || !function.getBody().hasOneBlock() ||
      function.getNumArguments() != arguments.size())
    return badInput("module", "@" + function.getSymName().str(),
                    "must be a function of one block with " +
                        std::to_string(arguments.size()) + " arguments");
  Block &block = function.getBody().front();
  for (size_t i = 0; i < arguments.size(); ++i) {
    BlockArgument argument = block.getArgument(i);
    if (Status failed = checkArgument<T>(arguments[i], argument.getType(), i))
      return *failed;
    slots[argument] = arguments[i];
  }
  for (Operation &op : block.without_terminator()) {
    if (Status failed = evaluate(&op))
      return *failed;
    if (state.options.trace && op.getNumResults() == 1)
      if (const auto *made = std::get_if<HostTensor>(&slots[op.getResult(0)]))
        state.options.trace(&op, *made);
    dropDeadOperands(&op);
  }
  std::vector<HostTensor> results;
  for (Value result : block.getTerminator()->getOperands()) {
    const auto *tensor = std::get_if<HostTensor>(&slots[result]);
    if (!tensor)
      return unsupported("module", "@" + function.getSymName().str(),
                         "returns a weight, which the interpreter cannot");
    results.push_back(*tensor);
  }
  return results;
}

template class reference::Evaluator<float>;
template class reference::Evaluator<double>;
