//===- IntegerWeights.cpp - Grouped integers as a WeightFormat --*- C++ -*-===//
#include "lowbit/Numerics/IntegerFormat.h"

#include "ElementSolver.h"
#include "FormatFamily.h"
#include "LevelSolver.h"
#include "lowbit/Numerics/Gptq.h"
#include "lowbit/Numerics/IntegerTile.h"
#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/Solver.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace lowbit {

namespace {

/// How scales are chosen.
SolverKind kindOf(const EncoderOptions &options) {
  const std::string &name =
      options.solver == "gptq" ? options.scales : options.solver;
  return name == "nearest" ? SolverKind::Nearest : SolverKind::Search;
}

class IntegerEncoder final : public TileEncoder {
public:
  IntegerEncoder(const IntegerFormat &format, int64_t columns,
                 const EncoderOptions &options)
      : solver(format, columns, kindOf(options), options.importance,
               options.path),
        importance(options.importance), path(options.path) {
    if (options.solver == "gptq")
      gptq.emplace(format, kindOf(options), options.importance, *options.factor,
                   options.path);
  }

  std::optional<Defect> scan(const TileInput &input,
                             TensorScan &scan) override {
    TensorScan here;
    std::optional<Defect> defect = solver.maximalScale(input, here.largest);
    scan.merge(here);
    return defect;
  }

  std::optional<Defect> encode(const TileInput &input, const TensorFacts &facts,
                               uint8_t *bytes, ErrorSums &sums) override {
    if (std::optional<Defect> defect =
            gptq ? gptq->solve(input, facts.factor, tile)
                 : solver.solve(input, facts.factor, tile))
      return defect;
    packTile(tile, bytes);
    sums.add(measureError(tile, input, importance, path));
    return std::nullopt;
  }

private:
  TileSolver solver;
  std::optional<GptqSolver> gptq;
  const float *importance;
  CodePath path;
  IntegerTile tile;
};

/// Error sums of a tile of an element that is no Integer: one running sum, by
/// rows, then by columns.
ErrorSums measureElements(const IntegerTile &tile, const TileInput &input,
                          const float *importance) {
  bool isFree = tile.format.element == Element::Free;
  std::array<float, 256> values = {};
  if (!isFree)
    values = codeValues(tile.format);
  int64_t width = groupColumns(tile.format, tile.columns);
  ErrorSums sums;
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t k = 0; k < tile.columns; ++k) {
      uint8_t code = tile.codes[static_cast<size_t>(r * tile.columns + k)];
      float value =
          isFree ? tile.groupLevels(r, k / width)[code] : values[code];
      float scale =
          tile.scales[static_cast<size_t>(r * tile.groups + k / width)];
      sums.addWeight(input.weights[r * input.stride + k],
                     (value * scale) * tile.factor,
                     importance ? importance[k] : 1.0f);
    }
  return sums;
}

/// The encoder of elements that are no Integer: `Solver` chooses scales or
/// levels, then codes, with error feedback where that is asked for.
template <typename Solver> class ElementEncoder final : public TileEncoder {
public:
  ElementEncoder(Solver solver, const EncoderOptions &options)
      : solver(std::move(solver)), importance(options.importance) {
    if (options.solver == "gptq")
      feedback.emplace(*options.factor, options.path);
  }

  std::optional<Defect> scan(const TileInput &input,
                             TensorScan &scan) override {
    return raiseToLargest(input, scan.largest);
  }

  std::optional<Defect> encode(const TileInput &input, const TensorFacts &facts,
                               uint8_t *bytes, ErrorSums &sums) override {
    if (std::optional<Defect> defect = solver.solve(
            input, facts.factor, feedback ? &*feedback : nullptr, tile))
      return defect;
    packTile(tile, bytes);
    sums.add(measureElements(tile, input, importance));
    return std::nullopt;
  }

private:
  Solver solver;
  std::optional<ErrorFeedback> feedback;
  const float *importance;
  IntegerTile tile;
};

class IntegerWeights final : public WeightFormat {
public:
  explicit IntegerWeights(const IntegerFormat &format) : format(format) {}

