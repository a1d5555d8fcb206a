//===- TextIndex.h - From text to id ----------------------------*- C++ -*-===//
//
// A table from text to id: open addressing with a hash that is seeded anew for
// each table, so that no file can choose texts that collide.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_TEXTINDEX_H
#define LOWBIT_TOKENIZER_TEXTINDEX_H

#include <cstdint>
#include <string_view>
#include <vector>

namespace lowbit {

/// Texts and the id of each; a text is there once.
class TextIndex {
public:
  TextIndex();

  /// Adds `text` unless it is there; returns whether it was added. `text` is
  /// not copied and must stay.
  bool insert(std::string_view text, int32_t id);
  /// The id of `text`, or −1.
  int32_t find(std::string_view text) const;
  /// Makes room for `count` texts in all.
  void reserve(size_t count);
  size_t size() const { return count; }

private:
  struct Slot {
    std::string_view text;
    int32_t id = -1;
  };
  uint64_t hash(std::string_view text) const;
  /// The slot that holds `text`, or the free one where it belongs.
  size_t slotOf(std::string_view text) const;

  uint64_t seed;
  size_t count = 0;
  std::vector<Slot> slots;
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_TEXTINDEX_H
