//===- ParameterOps.cpp - Evaluate the weight side --------------*- C++ -*-===//

#include "ParameterOps.h"
#include "Elements.h"
#include "StoredWeights.h"
#include "Transform.h"

#include "lowbit/Checkpoint/Message.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lowbit;
using namespace lowbit::reference;

//===----------------------------------------------------------------------===//
// Formats
//===----------------------------------------------------------------------===//

template <typename... Formats> static bool isOneOf(FormatInterface format) {
  return llvm::isa<Formats...>(format);
}

/// For formats whose codes mean nothing without a solver.
static Result<Weight> refuseNearest(const Weight &, mlir::RankedTensorType type,
                                    llvm::StringRef name) {
  return unsupported("module", "@" + name.str(),
                     "is to be rounded to format " +
                         getFormat(type).getShortName() +
                         ", which has no nearest code: materialize the module "
                         "first");
}

const FormatDecoder *reference::findDecoder(FormatInterface format) {
  static const FormatDecoder decoders[] = {
      {isOneOf<IntAttr>, decodeIntegerTiles, quantizeIntegers},
      {isOneOf<MicroAttr, LevelsAttr>, decodeIntegerTiles, quantizeElements},
      {isOneOf<FreeAttr>, decodeIntegerTiles, refuseNearest},
      {isOneOf<TrellisAttr>, decodeTrellisTiles, refuseNearest}};
  for (const FormatDecoder &decoder : decoders)
    if (decoder.owns(format))
      return &decoder;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Bytes to numbers
//===----------------------------------------------------------------------===//

static float decodeElement(Type type, const uint8_t *bytes) {
  if (type.isF32())
    return loadF32(bytes);
  return type.isF16() ? decodeF16(load16(bytes)) : decodeBF16(load16(bytes));
}

Weight reference::shapedWeight(RankedTensorType type) {
  Weight weight;
  weight.isVector = type.getRank() == 1;
  weight.rows = weight.isVector ? 1 : type.getDimSize(0);
  weight.columns = type.getShape().back();
  return weight;
}

Status reference::checkSize(Bytes bytes, uint64_t needed, StringRef name) {
  if (bytes.size == needed)
    return std::nullopt;
  return badInput(name.str(), "",
                  "has " + std::to_string(bytes.size) +
                      " bytes, its format and shape need " +
                      std::to_string(needed));
}

Status reference::checkScale(float scale, StringRef name,
                             const std::string &place) {
  if (!std::signbit(scale) && std::isfinite(scale))
    return std::nullopt;
  return badInput(name.str(), "scale of " + place,
                  "is " + std::to_string(scale) +
                      ", must be finite and not negative");
}

Status reference::checkFinite(const Weight &input, StringRef name) {
  for (size_t i = 0; i < input.values.size(); ++i)
    if (!std::isfinite(input.values[i]))
      return badInput(name.str(),
                      "row " + std::to_string(i / input.columns) + ", column " +
                          std::to_string(i % input.columns),
                      "is " + std::to_string(input.values[i]) +
                          ", must be finite");
  return std::nullopt;
}

Weight reference::decodeRowMajor(RankedTensorType type, Bytes bytes) {
  Weight weight = shapedWeight(type);
  int64_t size = type.getElementTypeBitWidth() / 8;
  weight.values.resize(weight.rows * weight.columns);
  for (size_t i = 0; i < weight.values.size(); ++i)
    weight.values[i] =
        decodeElement(type.getElementType(), bytes.data + i * size);
  return weight;
}

Result<Weight> reference::decodeFloatTiles(RankedTensorType type, Bytes bytes,
                                           llvm::StringRef name) {
  Weight weight = shapedWeight(type);
  int64_t size = type.getElementTypeBitWidth() / 8;
  uint64_t tileBytes = (weight.columns * 16 * size + 63) / 64 * 64;
  uint64_t needed = (weight.rows + 15) / 16 * tileBytes;
  if (bytes.size != needed)
    return badInput(name.str(), "",
                    "has " + std::to_string(bytes.size) +
                        " bytes, its type and layout need " +
                        std::to_string(needed));
  weight.values.reserve(weight.rows * weight.columns);
  for (int64_t n = 0; n < weight.rows; ++n)
    for (int64_t k = 0; k < weight.columns; ++k)
      weight.values.push_back(
          decodeElement(type.getElementType(), bytes.data + n / 16 * tileBytes +
                                                   (k * 16 + n % 16) * size));
  return weight;
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

Result<WeightPtr> Parameters::get(llvm::StringRef name) {
  auto parameter = symbols.lookup<ParameterOp>(name);
  if (!parameter)
    return badInput("module", "@" + name.str(), "is not a parameter");
  auto [entry, isNew] = decoded.try_emplace(name);
  if (!isNew && !entry->second)
    return badInput("module", "@" + name.str(), "is computed from itself");
  if (!isNew)
    return entry->second;

  Result<WeightPtr> weight = WeightPtr();
  if (parameter.getSource()) {
    Result<Weight> read = this->read(parameter);
    weight = read ? Result<WeightPtr>(
                        std::make_shared<const Weight>(std::move(*read)))
                  : Result<WeightPtr>(read.error());
  } else {
    weight = compute(parameter);
  }
  // A computed one may have grown the map.
  if (weight)
    decoded[name] = *weight;
  else
    decoded.erase(name);
  return weight;
}

Result<Weight> Parameters::read(ParameterOp parameter) {
  Result<Bytes> found = bytes.find(*parameter.getSource());
  if (!found)
    return found.error();
  RankedTensorType type = parameter.getTensorType();
  llvm::StringRef name = parameter.getSymName();
  FormatInterface format = getFormat(type);
  const FormatDecoder *decoder = format ? findDecoder(format) : nullptr;
  if (decoder)
    return decoder->decode(type, *found, name);
  if (type.getEncoding())
    return unsupported("module", "@" + name.str(),
                       "has a format that the interpreter does not know");
  if (type.getRank() != 1 && type.getRank() != 2)
    return unsupported("module", "@" + name.str(),
                       "has " + std::to_string(type.getRank()) +
                           " dimensions, must have 1 or 2");
  if (parameter.getLayoutAttr() && type.getRank() == 2)
    return decodeFloatTiles(type, *found, name);
  return decodeRowMajor(type, *found);
}

Result<WeightPtr> Parameters::compute(ParameterOp parameter) {
  llvm::DenseMap<Value, WeightPtr> values;
  for (Operation &op : parameter.getInit().front()) {
    if (auto yield = llvm::dyn_cast<YieldOp>(op))
      return values.lookup(yield.getValue());
    Result<WeightPtr> result = WeightPtr();
    Attribute constant;
    if (auto weight = llvm::dyn_cast<WeightOp>(op)) {
      result = get(weight.getParameter());
    } else if (matchPattern(&op, m_Constant(&constant))) {
      result = weightOfConstant(constant);
    } else {
      llvm::SmallVector<WeightPtr> operands;
      for (Value operand : op.getOperands())
        operands.push_back(values.lookup(operand));
      result = evaluateWeightOp(&op, operands, parameter.getSymName());
    }
    if (!result)
      return result;
    values[op.getResult(0)] = *result;
  }
  llvm_unreachable("parameter_c2");
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

static Weight concat(llvm::ArrayRef<WeightPtr> inputs) {
  Weight result;
  result.isVector = inputs.front()->isVector;
  result.rows = result.isVector ? 1 : 0;
  result.columns = result.isVector ? 0 : inputs.front()->columns;
  for (const WeightPtr &input : inputs) {
    for (int64_t row = 0; row < input->rows; ++row)
      for (int64_t column = 0; column < input->columns; ++column)
        result.computed.push_back(input->exactValue(row, column));
    (result.isVector ? result.columns : result.rows) +=
        result.isVector ? input->columns : input->rows;
  }
  return result;
}

/// A vector or matrix of one number.
static Weight fill(FillOp op) {
  Weight weight =
      shapedWeight(llvm::cast<RankedTensorType>(op.getResult().getType()));
  weight.values.assign(weight.rows * weight.columns,
                       op.getValue().convertToFloat());
  return weight;
}

static Weight expandDiagonal(const Weight &vector) {
  Weight matrix;
  matrix.rows = matrix.columns = vector.columns;
  matrix.computed.resize(matrix.rows * matrix.columns);
  for (int64_t i = 0; i < matrix.rows; ++i)
    matrix.computed[i * matrix.columns + i] = vector.exactValue(0, i);
  return matrix;
}

static Result<Weight> quantize(QuantizeOp op, const Weight &input,
                               llvm::StringRef name) {
  auto type = llvm::cast<RankedTensorType>(op.getResult().getType());
  const FormatDecoder *decoder = findDecoder(getFormat(type));
  if (!decoder)
    return unsupported("module", "@" + name.str(),
                       "has a format that the interpreter does not know");
  if (op.getSolver() != "nearest")
    return unsupported("module", "@" + name.str(),
                       "is quantized by the solver " +
                           quoted(op.getSolver().str()) +
                           ", the interpreter evaluates only \"nearest\": "
                           "materialize the module first");
  // A chain is rounded to f32 once, here.
  if (input.computed.empty())
    return decoder->quantizeNearest(input, type, name);
  Weight rounded = shapedWeight(type);
  rounded.values.assign(input.computed.begin(), input.computed.end());
  return decoder->quantizeNearest(rounded, type, name);
}

Result<WeightPtr>
reference::evaluateWeightOp(Operation *op, llvm::ArrayRef<WeightPtr> operands,
                            llvm::StringRef name) {
  // A weight holds exact numbers whatever they are stored as.
  if (llvm::isa<WidenOp>(op))
    return operands.front();
  using Made = Result<Weight>;
  Made weight =
      llvm::TypeSwitch<Operation *, Made>(op)
          .Case([&](ConcatOp) { return concat(operands); })
          .Case([&](FillOp o) { return fill(o); })
          .Case([&](ConstantOp o) -> Made {
            Result<WeightPtr> constant = weightOfConstant(o.getValue());
            if (!constant)
              return constant.error();
            return **constant;
          })
          .Case([&](OrthonormalizeOp) {
            return orthonormalizeMatrix(*operands[0]);
          })
          .Case([&](ExpandDiagonalOp) { return expandDiagonal(*operands[0]); })
          .Case([&](SpreadOp o) { return spread(o, *operands[0]); })
          .Case([&](TransposeOp) { return transposeMatrix(*operands[0]); })
          .Case([&](InvertOp) { return invertMatrix(*operands[0], name); })
          .Case([&](TransformWeightOp o) {
            return transformWeight(*operands[0], o.getDim(), o.getTransform(),
                                   operands.drop_front());
          })
          .Case([&](QuantizeOp o) { return quantize(o, *operands[0], name); })
          .Default([&](Operation *other) -> Made {
            return unsupported(
                "module", "@" + name.str(),
                "has an operation that the interpreter does not know: " +
                    other->getName().getStringRef().str());
          });
  if (!weight)
    return weight.error();
  return std::make_shared<const Weight>(std::move(*weight));
}

Result<WeightPtr> reference::weightOfConstant(Attribute value) {
  auto elements = llvm::dyn_cast<DenseFPElementsAttr>(value);
  auto type = elements ? llvm::dyn_cast<RankedTensorType>(elements.getType())
                       : RankedTensorType();
  if (!type || type.getRank() < 1 || type.getRank() > 2)
    return unsupported("module", "constant",
                       "a weight is a dense vector or matrix of floats");
  Weight weight = shapedWeight(type);
  weight.values.reserve(elements.getNumElements());
  for (llvm::APFloat element : elements.getValues<llvm::APFloat>()) {
    bool losesInfo;
    element.convert(llvm::APFloat::IEEEsingle(),
                    llvm::APFloat::rmNearestTiesToEven, &losesInfo);
    weight.values.push_back(element.convertToFloat());
  }
  return std::make_shared<const Weight>(std::move(weight));
}
