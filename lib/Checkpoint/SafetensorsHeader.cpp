//===- SafetensorsHeader.cpp - Reading and writing the header -------------===//
#include "lowbit/Checkpoint/Checked.h"
#include "lowbit/Checkpoint/ForeignFormat.h"
#include "lowbit/Checkpoint/JsonEvents.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Checkpoint/Safetensors.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <tuple>

using namespace lowbit;

namespace {

constexpr size_t maxRank = 8;

std::optional<DType> dtypeOf(std::string_view name) {
  for (unsigned i = 0; i <= static_cast<unsigned>(DType::C64); ++i)
    if (dtypeName(static_cast<DType>(i)) == name)
      return static_cast<DType>(i);
  return std::nullopt;
}

std::string knownDTypes() {
  std::string names;
  for (unsigned i = 0; i <= static_cast<unsigned>(DType::C64); ++i) {
    names += i == 0 ? "" : ", ";
    names += dtypeName(static_cast<DType>(i));
  }
  return names;
}

/// Whether a name has a control character (C0, DEL, or C1 as UTF-8).
bool hasControl(std::string_view name) {
  for (size_t i = 0; i < name.size(); ++i) {
    auto byte = static_cast<unsigned char>(name[i]);
    if (byte < 0x20 || byte == 0x7F)
      return true;
    if (byte == 0xC2 && i + 1 < name.size() &&
        static_cast<unsigned char>(name[i + 1]) < 0xA0)
      return true;
  }
  return false;
}

Status checkName(std::string_view name, std::string_view file) {
  if (name.empty())
    return badInput(file, "tensor \"\"", "has an empty name");
  if (name == "__metadata__")
    return badInput(file, name, "is no name for a tensor");
  if (name.size() > maxTensorName)
    return badInput(file, name,
                    "has a name of " + std::to_string(name.size()) +
                        " bytes, limit " + std::to_string(maxTensorName));
  if (hasControl(name))
    return badInput(file, name, "has a control character in its name");
  return {};
}

/// Builds entries from the header's events. The format has three levels, so the
/// place in it is one number.
class HeaderReader : public JsonEvents {
public:
  HeaderReader(std::string_view file, SafetensorsHeader &header)
      : file(file), header(header) {}

  Status beginObject() override {
    switch (place) {
    case Place::Start:
      place = Place::Top;
      return {};
    case Place::Metadata:
      place = Place::MetadataKeys;
      return {};
    case Place::Tensor:
      place = Place::TensorKeys;
      return {};
    default:
      return unexpected("an object");
    }
  }

  Status endObject() override {
    if (place == Place::TensorKeys)
      if (Status status = finishTensor())
        return status;
    place = Place::Top;
    return {};
  }

  Status key(std::string &text) override {
    if (place == Place::MetadataKeys) {
      header.metadata.emplace_back(std::move(text), std::string());
      place = Place::MetadataValue;
      return {};
    }
    if (place == Place::TensorKeys)
      return tensorKey(text);
    if (text == "__metadata__") {
      if (hasMetadata)
        return badInput(file, "__metadata__", "is there twice");
      hasMetadata = true;
      place = Place::Metadata;
      return {};
    }
    if (Status status = checkName(text, file))
      return status;
    header.entries.emplace_back();
    header.entries.back().name = std::move(text);
    seen = 0;
    place = Place::Tensor;
    return {};
  }

  Status string(std::string &text) override {
    if (place == Place::MetadataValue) {
      header.metadata.back().second = std::move(text);
      place = Place::MetadataKeys;
      return {};
    }
    if (place != Place::DTypeValue)
      return unexpected(quoted(text, 80));
    std::optional<DType> dtype = dtypeOf(text);
    if (!dtype)
      return unsupported(file, header.entries.back().name,
                         "has unsupported dtype " + quoted(text, 80) +
                             ", known are " + knownDTypes());
    header.entries.back().dtype = *dtype;
    place = Place::TensorKeys;
    return {};
  }

  Status beginArray() override {
    if (place == Place::ShapeValue)
      place = Place::ShapeNumbers;
    else if (place == Place::OffsetsValue)
      place = Place::OffsetsNumbers;
    else
      return unexpected("an array");
    return {};
  }

