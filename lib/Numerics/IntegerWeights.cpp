//===- IntegerWeights.cpp - Grouped integers as a WeightFormat --*- C++ -*-===//
#include "lowbit/Numerics/IntegerFormat.h"

#include "FormatFamily.h"
#include "lowbit/Numerics/Gptq.h"
#include "lowbit/Numerics/IntegerTile.h"
#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/Solver.h"

#include <cstring>
#include <utility>

namespace lowbit {

namespace {

class IntegerEncoder final : public TileEncoder {
public:
  IntegerEncoder(const IntegerFormat &format, int64_t columns,
                 const EncoderOptions &options)
      : solver(format, columns, kindOf(options.solver), options.importance,
               options.path),
        importance(options.importance), path(options.path) {
    if (options.solver == "gptq")
      gptq.emplace(format, kindOf(options.scales), options.importance,
                   *options.factor, options.path);
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
  static SolverKind kindOf(const std::string &name) {
    return name == "search" ? SolverKind::Search : SolverKind::Nearest;
  }

  TileSolver solver;
  std::optional<GptqSolver> gptq;
  const float *importance;
  CodePath path;
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
    return format.group ? format.group : 512;
  }
  bool hasTensorFacts() const override { return format.hasFactor(); }
  std::vector<std::string> solvers() const override {
    return {"search", "nearest", "gptq", "given"};
  }
  bool usesFeedback(const std::string &solver) const override {
    return solver == "gptq";
  }
  bool needsScan() const override { return format.hasFactor(); }
  TensorFacts facts(const TensorScan &scan) const override {
    return {format.hasFactor() ? tensorFactor(scan.largest) : 1.0f};
  }
  std::unique_ptr<TileEncoder>
  makeEncoder(int64_t columns, const EncoderOptions &options) const override {
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
  bool isStored() const { return format.offset == Offset::Stored; }

  IntegerFormat format;
};

} // namespace

std::string IntegerWeights::name() const {
  std::string name = "int" + std::to_string(format.bits);
  name += format.group == 0 ? "-row" : "-g" + std::to_string(format.group);
  if (format.scale != ScaleType::F16)
    name += "-e4m3";
  name += format.offset == Offset::Half     ? "-half"
          : format.offset == Offset::Stored ? "-stored"
                                            : "";
  return name;
}

std::string IntegerWeights::attribute() const {
  static const char *const offsets[] = {"integer", "half", "stored"};
  return "#lowbit.int<" + std::to_string(format.bits) +
         ", group = " + (format.group ? std::to_string(format.group) : "row") +
         ", scale = " + (format.scale == ScaleType::F16 ? "f16" : "f8E4M3FN") +
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
       format.scale == ScaleType::F16 ? GivenType::F16 : GivenType::E4M3,
       groups}};
  if (isStored())
    tensors.push_back({".zeros", GivenType::U8, groups});
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
  given.factor = facts.factor;
  given.rows = input.rows;
  given.columns = input.columns;
  given.firstRow = input.firstRow;
  IntegerTile tile;
  if (std::optional<Defect> defect = takeGiven(format, given, tile))
    return defect;
  packTile(tile, bytes);
  sums.add(measureError(tile, input, importance));
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
  result.unit = format.offset == Offset::Half ? 0.5f : 1.0f;
  result.scales = tile.scales;
  result.steps.resize(static_cast<size_t>(rows * columns));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < columns; ++k) {
      auto at = static_cast<size_t>(r * columns + k);
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
    "int{2,3,4,8}-{g32,g64,g128,row}[-f16|-e4m3][-integer|-half|-stored]",
    ownsInteger, parseInteger};

} // namespace lowbit
