//===- Container.cpp - Where everything lies in an output -----------------===//

#include "lowbit/Pipelines/Container.h"
#include "lowbit/Checkpoint/Checked.h"

#include <cstring>

using namespace lowbit;

size_t Container::add(const std::string &name, std::string bytes,
                      char padding) {
  uint64_t rounded = *checkedRoundUp(bytes.size(), sectionAlignment);
  bytes.resize(rounded, padding);
  size_t index = addRoom(name, rounded);
  contents[index] = std::move(bytes);
  return index;
}

size_t Container::addRoom(const std::string &name, uint64_t bytes, bool exact) {
  TensorEntry entry;
  entry.name = name;
  entry.dtype = DType::U8;
  uint64_t rounded = checkedRoundUp(bytes, sectionAlignment).value_or(bytes);
  entry.shape = {exact ? bytes : rounded};
  entries.push_back(std::move(entry));
  contents.emplace_back();
  return entries.size() - 1;
}

Status Container::finish(
    const std::vector<std::pair<std::string, std::string>> &metadata) {
  uint64_t end = 0;
  for (TensorEntry &entry : entries) {
    std::optional<uint64_t> next = checkedAdd(end, entry.shape[0]);
    if (!next || *next > uint64_t(INT64_MAX))
      return Error{ExitCode::Unsupported,
                   entry.name + ": the output is larger than 2^63 bytes"};
    entry.begin = end;
    entry.end = end = *next;
  }
  Result<std::string> text =
      buildSafetensorsHeader(entries, metadata, sectionAlignment);
  if (!text)
    return text.error();
  headerText = std::move(*text);
  return std::nullopt;
}

uint64_t Container::fileBytes() const {
  return headerText.size() + (entries.empty() ? 0 : entries.back().end);
}

void Container::write(uint8_t *file) const {
  std::memcpy(file, headerText.data(), headerText.size());
  for (size_t i = 0; i < entries.size(); ++i)
    std::memcpy(file + offset(i), contents[i].data(), contents[i].size());
}