  Status endArray() override {
    if (place == Place::OffsetsNumbers && offsetCount != 2)
      return badInput(file, field("data_offsets"),
                      "has " + std::to_string(offsetCount) +
                          " numbers, must have 2");
    place = Place::TensorKeys;
    return {};
  }

  Status scalar(JsonValue value) override {
    bool isShape = place == Place::ShapeNumbers;
    if (!isShape && place != Place::OffsetsNumbers)
      return unexpected(writeJson(value));
    std::optional<uint64_t> number = value.asUint64();
    if (!number)
      return badInput(file, field(isShape ? "shape" : "data_offsets"),
                      "has " + writeJson(value) +
                          ", must be integers from 0 to 2^64 - 1");
    TensorEntry &entry = header.entries.back();
    if (isShape) {
      if (entry.shape.size() == maxRank)
        return badInput(file, field("shape"),
                        "has more than " + std::to_string(maxRank) +
                            " dimensions, which is the limit");
      entry.shape.push_back(*number);
      return {};
    }
    if (offsetCount == 2)
      return badInput(file, field("data_offsets"),
                      "has more than 2 numbers, must have 2");
    (offsetCount++ == 0 ? entry.begin : entry.end) = *number;
    return {};
  }

private:
  enum class Place {
    Start,
    Top,
    Metadata,
    MetadataKeys,
    MetadataValue,
    Tensor,
    TensorKeys,
    DTypeValue,
    ShapeValue,
    ShapeNumbers,
    OffsetsValue,
    OffsetsNumbers
  };

  std::string field(std::string_view key) const {
    return escaped(header.entries.back().name) + "." + std::string(key);
  }

  Status tensorKey(std::string_view text) {
    unsigned bit = text == "dtype"          ? 1
                   : text == "shape"        ? 2
                   : text == "data_offsets" ? 4
                                            : 0;
    if (bit == 0)
      return badInput(file, header.entries.back().name,
                      "has the unknown key " + quoted(text, 80) +
                          ", must be dtype, shape or data_offsets");
    if (seen & bit)
      return badInput(file, field(text), "is there twice");
    seen |= bit;
    offsetCount = bit == 4 ? 0 : offsetCount;
    place = bit == 1   ? Place::DTypeValue
            : bit == 2 ? Place::ShapeValue
                       : Place::OffsetsValue;
    return {};
  }

  Status finishTensor() {
    if (seen == 7)
      return {};
    const char *missing = !(seen & 1)   ? "dtype"
                          : !(seen & 2) ? "shape"
                                        : "data_offsets";
    return badInput(file, field(missing), "is missing");
  }

  Status unexpected(const std::string &what) const {
    switch (place) {
    case Place::Metadata:
      return badInput(file, "__metadata__",
                      "is " + what + ", must be an object of strings");
    case Place::MetadataValue:
      return badInput(file, "__metadata__." + header.metadata.back().first,
                      "is " + what + ", must be a string");
    case Place::Tensor:
      return badInput(file, header.entries.back().name,
                      "is " + what + ", must be an object");
    case Place::DTypeValue:
      return badInput(file, field("dtype"),
                      "is " + what + ", must be a string");
    case Place::ShapeValue:
    case Place::ShapeNumbers:
      return badInput(file, field("shape"),
                      "has " + what + ", must be an array of integers");
    case Place::OffsetsValue:
    case Place::OffsetsNumbers:
      return badInput(file, field("data_offsets"),
                      "has " + what + ", must be an array of 2 integers");
    default:
      return badInput(file, "header", "is " + what + ", must be an object");
    }
  }

