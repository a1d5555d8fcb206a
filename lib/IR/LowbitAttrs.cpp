//===- LowbitAttrs.cpp - Formats, layouts, sources --------------*- C++ -*-===//

#include "lowbit/IR/Lowbit.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lowbit;

/// `group = 64` or `group = row`.
static ParseResult parseGroup(AsmParser &parser, int64_t &group) {
  group = 0;
  if (succeeded(parser.parseOptionalKeyword("row")))
    return success();
  return parser.parseInteger(group);
}

/// `, group = 32, scale = f16, offset = stored`, or nothing.
static ParseResult parseActivationGroup(AsmParser &parser, int64_t &group,
                                        Type &scale, ZeroOffset &offset) {
  if (failed(parser.parseOptionalComma()))
    return success();
  StringRef word;
  SMLoc place;
  if (parser.parseKeyword("group") || parser.parseEqual() ||
      parser.parseInteger(group) || parser.parseComma() ||
      parser.parseKeyword("scale") || parser.parseEqual() ||
      parser.parseType(scale) || parser.parseComma() ||
      parser.parseKeyword("offset") || parser.parseEqual() ||
      parser.getCurrentLocation(&place) || parser.parseKeyword(&word))
    return failure();
  std::optional<ZeroOffset> known = symbolizeZeroOffset(word);
  if (!known)
    return parser.emitError(place, "expected integer or stored");
  offset = *known;
  return success();
}

static void printActivationGroup(AsmPrinter &printer, int64_t group, Type scale,
                                 ZeroOffset offset) {
  if (group != 0)
    printer << ", group = " << group << ", scale = " << scale
            << ", offset = " << stringifyZeroOffset(offset);
}

static void printGroup(AsmPrinter &printer, int64_t group) {
  if (group == 0)
    printer << "row";
  else
    printer << group;
}

#include "lowbit/IR/LowbitEnums.cpp.inc"
#include "lowbit/IR/LowbitInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "lowbit/IR/LowbitAttrs.cpp.inc"

void LowbitDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "lowbit/IR/LowbitAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// #lowbit.int
//===----------------------------------------------------------------------===//

LogicalResult IntAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              int64_t bits, int64_t group, Type scale,
                              ZeroOffset offset) {
  // int_c1
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
    return emitError() << "bits must be 2, 3, 4 or 8, got " << bits;
  // int_c2
  if (group != 0 && group != 32 && group != 64 && group != 128)
    return emitError() << "group must be 32, 64, 128 or row, got " << group;
  // int_c3
  if (!scale || !(scale.isF16() || isa<Float8E4M3FNType>(scale)))
    return emitError() << "scale must be f16 or f8E4M3FN, got " << scale;
  return success();
}

/// What every format asks of the tensor that it encodes.
static LogicalResult
verifyEncoded(FormatInterface format, ArrayRef<int64_t> shape, Type elementType,
              function_ref<InFlightDiagnostic()> emitError) {
  // The parser calls with a null type when that failed to parse.
  if (!elementType || !elementType.isF32())
    return emitError() << "a tensor with format " << format.getShortName()
                       << " has element type f32, got " << elementType;
  if (shape.size() != 2 || ShapedType::isDynamicShape(shape) || shape[0] < 1 ||
      shape[1] < 1)
    return emitError() << "a tensor with format " << format.getShortName()
                       << " has two static dimensions of at least 1";
  if (!format.getStoredSize(shape[0], shape[1]))
    return emitError() << "a tensor of " << shape[0] << "x" << shape[1]
                       << " with format " << format.getShortName()
                       << " is larger than 2^63 bytes";
  return success();
}

LogicalResult
IntAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                        function_ref<InFlightDiagnostic()> emitError) const {
  // int_c4
  return verifyEncoded(*this, shape, elementType, emitError);
}

IntegerFormat IntAttr::getFormat() const {
  IntegerFormat format;
  format.bits = static_cast<int>(getBits());
  format.group = getGroup();
  format.scale = getScale().isF16() ? ScaleType::F16 : ScaleType::E4M3;
  switch (getOffset()) {
  case ZeroOffset::Integer:
    format.offset = Offset::Integer;
    break;
  case ZeroOffset::Half:
    format.offset = Offset::Half;
    break;
  case ZeroOffset::Stored:
    format.offset = Offset::Stored;
    break;
  }
  return format;
}

FormatPtr IntAttr::getWeightFormat() const {
  return makeIntegerFormat(getFormat());
}

//===----------------------------------------------------------------------===//
// #lowbit.layout, #lowbit.source, #lowbit.activation
//===----------------------------------------------------------------------===//

LogicalResult LayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t tileRows, int64_t laneBytes) {
  // layout_c1
  if (tileRows != lowbit::tileRows)
    return emitError() << "tile_rows must be 16, got " << tileRows;
  // layout_c2
  if (laneBytes != 2 && laneBytes != 4)
    return emitError() << "lane_bytes must be 2 or 4, got " << laneBytes;
  return success();
}

LogicalResult SourceAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringRef file, StringRef tensor,
                                 int64_t offset, int64_t bytes) {
  // source_c1
  if (file.empty() || tensor.empty())
    return emitError() << "file and tensor must not be empty";
  if (file.contains('/') || file == "..")
    return emitError() << "file must be a name without folders, got '" << file
                       << "'";
  // source_c2
  if (offset < 0 || bytes < 0)
    return emitError() << "offset and bytes must not be negative, got "
                       << offset << " and " << bytes;
  return success();
}

LogicalResult
ActivationAttr::verify(function_ref<InFlightDiagnostic()> emitError, Type type,
                       int64_t group, Type scale, ZeroOffset offset) {
  // activation_c1
  bool needsGroup = type && (type.isInteger(4) || type.isInteger(2));
  if (!needsGroup &&
      !(type && (type.isF32() || type.isInteger(16) || type.isInteger(8))))
    return emitError() << "an activation is f32, i16, i8, i4 or i2, got "
                       << type;
  // activation_c2
  if (!needsGroup && (group != 0 || scale))
    return emitError() << "an activation of " << type << " has no group";
  if (needsGroup && group != 32 && group != 64 && group != 128)
    return emitError() << "an activation of " << type
                       << " has a group of 32, 64 or 128, got " << group;
  // activation_c3
  if (needsGroup && !(scale && (scale.isF16() || isa<Float8E4M3FNType>(scale))))
    return emitError() << "scale must be f16 or f8E4M3FN, got " << scale;
  if (offset == ZeroOffset::Half)
    return emitError() << "the offset of an activation is integer or stored";
  return success();
}

int64_t ActivationAttr::getPlanes() const {
  if (getType().isF32())
    return 0;
  return getType().isInteger(16) ? 2 : 1;
}

std::string ActivationAttr::getShortName() const {
  if (getType().isF32())
    return "f32";
  std::string name = "i" + std::to_string(getType().getIntOrFloatBitWidth());
  if (!isGrouped())
    return name;
  name += "-g" + std::to_string(getGroup());
  if (!getScale().isF16())
    name += "-e4m3";
  if (getOffset() == ZeroOffset::Stored)
    name += "-stored";
  return name;
}
