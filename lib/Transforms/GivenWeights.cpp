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

DType dtypeOf(GivenType type) {
  switch (type) {
  case GivenType::U8:
    return DType::U8;
  case GivenType::I8:
    return DType::I8;
  case GivenType::F16:
    return DType::F16;
  case GivenType::E4M3:
    return DType::F8_E4M3;
  case GivenType::F32:
    return DType::F32;
  }
  return DType::U8;
}

} // namespace

Result<GivenWeights> GivenWeights::open(const std::string &path,
                                        FormatPtr format,
                                        const std::vector<WeightLeaf> &leaves,
                                        int64_t columns) {
  Result<Safetensors> file = Safetensors::open(path);
  if (!file)
    return file.error();
  if (format->hasTensorFacts() && leaves.size() > 1)
    return unsupported(path, leaves[1].tensor,
                       "is stacked below another tensor, but each has a factor "
                       "of its own");
  GivenWeights given(std::move(*file));
  given.tensors = format->givenTensors(columns);
  given.format = std::move(format);
  for (const WeightLeaf &leaf : leaves)
    if (Status status = given.addLeaf(leaf))
      return *status;
  return given;
}

Status GivenWeights::addLeaf(const WeightLeaf &leaf) {
  Leaf found{leaf.firstRow, leaf.rows, {}};
  std::vector<const uint8_t *> pointers;
  for (const GivenTensor &tensor : tensors) {
    std::vector<uint64_t> shape = {1};
    if (tensor.columns)
      shape = {static_cast<uint64_t>(leaf.rows),
               static_cast<uint64_t>(tensor.columns)};
    Result<Bytes> bytes =
        ::take(file, leaf.tensor + tensor.suffix, dtypeOf(tensor.type), shape);
    if (!bytes)
      return bytes.error();
    found.parts.push_back(*bytes);
    pointers.push_back(bytes->data);
  }
  if (std::optional<Defect> defect = format->givenFacts(pointers, tensorFacts))
    return badInput(file.file().name(), leaf.tensor, describe(*defect));
  leaves.push_back(std::move(found));
  return std::nullopt;
}

std::optional<Defect> GivenWeights::encode(const TileInput &input,
                                           const float *importance,
                                           uint8_t *bytes,
                                           ErrorSums &sums) const {
  // Rows of a tile may come from several leaves: they are brought together.
  std::vector<std::vector<uint8_t>> rows(tensors.size());
  std::vector<const uint8_t *> parts;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].columns == 0) {
      parts.push_back(leaves.front().parts[i].data);
      continue;
    }
    int64_t rowBytes = tensors[i].columns * tensors[i].elementBytes();
    rows[i].resize(input.rows * rowBytes);
    for (int64_t r = 0; r < input.rows; ++r) {
      int64_t row = input.firstRow + r;
      auto leaf =
          std::find_if(leaves.begin(), leaves.end(), [&](const Leaf &l) {
            return row < l.firstRow + l.rows;
          });
      std::memcpy(&rows[i][r * rowBytes],
                  leaf->parts[i].data + (row - leaf->firstRow) * rowBytes,
                  rowBytes);
    }
    parts.push_back(rows[i].data());
  }
  return format->encodeGiven(parts, input, importance, bytes, sums);
}
