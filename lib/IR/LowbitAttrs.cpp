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
// #lowbit.trellis
//===----------------------------------------------------------------------===//

LogicalResult TrellisAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                  ArrayRef<int64_t> streams, int64_t window) {
  // trellis_c1
  if (streams.empty() || streams.size() > maxTrellisStreams)
    return emitError() << "streams must be 1 to 4, got " << streams.size();
  for (int64_t v : streams)
    if (v != 1 && v != 2 && v != 4)
      return emitError() << "a stream must be 1, 2 or 4, got " << v;
  if (!llvm::is_sorted(streams))
    return emitError() << "streams must be in ascending order";
  // trellis_c2
  if (window != 10 && window != 12)
    return emitError() << "window must be 12 or 10, got " << window;
  return success();
}

LogicalResult TrellisAttr::verifyEncoding(
    ArrayRef<int64_t> shape, Type elementType,
    function_ref<InFlightDiagnostic()> emitError) const {
  // trellis_c3
  return verifyEncoded(*this, shape, elementType, emitError);
}

TrellisFormat TrellisAttr::getFormat() const {
  TrellisFormat format;
  format.streams.assign(getStreams().begin(), getStreams().end());
  format.window = static_cast<int>(getWindow());
  return format;
}

FormatPtr TrellisAttr::getWeightFormat() const {
  return makeTrellisFormat(getFormat());
}

llvm::ArrayRef<int8_t> TrellisAttr::getTable(size_t i) const {
  const TrellisCode *code = findTrellisCode(static_cast<int>(getStreams()[i]),
                                            static_cast<int>(getWindow()));
  return {code->values,
          static_cast<size_t>(code->weightsPerStep * trellisEntries)};
}

int TrellisAttr::getMask(size_t i) const {
  return static_cast<int>(findTrellisCode(static_cast<int>(getStreams()[i]),
                                          static_cast<int>(getWindow()))
                              ->mask);
}

//===----------------------------------------------------------------------===//
// #lowbit.layout, #lowbit.source, #lowbit.activation
//===----------------------------------------------------------------------===//

LogicalResult LayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t tileRows, int64_t laneBytes) {
  // layout_c1
  if (tileRows != lowbit::tileRows && tileRows != 64 && tileRows != 128 &&
      tileRows != 256)
    return emitError() << "tile_rows must be 16, 64, 128 or 256, got "
                       << tileRows;
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
ActivationAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                       Type type) {
  // activation_c1
  if (!type || !(type.isF32() || type.isInteger(16) || type.isInteger(8)))
    return emitError() << "an activation is f32, i16 or i8, got " << type;
  return success();
}

int64_t ActivationAttr::getPlanes() const {
  return getType().isF32() ? 0 : getType().getIntOrFloatBitWidth() / 8;
}