  std::string name() const override;
  std::string attribute() const override;
  std::optional<TilePlaces> places(int64_t rows,
                                   int64_t columns) const override;
  std::optional<StoredSize> storedSize(int64_t rows,
                                       int64_t columns) const override {
    return lowbit::storedSize(format, rows, columns);
  }
  const IntegerFormat *integers() const override { return &format; }
  int64_t sumColumns() const override {
    return format.isFloat() ? 0 : format.group ? format.group : 512;
  }
  bool hasTensorFacts() const override { return format.hasFactor(); }
  std::vector<std::string> solvers() const override {
    if (format.element == Element::Free)
      return {"em", "gptq", "given"};
    if (format.element == Element::Integer && format.bits == 1)
      return {"em", "nearest", "gptq", "given"};
    return {"search", "nearest", "gptq", "given"};
  }
  bool usesFeedback(const std::string &solver) const override {
    return solver == "gptq";
  }
  bool needsScan() const override { return format.hasFactor(); }
  TensorFacts facts(const TensorScan &scan) const override {
    if (!format.hasFactor())
      return {};
    if (format.element == Element::Free)
      return {tensorFactor(scan.largest / largestFreeLevel)};
    return {isTable() ? elementFactor(format, scan.largest)
                      : tensorFactor(scan.largest)};
  }
  std::unique_ptr<TileEncoder>
  makeEncoder(int64_t columns, const EncoderOptions &options) const override {
    if (format.element == Element::Free)
      return std::make_unique<ElementEncoder<LevelSolver>>(
          LevelSolver(format, columns, options.importance), options);
    if (isTable())
      return std::make_unique<ElementEncoder<ElementSolver>>(
          ElementSolver(format, columns, kindOf(options), options.importance,
                        options.path),
          options);
    return std::make_unique<IntegerEncoder>(format, columns, options);
  }
  void writeTrailer(const TensorFacts &facts, uint8_t *bytes) const override {
    if (format.hasFactor())
      packTrailer(facts.factor, bytes);
  }
  int64_t encoderBytes(int64_t columns) const override;

  std::vector<GivenTensor> givenTensors(int64_t columns) const override;
  std::optional<Defect> encodeGiven(const std::vector<const uint8_t *> &parts,
                                    const TileInput &input,
                                    const float *importance, uint8_t *bytes,
                                    ErrorSums &sums) const override;
  std::optional<Defect> givenFacts(const std::vector<const uint8_t *> &parts,
                                   TensorFacts &facts) const override;
  std::optional<Defect> readTrailer(const uint8_t *bytes,
                                    TensorFacts &facts) const override {
    return format.hasFactor() ? lowbit::readTrailer(bytes, facts.factor)
                              : std::nullopt;
  }
  std::optional<Defect> unpack(const uint8_t *bytes, int64_t rows,
                               int64_t columns, int64_t firstRow,
                               StepTile &tile) const override;

private:
  bool isTable() const { return format.element != Element::Integer; }
  bool isStored() const { return format.offset == Offset::Stored; }

  IntegerFormat format;
};

} // namespace

/// `-g64` or `-row`, and the scale where it is not f16.
static std::string groupWords(const IntegerFormat &format) {
  std::string words =
      format.group == 0 ? "-row" : "-g" + std::to_string(format.group);
  return format.scale == ScaleType::F16 ? words : words + "-e4m3";
}

/// `ternary`, or `levels.m3.0.5`: m is the sign of negative ones.
static std::string levelsWord(const IntegerFormat &format) {
  if (format.levelCount == 3 && format.levels[0] == -1 && format.levels[2] == 1)
    return "ternary";
  std::string word = "levels";
  for (int i = 0; i < format.levelCount; ++i) {
    int level = format.levels[static_cast<size_t>(i)];
    word += (level < 0 ? ".m" : ".") + std::to_string(std::abs(level));
  }
  return word;
}

std::string IntegerWeights::name() const {
  switch (format.element) {
  case Element::E2M1:
    return format.scale == ScaleType::E8M0 ? "mxfp4" : "nvfp4";
  case Element::E2M3:
    return "mxfp6-e2m3";
  case Element::Int8:
    return "mxint8";
  case Element::E3M2:
    return "mxfp6-e3m2";
  case Element::E4M3:
    return "mxfp8-e4m3";
  case Element::E5M2:
    return "mxfp8-e5m2";
  case Element::Levels:
    return levelsWord(format) + groupWords(format);
  case Element::Free:
    return "free4" + groupWords(format);
  case Element::Integer:
    break;
  }
  std::string name = "int" + std::to_string(format.bits) + groupWords(format);
  name += format.offset == Offset::Half     ? "-half"
          : format.offset == Offset::Stored ? "-stored"
                                            : "";
  return name;
}

