//===- TextIndex.cpp - From text to id --------------------------*- C++ -*-===//
//
// See TextIndex.h.
//
//===----------------------------------------------------------------------===//
#include "TextIndex.h"

#include <cstring>
#include <sys/random.h>

namespace lowbit {
namespace {

/// 64 bits that depend on all of a and b: the halves of their product.
uint64_t fold(uint64_t a, uint64_t b) {
  auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t loadPartial(const char *data, size_t bytes) {
  uint64_t value = 0;
  std::memcpy(&value, data, bytes);
  return value;
}

} // namespace

TextIndex::TextIndex() : seed(0x9E3779B97F4A7C15) {
  uint64_t random;
  // Without entropy the table still works, only its worst case is known.
  if (getentropy(&random, sizeof random) == 0)
    seed ^= random;
}

uint64_t TextIndex::hash(std::string_view text) const {
  uint64_t state = seed ^ text.size();
  while (text.size() > 8) {
    state = fold(state ^ loadPartial(text.data(), 8), 0xA0761D6478BD642F);
    text.remove_prefix(8);
  }
  return fold(state ^ loadPartial(text.data(), text.size()), seed | 1);
}

size_t TextIndex::slotOf(std::string_view text) const {
  size_t mask = slots.size() - 1;
  size_t i = hash(text) & mask;
  while (slots[i].id >= 0 && slots[i].text != text)
    i = (i + 1) & mask;
  return i;
}

void TextIndex::reserve(size_t wanted) {
  size_t capacity = 16;
  while (capacity / 2 < wanted)
    capacity *= 2;
  if (capacity <= slots.size())
    return;
  std::vector<Slot> old(capacity);
  old.swap(slots);
  for (const Slot &slot : old)
    if (slot.id >= 0)
      slots[slotOf(slot.text)] = slot;
}

bool TextIndex::insert(std::string_view text, int32_t id) {
  reserve(count + 1);
  Slot &slot = slots[slotOf(text)];
  if (slot.id >= 0)
    return false;
  slot = {text, id};
  ++count;
  return true;
}

int32_t TextIndex::find(std::string_view text) const {
  return slots.empty() ? -1 : slots[slotOf(text)].id;
}

} // namespace lowbit
