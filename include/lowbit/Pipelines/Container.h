//===- Container.h - Where everything lies in an output ---------*- C++ -*-===//
//
// The plan of a safetensors file of U8 tensors: sizes are known before a byte
// is written, so the header, every offset and the size of the file are, too.
//
//   Container container;
//   container.add("manifest", text, ' ');
//   size_t w = container.addRoom("weights.head", 4096);
//   container.finish({{"kind", "lowbit"}});
//   … container.offset(w), container.fileBytes() …
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_CONTAINER_H
#define LOWBIT_PIPELINES_CONTAINER_H

#include "lowbit/Checkpoint/Safetensors.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lowbit {

/// Tensors start and end at multiples of this many bytes.
constexpr uint64_t sectionAlignment = 64;

/// The layout of one file.
class Container {
public:
  /// A tensor whose bytes are known, padded with `padding` to 64 bytes.
  size_t add(const std::string &name, std::string bytes, char padding);
  /// A tensor that is filled later: `bytes` bytes, rounded up to 64 unless
  /// `exact` (only the last tensor may be).
  size_t addRoom(const std::string &name, uint64_t bytes, bool exact = false);

  /// Lays the tensors out in the order of the calls above. Exit 3 for names
  /// that a container does not take, exit 4 where the file is too large.
  Status
  finish(const std::vector<std::pair<std::string, std::string>> &metadata);

  /// Length word and header, as the file begins.
  const std::string &header() const { return headerText; }
  size_t size() const { return entries.size(); }
  /// Stored size of a tensor, known before `finish`.
  uint64_t roomBytes(size_t index) const { return entries[index].shape[0]; }
  const std::string &name(size_t index) const { return entries[index].name; }
  /// Offset in the file and stored size.
  uint64_t offset(size_t index) const {
    return headerText.size() + entries[index].begin;
  }
  uint64_t bytes(size_t index) const { return entries[index].byteSize(); }
  uint64_t fileBytes() const;

  /// Copies header and all tensors whose bytes are known to the mapped file.
  void write(uint8_t *file) const;

private:
  std::vector<TensorEntry> entries;
  std::vector<std::string> contents;
  std::string headerText;
};

} // namespace lowbit

#endif // LOWBIT_PIPELINES_CONTAINER_H