std::string IntegerWeights::attribute() const {
  std::string group = format.group ? std::to_string(format.group) : "row";
  std::string scale = format.scale == ScaleType::F16    ? "f16"
                      : format.scale == ScaleType::E4M3 ? "f8E4M3FN"
                                                        : "f8E8M0FNU";
  std::string rest = "group = " + group + ", scale = " + scale;
  switch (format.element) {
  case Element::E2M1:
    return "#lowbit.micro<f4E2M1FN, " + rest + ">";
  case Element::E2M3:
    return "#lowbit.micro<f6E2M3FN, " + rest + ">";
  case Element::Int8:
    return "#lowbit.micro<i8, " + rest + ">";
  case Element::E3M2:
    return "#lowbit.micro<f6E3M2FN, " + rest + ">";
  case Element::E4M3:
    return "#lowbit.micro<f8E4M3FN, " + rest + ">";
  case Element::E5M2:
    return "#lowbit.micro<f8E5M2, " + rest + ">";
  case Element::Free:
    return "#lowbit.free<" + rest + ">";
  case Element::Levels: {
    std::string levels;
    for (int i = 0; i < format.levelCount; ++i)
      levels += (i ? ", " : "") +
                std::to_string(format.levels[static_cast<size_t>(i)]);
    return "#lowbit.levels<[" + levels + "], " + rest + ">";
  }
  case Element::Integer:
    break;
  }
  static const char *const offsets[] = {"integer", "half", "stored"};
  return "#lowbit.int<" + std::to_string(format.bits) + ", " + rest +
         ", offset = " + offsets[static_cast<int>(format.offset)] + ">";
}

std::optional<TilePlaces> IntegerWeights::places(int64_t rows,
                                                 int64_t columns) const {
  std::optional<TileGeometry> geometry = tileGeometry(format, rows, columns);
  if (!geometry)
    return std::nullopt;
  return TilePlaces{lowbit::tileRows, geometry->tileBytes, geometry->tiles,
                    geometry->trailerBytes};
}

int64_t IntegerWeights::encoderBytes(int64_t columns) const {
  // Codes, scales as bits and numbers, zero points, grids; three rows of the
  // solver; for error feedback rows and their errors in lanes.
  int64_t groups = groupCount(format, columns);
  return lowbit::tileRows * (columns + groups * 64) + 3 * columns * 4 +
         2 * lowbit::tileRows * columns * 4;
}

std::vector<GivenTensor> IntegerWeights::givenTensors(int64_t columns) const {
  int64_t groups = groupCount(format, columns);
  std::vector<GivenTensor> tensors = {
      {".codes", GivenType::U8, columns},
      {".scales",
       format.scale == ScaleType::F16    ? GivenType::F16
       : format.scale == ScaleType::E4M3 ? GivenType::E4M3
                                         : GivenType::U8,
       groups}};
  if (isStored())
    tensors.push_back({".zeros", GivenType::U8, groups});
  if (format.element == Element::Free)
    tensors.push_back({".levels", GivenType::I8, groups * freeLevels});
  if (format.hasFactor())
    tensors.push_back({".factor", GivenType::F32, 0});
  return tensors;
}

std::optional<Defect>
IntegerWeights::givenFacts(const std::vector<const uint8_t *> &parts,
                           TensorFacts &facts) const {
  // A factor is read like that of a trailer, and refused like it.
  return format.hasFactor() ? lowbit::readTrailer(parts.back(), facts.factor)
                            : std::nullopt;
}

std::optional<Defect>
IntegerWeights::encodeGiven(const std::vector<const uint8_t *> &parts,
                            const TileInput &input, const float *importance,
                            uint8_t *bytes, ErrorSums &sums) const {
  TensorFacts facts;
  if (std::optional<Defect> defect = givenFacts(parts, facts))
    return defect;
  int64_t groups = groupCount(format, input.columns);
  std::vector<uint16_t> scales(static_cast<size_t>(input.rows * groups));
  for (size_t i = 0; i < scales.size(); ++i) {
    auto size = static_cast<size_t>(format.scaleSize());
    std::memcpy(&scales[i], parts[1] + i * size, size);
  }
  GivenTile given;
  given.codes = parts[0];
  given.scaleBits = scales.data();
  given.zeros = isStored() ? parts[2] : nullptr;
  if (format.element == Element::Free)
    given.levels = reinterpret_cast<const int8_t *>(parts[2]);
  given.factor = facts.factor;
  given.rows = input.rows;
  given.columns = input.columns;
  given.firstRow = input.firstRow;
  IntegerTile tile;
  if (std::optional<Defect> defect = takeGiven(format, given, tile))
    return defect;
  packTile(tile, bytes);
  sums.add(isTable() ? measureElements(tile, input, importance)
                     : measureError(tile, input, importance));
  return std::nullopt;
}

