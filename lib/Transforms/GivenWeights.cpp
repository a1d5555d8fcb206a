//===- GivenWeights.cpp - Codes and scales from a file --------------------===//

#include "GivenWeights.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cstring>

using namespace lowbit;

namespace {

/// The bytes of a tensor that must have this type and shape.
Result<Bytes> take(const Safetensors &file, const std::string &name,
                   DType dtype, const std::vector<uint64_t> &shape) {
  const std::string &path = file.file().name();
  std::string expected =
      std::string(dtypeName(dtype)) + " " + describeShape(shape);
  const TensorEntry *entry = file.find(name);
  if (!entry)
    return badInput(path, name, "is missing, must be " + expected);
  if (entry->dtype != dtype || entry->shape != shape)
    return badInput(path, name,
                    "is " + entry->describe() + ", must be " + expected);
  return file.bytes(*entry);
}

} // namespace

Result<GivenWeights> GivenWeights::open(const std::string &path,
                                        const IntegerFormat &format,
                                        const std::vector<WeightLeaf> &leaves,
                                        int64_t columns) {
  Result<MappedFile> mapped = MappedFile::open(path);
  if (!mapped)
    return mapped.error();
  Result<Safetensors> file = Safetensors::open(std::move(*mapped));
  if (!file)
    return file.error();
  if (format.hasFactor() && leaves.size() > 1)
    return unsupported(path, leaves[1].tensor,
                       "is stacked below another tensor, but each has a factor "
                       "of its own");
  GivenWeights given(std::move(*file));
  given.format = format;
  given.columns = columns;
  int64_t group = groupColumns(format, columns);
  given.groups = (columns + group - 1) / group;
  for (const WeightLeaf &leaf : leaves)
    if (Status status = given.addLeaf(leaf))
      return *status;
  return given;
}

Status GivenWeights::addLeaf(const WeightLeaf &leaf) {
  auto rows = static_cast<uint64_t>(leaf.rows);
  std::vector<uint64_t> byGroup = {rows, static_cast<uint64_t>(groups)};
  Result<Bytes> codes = ::take(file, leaf.tensor + ".codes", DType::U8,
                               {rows, static_cast<uint64_t>(columns)});
  if (!codes)
    return codes.error();
  Result<Bytes> scales = ::take(
      file, leaf.tensor + ".scales",
      format.scale == ScaleType::F16 ? DType::F16 : DType::F8_E4M3, byGroup);
  if (!scales)
    return scales.error();
  Bytes zeros;
  if (format.offset == Offset::Stored) {
    Result<Bytes> stored =
        ::take(file, leaf.tensor + ".zeros", DType::U8, byGroup);
    if (!stored)
      return stored.error();
    zeros = *stored;
  }
  if (format.hasFactor()) {
    Result<Bytes> factor =
        ::take(file, leaf.tensor + ".factor", DType::F32, {1});
    if (!factor)
      return factor.error();
    std::memcpy(&tensorFactor, factor->data, sizeof(float));
  }
  leaves.push_back({leaf.firstRow, leaf.rows, *codes, *scales, zeros});
  return std::nullopt;
}

std::optional<Defect> GivenWeights::take(int64_t first, int64_t count,
                                         IntegerTile &tile) const {
  std::vector<uint8_t> codes(count * columns), zeros;
  std::vector<uint16_t> scales(count * groups);
  if (format.offset == Offset::Stored)
    zeros.resize(count * groups);
  int64_t scaleSize = format.scaleSize();
  for (int64_t r = 0; r < count; ++r) {
    int64_t row = first + r;
    auto leaf = std::find_if(leaves.begin(), leaves.end(), [&](const Leaf &l) {
      return row < l.firstRow + l.rows;
    });
    row -= leaf->firstRow;
    std::memcpy(&codes[r * columns], leaf->codes.data + row * columns, columns);
    for (int64_t g = 0; g < groups; ++g)
      std::memcpy(&scales[r * groups + g],
                  leaf->scales.data + (row * groups + g) * scaleSize,
                  scaleSize);
    if (!zeros.empty())
      std::memcpy(&zeros[r * groups], leaf->zeros.data + row * groups, groups);
  }
  GivenTile given;
  given.codes = codes.data();
  given.scaleBits = scales.data();
  given.zeros = zeros.empty() ? nullptr : zeros.data();
  given.factor = tensorFactor;
  given.rows = count;
  given.columns = columns;
  given.firstRow = first;
  return takeGiven(format, given, tile);
}