  std::string_view file;
  SafetensorsHeader &header;
  Place place = Place::Start;
  bool hasMetadata = false;
  /// Keys of the current tensor: 1 dtype, 2 shape, 4 data_offsets.
  unsigned seen = 0;
  unsigned offsetCount = 0;
};

/// Bytes that dtype and shape ask for.
Result<uint64_t> bytesWanted(const TensorEntry &entry, std::string_view file) {
  std::optional<uint64_t> bits = 1;
  for (uint64_t dimension : entry.shape)
    bits = bits ? checkedMul(*bits, dimension) : bits;
  bits = bits ? checkedMul(*bits, dtypeBits(entry.dtype)) : bits;
  if (!bits)
    return badInput(file, entry.name,
                    "has shape " + describeShape(entry.shape) +
                        ", whose size overflows 64 bits");
  if (*bits % 8 != 0)
    return badInput(file, entry.name,
                    "is " + entry.describe() + ", whose " +
                        std::to_string(*bits) + " bits are not whole bytes");
  return *bits / 8;
}

Status checkEntry(const TensorEntry &entry, uint64_t dataSize,
                  std::string_view file) {
  std::string range = "has data_offsets [" + std::to_string(entry.begin) +
                      ", " + std::to_string(entry.end) + "]";
  if (entry.begin > entry.end)
    return badInput(file, entry.name,
                    range + ", whose end is before its begin");
  if (entry.end > dataSize)
    return badInput(file, entry.name,
                    range + ", but the file has only " +
                        std::to_string(dataSize) + " bytes of data");
  Result<uint64_t> wanted = bytesWanted(entry, file);
  if (!wanted)
    return wanted.error();
  if (*wanted != entry.byteSize())
    return badInput(file, entry.name,
                    range + ", which are " + std::to_string(entry.byteSize()) +
                        " bytes, but " + entry.describe() + " needs " +
                        std::to_string(*wanted));
  return {};
}

/// Sorts the entries by their bytes and proves that these follow each other
/// without gap or overlap from the header to the end of the file.
Status checkCover(std::vector<TensorEntry> &entries, uint64_t dataSize,
                  std::string_view file) {
  std::sort(entries.begin(), entries.end(),
            [](const TensorEntry &a, const TensorEntry &b) {
              return std::tie(a.begin, a.end, a.name) <
                     std::tie(b.begin, b.end, b.name);
            });
  uint64_t covered = 0;
  for (const TensorEntry &entry : entries) {
    if (entry.begin < covered)
      return badInput(file, entry.name,
                      "begins at " + std::to_string(entry.begin) +
                          " and overlaps the tensor before it, which ends at " +
                          std::to_string(covered));
    if (entry.begin > covered)
      return badInput(file, entry.name,
                      "begins at " + std::to_string(entry.begin) +
                          ", which leaves a hole after " +
                          std::to_string(covered));
    covered = entry.end;
  }
  if (covered != dataSize)
    return badInput(file, {},
                    "has " + std::to_string(dataSize - covered) +
                        " bytes after the last tensor");
  return {};
}

/// Names (of tensors or of metadata) must differ.
template <typename GetName>
Status checkDistinct(size_t count, GetName getName, std::string_view prefix,
                     std::string_view file) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return getName(a) < getName(b); });
  auto twice = std::adjacent_find(
      order.begin(), order.end(),
      [&](uint32_t a, uint32_t b) { return getName(a) == getName(b); });
  if (twice == order.end())
    return {};
  return badInput(file, std::string(prefix) + getName(*twice),
                  "is there twice");
}

Status
checkNames(const std::vector<TensorEntry> &entries,
           const std::vector<std::pair<std::string, std::string>> &metadata,
           std::string_view file) {
  auto tensorName = [&](size_t i) -> const std::string & {
    return entries[i].name;
  };
  auto metadataKey = [&](size_t i) -> const std::string & {
    return metadata[i].first;
  };
  if (Status status = checkDistinct(entries.size(), tensorName, "", file))
    return status;
  return checkDistinct(metadata.size(), metadataKey, "__metadata__.", file);
}

uint64_t littleEndian(const uint8_t *bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | bytes[i];
  return value;
}

/// The header's text, without the spaces that pad it.
Result<std::string_view> headerText(Bytes file, std::string_view fileName) {
  std::string hint(foreignFormatHint(file));
  if (file.size < 8)
    return badInput(fileName, {},
                    "is " + std::to_string(file.size) +
                        " bytes, shorter than the 8-byte header length" + hint);
  uint64_t length = littleEndian(file.data);
  uint64_t available = file.size - 8;
  if (hint.empty() && length > available &&
      __builtin_bswap64(length) <= available)
    hint = " (wrong endianness?)";
  std::string what = "is " + std::to_string(length);
  if (length > available)
    return badInput(fileName, "header length",
                    what + ", but only " + std::to_string(available) +
                        " bytes follow" + hint);
  if (length > maxSafetensorsHeader)
    return badInput(fileName, "header length",
                    what + ", limit " + std::to_string(maxSafetensorsHeader) +
                        hint);
  std::string_view text = file.sub(8, length)->text();
  if (text.empty() || text.front() != '{')
    return badInput(fileName, "header", "does not start with {" + hint);
  while (text.back() == ' ')
    text.remove_suffix(1);
  if (text.back() != '}')
    return badInput(fileName, "header",
                    "has bytes other than spaces after its last }");
  return text;
}

} // namespace