std::optional<Defect> IntegerWeights::unpack(const uint8_t *bytes, int64_t rows,
                                             int64_t columns, int64_t firstRow,
                                             StepTile &result) const {
  IntegerTile tile;
  if (std::optional<Defect> defect =
          unpackTile(format, rows, columns, firstRow, 1.0f, bytes, tile))
    return defect;
  result.groupColumns = groupColumns(format, columns);
  result.groups = tile.groups;
  result.isRow = format.group == 0;
  result.unit = format.unit();
  result.scales = tile.scales;
  if (format.isFloat())
    result.values.resize(static_cast<size_t>(rows * columns));
  else
    result.steps.resize(static_cast<size_t>(rows * columns));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < columns; ++k) {
      auto at = static_cast<size_t>(r * columns + k);
      if (isTable()) {
        if (!format.isNumber(tile.codes[at]))
          return defectAt(Defect::Kind::BadCode, firstRow + r, k,
                          tile.codes[at]);
        if (format.element == Element::Free)
          result.steps[at] =
              tile.groupLevels(r, k / result.groupColumns)[tile.codes[at]];
        else if (format.isFloat())
          result.values[at] = format.tableValue(tile.codes[at]);
        else
          result.steps[at] =
              static_cast<int16_t>(format.tableStep(tile.codes[at]));
        continue;
      }
      float step = static_cast<float>(tile.codes[at]) -
                   tile.zero(r, k / result.groupColumns);
      result.steps[at] = static_cast<int16_t>(step / result.unit);
    }
  return std::nullopt;
}

FormatPtr makeIntegerFormat(const IntegerFormat &format) {
  return std::make_shared<IntegerWeights>(format);
}

//===----------------------------------------------------------------------===//
// Names: int<bits>-g<group>|row[-f16|-e4m3][-integer|-half|-stored]
//===----------------------------------------------------------------------===//

/// Takes one of the optional words; false where it is none or comes twice.
static bool takeWord(const std::string &word, IntegerFormat &format,
                     bool &hasScale, bool &hasOffset) {
  if (word == "f16" || word == "e4m3") {
    format.scale = word == "f16" ? ScaleType::F16 : ScaleType::E4M3;
    return !std::exchange(hasScale, true);
  }
  if (word == "integer" || word == "half" || word == "stored") {
    format.offset = word == "integer" ? Offset::Integer
                    : word == "half"  ? Offset::Half
                                      : Offset::Stored;
    return !std::exchange(hasOffset, true);
  }
  return false;
}

static bool ownsInteger(const std::string &word) {
  return word.compare(0, 3, "int") == 0;
}

static FormatPtr parseInteger(const NameWords &words, std::string &why) {
  IntegerFormat format;
  int64_t bits = parseCount(words[0].substr(3));
  format.group = words.size() < 2 ? -1 : parseGroupWord(words[1]);
  if (bits < 0 || format.group < 0)
    return nullptr;
  format.bits = static_cast<int>(bits);
  bool hasScale = false;
  bool hasOffset = false;
  for (size_t i = 2; i < words.size(); ++i)
    if (!takeWord(words[i], format, hasScale, hasOffset))
      return nullptr;
  if (const char *invalid = whyInvalid(format)) {
    why = invalid;
    return nullptr;
  }
  return makeIntegerFormat(format);
}

const FormatFamily integerFamily = {
    "int{1…8}-{g16,g32,g64,g128,row}[-f16|-e4m3][-integer|-half|-stored]",
    ownsInteger, parseInteger};

//===----------------------------------------------------------------------===//
// Names: mxfp4, mxfp6-e2m3, mxfp6-e3m2, mxfp8-e4m3, mxfp8-e5m2, mxint8, nvfp4
//===----------------------------------------------------------------------===//

static bool ownsMicro(const std::string &word) {
  return word == "mxfp4" || word == "mxfp6" || word == "mxfp8" ||
         word == "mxint8" || word == "nvfp4";
}

