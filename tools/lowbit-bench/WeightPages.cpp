//===- WeightPages.cpp - Cold pages full of weights -----------------------===//

#include "WeightPages.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/Packing.h"
#include "lowbit/Transforms/FormatNames.h"

#include <cstring>
#include <random>

using namespace lowbit;
using namespace lowbit::bench;

Result<WeightType> WeightType::parse(const std::string &name) {
  WeightType type;
  type.name = name;
  if (name == "f32" || name == "f16" || name == "bf16") {
    type.element = name == "f32"   ? ElementType::F32
                   : name == "f16" ? ElementType::F16
                                   : ElementType::BF16;
    return type;
  }
  Result<FormatPtr> format = parseFormatName(name);
  if (!format)
    return format.error();
  type.format = *format;
  return type;
}

std::string WeightType::tensorType(MatrixShape shape) const {
  std::string text = "tensor<" + std::to_string(shape.outputs) + "x" +
                     std::to_string(shape.inputs) + "x";
  if (!format)
    return text + name + ">";
  return text + "f32, " + format->attribute() + ">";
}

namespace {

/// `rows` rows of normal weights, about as large as those of models.
std::vector<float> randomRows(int64_t rows, int64_t columns,
                              std::mt19937_64 &random) {
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> values(static_cast<size_t>(rows * columns));
  for (float &value : values)
    value = normal(random);
  return values;
}

/// Encodes random rows to all tiles of a matrix at `bytes`.
Status packRandomTiles(const WeightFormat &format, const TilePlaces &places,
                       MatrixShape shape, uint8_t *bytes) {
  EncoderOptions options;
  options.solver = "nearest";
  auto encoder = format.makeEncoder(shape.inputs, options);
  TensorFacts facts;
  for (bool isScan : {true, false}) {
    if (isScan && !format.needsScan())
      continue;
    std::mt19937_64 random(1);
    TensorScan scan;
    ErrorSums sums;
    for (int64_t t = 0; t < places.tiles; ++t) {
      TileInput input;
      input.rows =
          std::min(places.tileRows, shape.outputs - t * places.tileRows);
      input.columns = input.stride = shape.inputs;
      std::vector<float> rows = randomRows(input.rows, input.columns, random);
      input.weights = rows.data();
      std::optional<Defect> defect =
          isScan ? encoder->scan(input, scan)
                 : encoder->encode(input, facts, bytes + t * places.tileBytes,
                                   sums);
      if (defect)
        return Error{ExitCode::Internal, describe(*defect)};
    }
    if (isScan)
      facts = format.facts(scan);
  }
  format.writeTrailer(facts, bytes + places.trailer());
  return std::nullopt;
}

void packRandomFloats(ElementType type, int64_t rows, int64_t columns,
                      std::mt19937_64 &random, uint8_t *bytes) {
  std::vector<float> values(static_cast<size_t>(rows * columns));
  for (float &value : values)
    value = static_cast<float>(static_cast<int32_t>(random())) * 0x1p-34f;
  std::vector<uint8_t> elements(values.size() *
                                static_cast<size_t>(elementSize(type)));
  narrowElements(type, values.data(), static_cast<int64_t>(values.size()),
                 elements.data());
  packFloatTile(type, elements.data(), columns, rows, columns, bytes);
}

} // namespace

Result<WeightPages> WeightPages::fill(Session &session, const WeightType &type,
                                      MatrixShape shape) {
  WeightPages pages;
  if (type.format) {
    auto places = type.format->places(shape.outputs, shape.inputs);
    if (!places)
      return Error{ExitCode::Usage, "the shape is too large"};
    pages.tiles = *places;
  } else {
    auto layout = floatLayout(type.element, shape.outputs, shape.inputs);
    if (!layout)
      return Error{ExitCode::Usage, "the shape is too large"};
    pages.tiles = {tileRows, layout->tileBytes, layout->tiles, 0};
  }
  const TilePlaces &places = pages.tiles;
  pages.bytes = places.trailer() + places.trailerBytes;
  pages.first = session.pages().data();
  pages.matrices = session.pages().size() / pages.bytes;
  if (pages.matrices < 2)
    return Error{ExitCode::Usage,
                 "--pages: " + std::to_string(session.pages().size()) +
                     " bytes do not hold two matrices of " +
                     std::to_string(pages.bytes)};
  std::string contents = type.tensorType(shape);
  if (session.pageContents == contents)
    return pages;

  if (type.format) {
    if (Status status =
            packRandomTiles(*type.format, places, shape, pages.first))
      return *status;
  } else {
    std::mt19937_64 random(1);
    for (int64_t t = 0; t < places.tiles; ++t)
      packRandomFloats(
          type.element, std::min(tileRows, shape.outputs - t * tileRows),
          shape.inputs, random, pages.first + t * places.tileBytes);
  }
  // The last tile may have fewer rows and stays where it is.
  int64_t moved = places.tiles - 1;
  for (int64_t i = 1; i < pages.matrices; ++i) {
    for (int64_t t = 0; t < moved; ++t)
      std::memcpy(pages.matrix(i) + t * places.tileBytes,
                  pages.first + (t + i) % moved * places.tileBytes,
                  static_cast<size_t>(places.tileBytes));
    std::memcpy(pages.matrix(i) + moved * places.tileBytes,
                pages.first + moved * places.tileBytes,
                static_cast<size_t>(places.tileBytes + places.trailerBytes));
  }
  session.pageContents = contents;
  return pages;
}
