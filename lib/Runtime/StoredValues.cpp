//===- StoredValues.cpp - Whether packed bytes are of a format ------------===//
#include "StoredValues.h"

#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Numerics/IntegerTile.h"
#include "lowbit/Numerics/Packing.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

using namespace lowbit;

/// The format that the manifest writes as `#lowbit.int<4, group = 64, scale =
/// f16, offset = integer>`.
static std::optional<IntegerFormat> parseIntegers(const std::string &text) {
  IntegerFormat format;
  char group[8], scale[16], offset[16], rest;
  if (sscanf(text.c_str(),
             "#lowbit.int<%d, group = %7[a-z0-9], scale = %15[a-zA-Z0-9], "
             "offset = %15[a-z]>%c",
             &format.bits, group, scale, offset, &rest) != 4)
    return std::nullopt;
  std::string s = scale, o = offset;
  format.group = strcmp(group, "row") == 0 ? 0 : atoi(group);
  format.scale = s == "f16" ? ScaleType::F16 : ScaleType::E4M3;
  format.offset = o == "integer" ? Offset::Integer
                  : o == "half"  ? Offset::Half
                                 : Offset::Stored;
  if (whyInvalid(format) || (s != "f16" && s != "f8E4M3FN") ||
      (o != "integer" && o != "half" && o != "stored"))
    return std::nullopt;
  return format;
}

/// Rows that do not exist become what they must be: code, scale and zero point
/// 0.
static void eraseMissingRows(IntegerTile &tile) {
  auto erase = [&](auto &values, int64_t stride) {
    if (!values.empty())
      std::fill(values.begin() + tile.rows * stride, values.end(), 0);
  };
  erase(tile.codes, tile.columns);
  erase(tile.scaleBits, tile.groups);
  erase(tile.zeros, tile.groups);
}

Status lowbit::checkStoredValues(const ManifestTensor &tensor, Bytes bytes) {
  auto fail = [&](ExitCode code, const std::string &what) {
    return Error{code, "parameter " + quoted(tensor.name) + ": " + what};
  };
  if (bytes.size != static_cast<uint64_t>(tensor.bytes))
    return fail(ExitCode::Usage, "has " + std::to_string(tensor.bytes) +
                                     " bytes, not " +
                                     std::to_string(bytes.size));
  if (tensor.format.empty())
    return {};
  auto format = parseIntegers(tensor.format);
  auto geometry = format ? tileGeometry(*format, tensor.rows, tensor.columns)
                         : std::nullopt;
  if (!geometry || geometry->bytes != tensor.bytes)
    return fail(ExitCode::Unsupported, "values of format " +
                                           escaped(tensor.format) +
                                           " cannot be checked");
  float factor = 1;
  int64_t trailer = geometry->tiles * geometry->tileBytes;
  std::vector<uint8_t> again(
      std::max(geometry->tileBytes, geometry->trailerBytes));
  auto differs = [&](int64_t at, int64_t size) -> Status {
    auto [wrong, expected] =
        std::mismatch(bytes.data + at, bytes.data + at + size, again.begin());
    if (wrong == bytes.data + at + size)
      return {};
    return fail(ExitCode::BadInput,
                "byte " + std::to_string(wrong - bytes.data) +
                    " is padding, must be 0, is " + std::to_string(*wrong));
  };
  if (format->hasFactor()) {
    if (auto defect = readTrailer(bytes.data + trailer, factor))
      return fail(ExitCode::BadInput, describe(*defect));
    packTrailer(factor, again.data());
    if (auto error = differs(trailer, geometry->trailerBytes))
      return error;
  }
  IntegerTile tile;
  for (int64_t t = 0; t < geometry->tiles; ++t) {
    int64_t at = t * geometry->tileBytes;
    if (auto defect = unpackTile(
            *format, std::min(tileRows, tensor.rows - t * tileRows),
            tensor.columns, t * tileRows, factor, bytes.data + at, tile))
      return fail(ExitCode::BadInput, describe(*defect));
    eraseMissingRows(tile);
    packTile(tile, again.data());
    if (auto error = differs(at, geometry->tileBytes))
      return error;
  }
  return {};
}