static FormatPtr parseMicro(const NameWords &words, std::string &why) {
  IntegerFormat format;
  format.group = 32;
  format.scale = ScaleType::E8M0;
  if (words[0] == "mxfp6" || words[0] == "mxfp8") {
    static const struct {
      const char *type, *element;
      Element kind;
      int bits;
    } floats[] = {{"mxfp6", "e2m3", Element::E2M3, 6},
                  {"mxfp6", "e3m2", Element::E3M2, 6},
                  {"mxfp8", "e4m3", Element::E4M3, 8},
                  {"mxfp8", "e5m2", Element::E5M2, 8}};
    for (const auto &choice : floats)
      if (words.size() == 2 && words[0] == choice.type &&
          words[1] == choice.element) {
        format.element = choice.kind;
        format.bits = choice.bits;
        return makeIntegerFormat(format);
      }
    why = "it must be mxfp6-e2m3, mxfp6-e3m2, mxfp8-e4m3 or mxfp8-e5m2";
    return nullptr;
  }
  if (words.size() != 1)
    return nullptr;
  format.element = words[0] == "mxint8" ? Element::Int8 : Element::E2M1;
  format.bits = words[0] == "mxint8" ? 8 : 4;
  if (words[0] == "nvfp4") {
    format.group = 16;
    format.scale = ScaleType::E4M3;
  }
  return makeIntegerFormat(format);
}

const FormatFamily microFamily = {
    "mxfp4, mxfp6-{e2m3,e3m2}, mxfp8-{e4m3,e5m2}, mxint8, nvfp4", ownsMicro,
    parseMicro};

//===----------------------------------------------------------------------===//
// Names: ternary|levels.<level>.<level>…-g<group>|row[-f16|-e4m3]
//===----------------------------------------------------------------------===//

static bool ownsLevels(const std::string &word) {
  return word == "ternary" || word.compare(0, 7, "levels.") == 0;
}

/// The levels of `levels.m3.0.5`; false where one is no number of −128 … 127.
static bool parseLevels(const std::string &word, IntegerFormat &format) {
  size_t at = word.find('.');
  while (at != std::string::npos) {
    size_t next = word.find('.', at + 1);
    std::string text = word.substr(at + 1, next - at - 1);
    bool isNegative = !text.empty() && text[0] == 'm';
    int64_t level = parseCount(isNegative ? text.substr(1) : text);
    if (level < 0 || level > (isNegative ? 128 : 127) ||
        format.levelCount == 16)
      return false;
    format.levels[static_cast<size_t>(format.levelCount++)] =
        static_cast<int8_t>(isNegative ? -level : level);
    at = next;
  }
  return true;
}

/// The words behind the first: a group, and perhaps a scale; false where they
/// are not understood.
static bool takeGroupWords(const NameWords &words, IntegerFormat &format) {
  format.group = words.size() < 2 ? -1 : parseGroupWord(words[1]);
  if (format.group < 0 || words.size() > 3)
    return false;
  if (words.size() == 3 && words[2] != "f16" && words[2] != "e4m3")
    return false;
  format.scale = words.size() == 3 && words[2] == "e4m3" ? ScaleType::E4M3
                                                         : ScaleType::F16;
  return true;
}

static FormatPtr parseLevelNames(const NameWords &words, std::string &why) {
  IntegerFormat format;
  format.element = Element::Levels;
  if (!parseLevels(words[0] == "ternary" ? "levels.m1.0.1" : words[0],
                   format)) {
    why = "levels are up to 16 numbers from m128 to 127";
    return nullptr;
  }
  format.bits = levelBits(format.levelCount);
  if (!takeGroupWords(words, format))
    return nullptr;
  if (const char *invalid = whyInvalid(format)) {
    why = invalid;
    return nullptr;
  }
  return makeIntegerFormat(format);
}

const FormatFamily levelsFamily = {
    "{ternary,levels.<level>…}-{g32,g64,g128,row}[-f16|-e4m3]", ownsLevels,
    parseLevelNames};

//===----------------------------------------------------------------------===//
// Names: free4-g32|g64|g128[-f16|-e4m3]
//===----------------------------------------------------------------------===//

static bool ownsFree(const std::string &word) { return word == "free4"; }

static FormatPtr parseFree(const NameWords &words, std::string &why) {
  IntegerFormat format;
  format.element = Element::Free;
  format.bits = 2;
  if (!takeGroupWords(words, format))
    return nullptr;
  if (const char *invalid = whyInvalid(format)) {
    why = invalid;
    return nullptr;
  }
  return makeIntegerFormat(format);
}

const FormatFamily freeFamily = {"free4-{g32,g64,g128}[-f16|-e4m3]", ownsFree,
                                 parseFree};

} // namespace lowbit
