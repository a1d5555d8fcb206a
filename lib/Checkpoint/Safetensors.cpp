//===- Safetensors.cpp - The container of weights and artifacts -----------===//
#include "lowbit/Checkpoint/Safetensors.h"

#include <algorithm>
#include <cassert>
#include <numeric>

using namespace lowbit;

namespace {
struct DTypeFacts {
  std::string_view name;
  unsigned bits;
};
} // namespace

static const DTypeFacts &factsOf(DType dtype) {
  // In the order of the enum.
  static constexpr DTypeFacts facts[] = {
      {"BOOL", 8},    {"U8", 8},      {"I8", 8},          {"F8_E4M3", 8},
      {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
      {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U16", 16},
      {"I16", 16},    {"F16", 16},    {"BF16", 16},       {"U32", 32},
      {"I32", 32},    {"F32", 32},    {"U64", 64},        {"I64", 64},
      {"F64", 64},    {"C64", 64}};
  static_assert(std::size(facts) == static_cast<size_t>(DType::C64) + 1);
  return facts[static_cast<size_t>(dtype)];
}

std::string_view lowbit::dtypeName(DType dtype) { return factsOf(dtype).name; }
unsigned lowbit::dtypeBits(DType dtype) { return factsOf(dtype).bits; }

uint64_t TensorEntry::elements() const {
  uint64_t product = 1;
  for (uint64_t dimension : shape)
    product *= dimension; // Proved to fit when the entry was read.
  return product;
}

std::string TensorEntry::describe() const {
  return std::string(dtypeName(dtype)) + " " + describeShape(shape);
}

std::string lowbit::describeShape(const std::vector<uint64_t> &shape) {
  std::string text = "[";
  for (uint64_t dimension : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(dimension);
  return text + "]";
}

Result<Safetensors> Safetensors::open(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.error();
  return open(std::move(*file));
}

Result<Safetensors> Safetensors::open(MappedFile file) {
  Result<SafetensorsHeader> header =
      readSafetensorsHeader(file.bytes(), file.name());
  if (!header)
    return header.error();
  Safetensors result;
  result.mapped = std::move(file);
  result.header = std::move(*header);
  const std::vector<TensorEntry> &entries = result.header.entries;
  result.byName.resize(entries.size());
  std::iota(result.byName.begin(), result.byName.end(), 0);
  std::sort(result.byName.begin(), result.byName.end(),
            [&](uint32_t a, uint32_t b) {
              return entries[a].name < entries[b].name;
            });
  return result;
}

const TensorEntry *Safetensors::find(std::string_view name) const {
  auto place = std::lower_bound(byName.begin(), byName.end(), name,
                                [&](uint32_t i, std::string_view wanted) {
                                  return entries()[i].name < wanted;
                                });
  if (place == byName.end() || entries()[*place].name != name)
    return nullptr;
  return &entries()[*place];
}

Bytes Safetensors::bytes(const TensorEntry &entry) const {
  std::optional<Bytes> part =
      mapped.bytes().sub(fileOffset(entry), entry.byteSize());
  assert(part && "the entry is of another file");
  return *part;
}
