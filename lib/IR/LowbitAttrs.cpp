//===- LowbitAttrs.cpp - Formats, layouts, sources --------------*- C++ -*-===//

#include "TransformSyntax.h"
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

/// `block = 16`.
static ParseResult parseSize(AsmParser &parser, StringRef name, int64_t &size) {
  return failure(parser.parseKeyword(name) || parser.parseEqual() ||
                 parser.parseInteger(size));
}

/// `block = 12, seed = 3, transposed`, the last two optional.
static ParseResult parseHadamard(AsmParser &parser, int64_t &block,
                                 std::optional<int64_t> &seed,
                                 bool &transposed) {
  transposed = false;
  if (parseSize(parser, "block", block))
    return failure();
  while (succeeded(parser.parseOptionalComma())) {
    if (!transposed && succeeded(parser.parseOptionalKeyword("transposed"))) {
      transposed = true;
    } else if (int64_t value; !seed && !transposed) {
      if (parser.parseKeyword("seed") || parser.parseEqual() ||
          parser.parseInteger(value))
        return failure();
      seed = value;
    } else {
      return parser.emitError(parser.getCurrentLocation(),
                              "expected '>' behind seed and transposed");
    }
  }
  return success();
}

static void printHadamard(AsmPrinter &printer, int64_t block,
                          std::optional<int64_t> seed, bool transposed) {
  printer << "block = " << block;
  if (seed)
    printer << ", seed = " << *seed;
  if (transposed)
    printer << ", transposed";
}

/// `block = 8, seed = 3` or `block = 8, bits = "0f"`.
static ParseResult parseSigns(AsmParser &parser, int64_t &block,
                              std::optional<int64_t> &seed, StringAttr &bits) {
  int64_t value;
  if (parseSize(parser, "block", block) || parser.parseComma())
    return failure();
  if (succeeded(parser.parseOptionalKeyword("bits"))) {
    std::string text;
    if (parser.parseEqual() || parser.parseString(&text))
      return failure();
    bits = StringAttr::get(parser.getContext(), text);
    return success();
  }
  if (parser.parseKeyword("seed") || parser.parseEqual() ||
      parser.parseInteger(value))
    return failure();
  seed = value;
  return success();
}

static void printSigns(AsmPrinter &printer, int64_t block,
                       std::optional<int64_t> seed, StringAttr bits) {
  printer << "block = " << block;
  if (seed)
    printer << ", seed = " << *seed;
  else
    printer << ", bits = " << bits;
}

/// `columns = 8, runs = [0, 8], transposed, averaged`, the last two optional.
static ParseResult parseGather(AsmParser &parser, int64_t &columns,
                               SmallVector<int64_t> &runs, bool &transposed,
                               bool &averaged) {
  transposed = averaged = false;
  if (parseSize(parser, "columns", columns) || parser.parseComma() ||
      parser.parseKeyword("runs") || parser.parseEqual() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
        return parser.parseInteger(runs.emplace_back());
      }))
    return failure();
  while (succeeded(parser.parseOptionalComma())) {
    if (!transposed && !averaged &&
        succeeded(parser.parseOptionalKeyword("transposed"))) {
      transposed = true;
      continue;
    }
    if (averaged || parser.parseKeyword("averaged"))
      return failure();
    averaged = true;
  }
  return success();
}

static void printGather(AsmPrinter &printer, int64_t columns,
                        ArrayRef<int64_t> runs, bool transposed,
                        bool averaged) {
  printer << "columns = " << columns << ", runs = [";
  llvm::interleaveComma(runs, printer);
  printer << "]";
  if (transposed)
    printer << ", transposed";
  if (averaged)
    printer << ", averaged";
}

#include "lowbit/IR/LowbitEnums.cpp.inc"
#include "lowbit/IR/LowbitInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "lowbit/IR/LowbitAttrs.cpp.inc"

ParseResult lowbit::parseTransformKind(AsmParser &parser,
                                       TransformInterface &kind) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef mnemonic;
  Attribute attribute;
  OptionalParseResult parsed =
      generatedAttributeParser(parser, &mnemonic, Type(), attribute);
  if (parsed.has_value() && failed(*parsed))
    return failure();
  kind = dyn_cast_or_null<TransformInterface>(attribute);
  if (!kind)
    return parser.emitError(loc, "expected a kind of transform: hadamard, "
                                 "signs, diagonal, dense, kronecker or gather");
  return success();
}

void lowbit::printTransformKind(AsmPrinter &printer, TransformInterface kind) {
  (void)generatedAttributePrinter(kind, printer);
}

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
  bool isPath = file.starts_with("/") || file.starts_with("./");
  SmallVector<StringRef> parts;
  file.split(parts, '/');
  if ((!isPath && parts.size() > 1) || llvm::is_contained(parts, ".."))
    return emitError() << "file must be a name without folders, or a path that "
                          "starts with / or ./ and has no .., got '"
                       << file << "'";
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
