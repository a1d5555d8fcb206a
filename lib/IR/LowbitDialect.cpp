//===- LowbitDialect.cpp - Registration -------------------------*- C++ -*-===//

#include "TransformSyntax.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "lowbit/IR/LowbitDialect.cpp.inc"

/// `init { … }`, or nothing for a parameter that has its bytes already.
static ParseResult parseInit(OpAsmParser &parser, Region &init) {
  if (failed(parser.parseOptionalKeyword("init")))
    return success();
  return parser.parseRegion(init);
}

static void printInit(OpAsmPrinter &printer, lowbit::ParameterOp,
                      Region &init) {
  if (init.empty())
    return;
  printer << " init ";
  printer.printRegion(init);
}

/// `[1.000000e+00, 0.0130422562]`. DenseF32ArrayAttr's own printer keeps six
/// digits, with which frequencies would not survive a trip through text.
static ParseResult parseFrequencies(OpAsmParser &parser,
                                    DenseF32ArrayAttr &frequencies) {
  SmallVector<float> values;
  auto parseOne = [&]() -> ParseResult {
    llvm::APFloat value(0.0f);
    if (failed(parser.parseFloat(llvm::APFloat::IEEEsingle(), value)))
      return failure();
    values.push_back(value.convertToFloat());
    return success();
  };
  if (failed(parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                            parseOne)))
    return failure();
  frequencies = DenseF32ArrayAttr::get(parser.getContext(), values);
  return success();
}

static void printFrequencies(OpAsmPrinter &printer, lowbit::RotaryOp,
                             DenseF32ArrayAttr frequencies) {
  printer << "[";
  llvm::interleaveComma(frequencies.asArrayRef(), printer, [&](float value) {
    printer.printFloat(llvm::APFloat(value));
  });
  printer << "]";
}

/// `64`, or `head` for 0.
static ParseResult parseCacheGroup(OpAsmParser &parser, IntegerAttr &group) {
  int64_t elements = 0;
  if (failed(parser.parseOptionalKeyword("head")) &&
      parser.parseInteger(elements))
    return failure();
  group = parser.getBuilder().getI64IntegerAttr(elements);
  return success();
}

static void printCacheGroup(OpAsmPrinter &printer, lowbit::AttentionOp,
                            IntegerAttr group) {
  if (group.getInt() == 0)
    printer << "head";
  else
    printer << group.getInt();
}

static ParseResult parseKind(OpAsmParser &parser,
                             lowbit::TransformInterface &kind) {
  return lowbit::parseTransformKind(parser, kind);
}

static void printKind(OpAsmPrinter &printer, Operation *,
                      lowbit::TransformInterface kind) {
  lowbit::printTransformKind(printer, kind);
}

#define GET_OP_CLASSES
#include "lowbit/IR/LowbitOps.cpp.inc"

void lowbit::LowbitDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "lowbit/IR/LowbitOps.cpp.inc"
      >();
}

lowbit::FormatInterface lowbit::getFormat(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<FormatInterface>(tensor.getEncoding())
                : FormatInterface();
}

lowbit::ElementType lowbit::getStorageType(Type elementType) {
  return elementType.isF32()   ? ElementType::F32
         : elementType.isF16() ? ElementType::F16
                               : ElementType::BF16;
}

lowbit::LayoutAttr lowbit::getDefaultLayout(RankedTensorType type) {
  if (FormatInterface format = getFormat(type))
    return LayoutAttr::get(type.getContext(), format.getTileRows(),
                           format.getLaneBytes());
  return LayoutAttr::get(type.getContext(), tileRows,
                         type.getElementTypeBitWidth() / 8);
}
