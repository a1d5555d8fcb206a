//===- LowbitDialect.cpp - Registration -------------------------*- C++ -*-===//

#include "lowbit/IR/Lowbit.h"
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

static void printInit(OpAsmPrinter &printer, lowbit::ParameterOp, Region &init) {
  if (init.empty())
    return;
  printer << "init ";
  printer.printRegion(init);
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
  int64_t laneBytes = type.getElementTypeBitWidth() / 8;
  if (FormatInterface format = getFormat(type))
    laneBytes = format.getLaneBytes();
  return LayoutAttr::get(type.getContext(), /*tileRows=*/16, laneBytes);
}
