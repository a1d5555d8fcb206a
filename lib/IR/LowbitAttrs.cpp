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
    if (averaged)
      return parser.emitError(parser.getCurrentLocation(),
                              "expected '>' behind averaged");
    if (parser.parseKeyword("averaged"))
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
// What grouped formats share
//===----------------------------------------------------------------------===//

static std::optional<ScaleType> scaleType(Type scale) {
  if (!scale)
    return std::nullopt;
  if (scale.isF16())
    return ScaleType::F16;
  if (isa<Float8E4M3FNType>(scale))
    return ScaleType::E4M3;
  if (isa<Float8E8M0FNUType>(scale))
    return ScaleType::E8M0;
  return std::nullopt;
}

/// The constraints that Numerics knows.
static LogicalResult verifyFormat(function_ref<InFlightDiagnostic()> emitError,
                                  const IntegerFormat &format) {
  if (const char *why = whyInvalid(format))
    return emitError() << why << " (group "
                       << (format.group ? std::to_string(format.group) : "row")
                       << ")";
  return success();
}

//===----------------------------------------------------------------------===//
// #lowbit.int
//===----------------------------------------------------------------------===//

static IntegerFormat makeInteger(int64_t bits, int64_t group, ScaleType scale,
                                 ZeroOffset offset) {
  IntegerFormat format;
  format.bits = static_cast<int>(bits);
  format.group = group;
  format.scale = scale;
  format.offset = offset == ZeroOffset::Integer ? Offset::Integer
                  : offset == ZeroOffset::Half  ? Offset::Half
                                                : Offset::Stored;
  return format;
}

LogicalResult IntAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              int64_t bits, int64_t group, Type scale,
                              ZeroOffset offset) {
  // int_c1
  if (bits < 1 || bits > 8)
    return emitError() << "bits must be 1 to 8, got " << bits;
  // int_c3
  std::optional<ScaleType> type = scaleType(scale);
  if (!type)
    return emitError() << "scale must be f16 or f8E4M3FN, got " << scale;
  // int_c2, int_c3, int_c5
  return verifyFormat(emitError, makeInteger(bits, group, *type, offset));
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
  return makeInteger(getBits(), getGroup(), *scaleType(getScale()),
                     getOffset());
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
// #lowbit.micro
//===----------------------------------------------------------------------===//

static IntegerFormat makeMicro(Type element, int64_t group, ScaleType scale) {
  IntegerFormat format;
  format.group = group;
  format.scale = scale;
  format.bits = static_cast<int>(element.getIntOrFloatBitWidth());
  format.element = isa<Float4E2M1FNType>(element)   ? Element::E2M1
                   : isa<Float6E2M3FNType>(element) ? Element::E2M3
                   : isa<Float6E3M2FNType>(element) ? Element::E3M2
                   : isa<Float8E4M3FNType>(element) ? Element::E4M3
                   : isa<Float8E5M2Type>(element)   ? Element::E5M2
                                                    : Element::Int8;
  return format;
}

LogicalResult MicroAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                Type element, int64_t group, Type scale) {
  // micro_c1
  if (!element || !(isa<Float4E2M1FNType, Float6E2M3FNType, Float6E3M2FNType,
                        Float8E4M3FNType, Float8E5M2Type>(element) ||
                    element.isSignlessInteger(8)))
    return emitError() << "element must be f4E2M1FN, f6E2M3FN, f6E3M2FN, "
                          "f8E4M3FN, f8E5M2 or i8, got "
                       << element;
  // micro_c2
  std::optional<ScaleType> type = scaleType(scale);
  if (!type)
    return emitError() << "scale must be f8E8M0FNU or f8E4M3FN, got " << scale;
  return verifyFormat(emitError, makeMicro(element, group, *type));
}

LogicalResult
MicroAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                          function_ref<InFlightDiagnostic()> emitError) const {
  // micro_c3
  return verifyEncoded(*this, shape, elementType, emitError);
}

FormatPtr MicroAttr::getWeightFormat() const {
  return makeIntegerFormat(
      makeMicro(getElement(), getGroup(), *scaleType(getScale())));
}

//===----------------------------------------------------------------------===//
// #lowbit.levels
//===----------------------------------------------------------------------===//

/// `levels` has at most 16 numbers, each fits a byte.
static IntegerFormat makeLevels(ArrayRef<int64_t> levels, int64_t group,
                                ScaleType scale) {
  IntegerFormat format;
  format.element = Element::Levels;
  format.group = group;
  format.scale = scale;
  format.levelCount = static_cast<int>(levels.size());
  format.bits = levelBits(format.levelCount);
  for (auto [i, level] : llvm::enumerate(levels))
    format.levels[i] = static_cast<int8_t>(level);
  return format;
}

LogicalResult LevelsAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> levels, int64_t group,
                                 Type scale) {
  // levels_c1
  if (levels.size() > 16)
    return emitError() << "there must be 2 to 16 levels, got " << levels.size();
  for (int64_t level : levels)
    if (level < -128 || level > 127)
      return emitError() << "levels must be -128 to 127, got " << level;
  // levels_c3
  std::optional<ScaleType> type = scaleType(scale);
  if (!type)
    return emitError() << "scale must be f16 or f8E4M3FN, got " << scale;
  // levels_c1, levels_c2, levels_c3
  return verifyFormat(emitError, makeLevels(levels, group, *type));
}

LogicalResult
LevelsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                           function_ref<InFlightDiagnostic()> emitError) const {
  // levels_c4
  return verifyEncoded(*this, shape, elementType, emitError);
}

FormatPtr LevelsAttr::getWeightFormat() const {
  return makeIntegerFormat(
      makeLevels(getLevels(), getGroup(), *scaleType(getScale())));
}

//===----------------------------------------------------------------------===//
// #lowbit.free
//===----------------------------------------------------------------------===//

static IntegerFormat makeFree(int64_t group, ScaleType scale) {
  IntegerFormat format;
  format.element = Element::Free;
  format.bits = 2;
  format.group = group;
  format.scale = scale;
  return format;
}

LogicalResult FreeAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t group, Type scale) {
  // free_c2
  std::optional<ScaleType> type = scaleType(scale);
  if (!type)
    return emitError() << "scale must be f16 or f8E4M3FN, got " << scale;
  // free_c1, free_c2
  return verifyFormat(emitError, makeFree(group, *type));
}

LogicalResult
FreeAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                         function_ref<InFlightDiagnostic()> emitError) const {
  // free_c3
  return verifyEncoded(*this, shape, elementType, emitError);
}

FormatPtr FreeAttr::getWeightFormat() const {
  return makeIntegerFormat(makeFree(getGroup(), *scaleType(getScale())));
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