Result<SafetensorsHeader>
lowbit::readSafetensorsHeader(Bytes file, std::string_view fileName) {
  Result<std::string_view> text = headerText(file, fileName);
  if (!text)
    return text.error();
  SafetensorsHeader header;
  HeaderReader reader(fileName, header);
  JsonLimits limits{maxSafetensorsHeader, /*depth=*/4,
                    /*values=*/maxSafetensorsHeader};
  if (Status status = parseJsonEvents(*text, fileName, limits, reader))
    return std::move(*status);
  header.dataStart = 8 + littleEndian(file.data);
  uint64_t dataSize = file.size - header.dataStart;

  std::vector<TensorEntry> &entries = header.entries;
  if (Status status = checkNames(entries, header.metadata, fileName))
    return std::move(*status);
  for (const TensorEntry &entry : entries)
    if (Status status = checkEntry(entry, dataSize, fileName))
      return std::move(*status);
  if (Status status = checkCover(entries, dataSize, fileName))
    return std::move(*status);
  return header;
}

namespace {

void appendEntry(std::string &text, const TensorEntry &entry) {
  appendJsonString(text, entry.name);
  text += ":{\"dtype\":\"";
  text += dtypeName(entry.dtype);
  text += "\",\"shape\":[";
  for (size_t i = 0; i < entry.shape.size(); ++i)
    text += (i ? "," : "") + std::to_string(entry.shape[i]);
  text += "],\"data_offsets\":[" + std::to_string(entry.begin) + "," +
          std::to_string(entry.end) + "]}";
}

std::string
headerJson(const std::vector<TensorEntry> &entries,
           const std::vector<std::pair<std::string, std::string>> &metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":";
    char separator = '{';
    for (const auto &[key, value] : metadata) {
      text += separator;
      appendJsonString(text, key);
      text += ':';
      appendJsonString(text, value);
      separator = ',';
    }
    text += '}';
  }
  for (const TensorEntry &entry : entries) {
    text += text.size() > 1 ? "," : "";
    appendEntry(text, entry);
  }
  return text + '}';
}

} // namespace

Result<std::string> lowbit::buildSafetensorsHeader(
    const std::vector<TensorEntry> &entries,
    const std::vector<std::pair<std::string, std::string>> &metadata,
    uint64_t alignment) {
  assert(alignment > 0 && "alignment is in bytes");
  std::string_view file = "safetensors output";
  uint64_t covered = 0;
  for (const TensorEntry &entry : entries) {
    if (Status status = checkName(entry.name, file))
      return std::move(*status);
    if (entry.shape.size() > maxRank)
      return badInput(file, entry.name, "has more than 8 dimensions");
    if (entry.begin != covered)
      return badInput(file, entry.name,
                      "begins at " + std::to_string(entry.begin) +
                          ", must follow the tensor before it at " +
                          std::to_string(covered));
    if (Status status = checkEntry(entry, entry.end, file))
      return std::move(*status);
    covered = entry.end;
  }
  if (Status status = checkNames(entries, metadata, file))
    return std::move(*status);

  std::string text = headerJson(entries, metadata);
  std::optional<uint64_t> total = checkedRoundUp(8 + text.size(), alignment);
  if (!total || *total - 8 > maxSafetensorsHeader)
    return badInput(file, "header length",
                    "is " + std::to_string(text.size()) + ", limit " +
                        std::to_string(maxSafetensorsHeader));
  text.resize(static_cast<size_t>(*total - 8), ' ');
  std::string whole;
  for (int i = 0; i < 8; ++i)
    whole += static_cast<char>(text.size() >> (8 * i));
  return whole + text;
}
