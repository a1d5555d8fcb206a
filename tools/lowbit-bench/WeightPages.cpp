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
  Result<IntegerFormat> format = parseFormatName(name);
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
  static const char *const offsets[] = {"integer", "half", "stored"};
  return text + "f32, #lowbit.int<" + std::to_string(format->bits) +
         ", group = " +
         (format->group ? std::to_string(format->group) : "row") +
         ", scale = " + (format->scale == ScaleType::F16 ? "f16" : "f8E4M3FN") +
         ", offset = " + offsets[static_cast<int>(format->offset)] + ">>";
}

namespace {

/// Numbers of ordinary size: scales near 1/64 (f16) or 1 (E4M3), no zeros.
void packRandomTile(const IntegerFormat &format, int64_t rows, int64_t columns,
                    std::mt19937_64 &random, uint8_t *bytes) {
  IntegerTile tile;
  tile.reset(format, rows, columns);
  auto codes = static_cast<uint64_t>(format.codes());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = 0; k < columns; ++k)
      tile.codes[r * columns + k] = static_cast<uint8_t>(random() % codes);
    for (int64_t g = 0; g < tile.groups; ++g) {
      size_t i = static_cast<size_t>(r * tile.groups + g);
      uint64_t bits = random();
      tile.scaleBits[i] = static_cast<uint16_t>(format.scale == ScaleType::F16
                                                    ? 0x2400 + bits % 0x400
                                                    : 0x30 + bits % 16);
      tile.scales[i] = scaleValue(format.scale, tile.scaleBits[i]);
      if (format.offset == Offset::Stored)
        tile.zeros[i] = static_cast<uint8_t>(random() % codes);
    }
  }
  packTile(tile, bytes);
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
  int64_t tiles = 0, trailer = 0;
  if (type.format) {
    auto geometry = tileGeometry(*type.format, shape.outputs, shape.inputs);
    if (!geometry)
      return Error{ExitCode::Usage, "the shape is too large"};
    tiles = geometry->tiles;
    pages.tile = geometry->tileBytes;
    trailer = geometry->trailerBytes;
  } else {
    auto layout = floatLayout(type.element, shape.outputs, shape.inputs);
    if (!layout)
      return Error{ExitCode::Usage, "the shape is too large"};
    tiles = layout->tiles;
    pages.tile = layout->tileBytes;
  }
  pages.bytes = tiles * pages.tile + trailer;
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

  std::mt19937_64 random(1);
  for (int64_t t = 0; t < tiles; ++t) {
    int64_t rows = std::min(tileRows, shape.outputs - t * tileRows);
    uint8_t *at = pages.first + t * pages.tile;
    if (type.format)
      packRandomTile(*type.format, rows, shape.inputs, random, at);
    else
      packRandomFloats(type.element, rows, shape.inputs, random, at);
  }
  if (trailer)
    packTrailer(0.01f, pages.first + tiles * pages.tile);
  // The last tile may have fewer rows and stays where it is.
  for (int64_t i = 1; i < pages.matrices; ++i) {
    for (int64_t t = 0; t < tiles - 1; ++t)
      std::memcpy(pages.matrix(i) + t * pages.tile,
                  pages.first + (t + i) % (tiles - 1) * pages.tile,
                  static_cast<size_t>(pages.tile));
    std::memcpy(pages.matrix(i) + (tiles - 1) * pages.tile,
                pages.first + (tiles - 1) * pages.tile,
                static_cast<size_t>(pages.tile + trailer));
  }
  session.pageContents = contents;
  return pages;
}
