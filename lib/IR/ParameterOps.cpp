//===- ParameterOps.cpp - Verifiers of the weight side ----------*- C++ -*-===//

#include "lowbit/IR/Lowbit.h"
#include "lowbit/Numerics/FloatLayout.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// lowbit.parameter
//===----------------------------------------------------------------------===//

std::optional<int64_t> ParameterOp::getStoredBytes(RankedTensorType type,
                                                   LayoutAttr layout) {
  if (FormatInterface format = getFormat(type)) {
    std::optional<StoredSize> size =
        format.getStoredSize(type.getDimSize(0), type.getDimSize(1));
    return size ? std::optional<int64_t>(size->bytes) : std::nullopt;
  }
  int64_t elementBytes = type.getElementTypeBitWidth() / 8;
  if (layout && type.getRank() == 2) {
    std::optional<FloatLayout> geometry =
        floatLayout(getStorageType(type.getElementType()), type.getDimSize(0),
                    type.getDimSize(1));
    return geometry ? std::optional<int64_t>(geometry->bytes) : std::nullopt;
  }
  int64_t bytes = elementBytes;
  for (int64_t size : type.getShape())
    if (__builtin_mul_overflow(bytes, size, &bytes))
      return std::nullopt;
  return bytes;
}

LogicalResult ParameterOp::verify() {
  // parameter_c3
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape() ||
      !isa<FloatType>(type.getElementType()) ||
      !(type.getElementType().isF32() || type.getElementType().isF16() ||
        type.getElementType().isBF16()))
    return emitOpError() << "requires a static tensor of f32, f16 or bf16, got "
                         << getType();
  // parameter_c1
  bool hasInit = !getInit().empty();
  if (hasInit == getSource().has_value())
    return emitOpError() << "requires either a source or an init";
  if (hasInit)
    return success();
  // parameter_c5
  LayoutAttr layout = getLayoutAttr();
  if (getFormat(type) && !layout)
    return emitOpError() << "of a type with a format requires a layout";
  // parameter_c4
  std::optional<int64_t> bytes = getStoredBytes(type, layout);
  if (!bytes || *bytes != getSource()->getBytes())
    return emitOpError() << "of type " << type << " is stored in "
                         << bytes.value_or(-1) << " bytes, the source has "
                         << getSource()->getBytes();
  return success();
}

LogicalResult ParameterOp::verifyRegions() {
  // parameter_c2
  if (getInit().empty())
    return success();
  Block &block = getInit().front();
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield)
    return emitOpError() << "requires an init that ends in lowbit.yield";
  if (yield.getValue().getType() != getType())
    return emitOpError() << "has type " << getType() << ", its init yields "
                         << yield.getValue().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// lowbit.weight, lowbit.quantize, lowbit.concat
//===----------------------------------------------------------------------===//

LogicalResult WeightOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // weight_c1; a chain inside a parameter looks its symbols up in the module.
  Operation *from = getOperation();
  if (auto parameter = (*this)->getParentOfType<ParameterOp>())
    from = parameter->getParentOp();
  auto parameter =
      symbols.lookupNearestSymbolFrom<ParameterOp>(from, getParameterAttr());
  if (!parameter)
    return emitOpError() << "names no parameter: @" << getParameter();
  if (parameter.getType() != getResult().getType())
    return emitOpError() << "has type " << getResult().getType()
                         << ", the parameter has " << parameter.getType();
  return success();
}

LogicalResult QuantizeOp::verify() {
  // quantize_c1
  if (!getFormat(getResult().getType()))
    return emitOpError() << "requires a result with a format, got "
                         << getResult().getType();
  if (getFormat(getInput().getType()))
    return emitOpError() << "requires an input without a format, got "
                         << getInput().getType();
  // quantize_c2
  auto input = cast<RankedTensorType>(getInput().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  if (input.getShape() != result.getShape())
    return emitOpError() << "requires equal shapes, got " << input << " and "
                         << result;
  // quantize_c3
  if (!isSolver(getSolver().str()))
    return emitOpError() << "knows the solvers " << solverSyntax("and")
                         << ", not '" << getSolver() << "'";
  return success();
}

LogicalResult ConcatOp::verify() {
  // concat_c1
  if (getInputs().size() < 2)
    return emitOpError() << "requires at least two inputs";
  auto result = cast<RankedTensorType>(getResult().getType());
  int64_t rows = 0;
  for (Value input : getInputs()) {
    auto type = cast<RankedTensorType>(input.getType());
    if (getFormat(type) || getFormat(result))
      return emitOpError() << "requires tensors without a format";
    // concat_c3
    if (type.getElementType() != result.getElementType())
      return emitOpError() << "requires one element type, got "
                           << type.getElementType() << " and "
                           << result.getElementType();
    // concat_c2
    if (type.getRank() == 0 || type.getRank() != result.getRank() ||
        type.getShape().drop_front() != result.getShape().drop_front())
      return emitOpError() << "requires shapes that differ in the first "
                              "dimension only, got "
                           << type << " and " << result;
    rows += type.getDimSize(0);
  }
  if (rows != result.getDimSize(0))
    return emitOpError() << "stacks " << rows << " rows, the result has "
                         << result.getDimSize(0);
  return success();
}
