//===- BpeModel.cpp - Byte pair encoding ------------------------*- C++ -*-===//
//
// See BpeModel.h; BpeModelFile.cpp reads the model.
//
//===----------------------------------------------------------------------===//
#include "BpeModel.h"
#include "Utf8.h"

#include <algorithm>

namespace lowbit {

int32_t BpeModel::tokenOfCharacter(uint32_t c) const {
  if (c < characterTokens.size())
    return characterTokens[c];
  std::string text;
  appendChar(text, c);
  return index.find(text);
}

const BpeModel::Merge *BpeModel::findMerge(int32_t left, int32_t right) const {
  auto begin = merges.begin() + firstMerge[static_cast<size_t>(left)];
  auto end = merges.begin() + firstMerge[static_cast<size_t>(left) + 1];
  auto it = std::lower_bound(
      begin, end, right,
      [](const Merge &merge, int32_t value) { return merge.right < value; });
  return it != end && it->right == right ? &*it : nullptr;
}

void BpeModel::append(int32_t token, std::vector<Symbol> &symbols) {
  symbols.push_back({token, static_cast<int32_t>(symbols.size()) - 1,
                     static_cast<int32_t>(symbols.size()) + 1});
}

/// Appends the byte tokens of a character, if it has all of them.
bool BpeModel::appendBytes(std::string_view character,
                           std::vector<Symbol> &symbols) const {
  for (char byte : character)
    if (byteTokens[static_cast<uint8_t>(byte)] < 0)
      return false;
  for (char byte : character)
    append(byteTokens[static_cast<uint8_t>(byte)], symbols);
  return true;
}

/// The symbols that a piece starts as. An unknown token waits until a known
/// character or the end comes (byte tokens overtake it): that is the order of
/// the `tokenizers` package.
std::vector<BpeModel::Symbol> BpeModel::split(std::string_view piece) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  bool waiting = false;
  for (size_t i = 0; i < piece.size();) {
    size_t begin = i;
    int32_t token = tokenOfCharacter(decodeChar(piece, i));
    if (token >= 0) {
      if (waiting)
        append(unknown, symbols);
      waiting = false;
      append(token, symbols);
      continue;
    }
    if (byteFallback && appendBytes(piece.substr(begin, i - begin), symbols))
      continue;
    if (unknown < 0)
      continue;
    if (waiting && !fuseUnknown)
      append(unknown, symbols);
    waiting = true;
  }
  if (waiting)
    append(unknown, symbols);
  if (!symbols.empty())
    symbols.back().next = -1;
  return symbols;
}

/// The merging of one piece.
class BpeModel::Merging {
public:
  Merging(const BpeModel &model, std::vector<Symbol> &symbols)
      : model(model), symbols(symbols) {}

  void run() {
    for (size_t i = 0; i + 1 < symbols.size(); ++i)
      if (std::optional<Candidate> c = candidateAt(static_cast<int32_t>(i)))
        heap.push_back(*c);
    std::make_heap(heap.begin(), heap.end(), later);
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), later);
      Candidate best = heap.back();
      heap.pop_back();
      if (isCurrent(best))
        apply(best);
    }
  }

private:
  /// That the symbol at `position` and its next may become `result`.
  struct Candidate {
    uint32_t rank;
    int32_t position;
    int32_t result;
  };

  static bool later(const Candidate &a, const Candidate &b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  }

  Symbol &at(int32_t position) {
    return symbols[static_cast<size_t>(position)];
  }

  std::optional<Candidate> candidateAt(int32_t position) {
    const Symbol &left = at(position);
    if (left.id < 0 || left.next < 0)
      return std::nullopt;
    const Merge *merge = model.findMerge(left.id, at(left.next).id);
    if (!merge)
      return std::nullopt;
    return Candidate{merge->rank, position, merge->result};
  }

  /// Whether the pair still exists. Another pair with the same result counts,
  /// as it does in the `tokenizers` package.
  bool isCurrent(const Candidate &candidate) {
    std::optional<Candidate> now = candidateAt(candidate.position);
    return now && now->result == candidate.result;
  }

  void apply(const Candidate &candidate) {
    Symbol &left = at(candidate.position);
    Symbol &right = at(left.next);
    left.id = candidate.result;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0)
      at(left.next).previous = candidate.position;
    if (left.previous >= 0)
      push(left.previous);
    push(candidate.position);
  }

  void push(int32_t position) {
    if (std::optional<Candidate> candidate = candidateAt(position)) {
      heap.push_back(*candidate);
      std::push_heap(heap.begin(), heap.end(), later);
    }
  }

  const BpeModel &model;
  std::vector<Symbol> &symbols;
  std::vector<Candidate> heap;
};

void BpeModel::encode(std::string_view piece, std::vector<int32_t> &ids) const {
  if (ignoreMerges)
    if (int32_t token = index.find(piece); token >= 0)
      return ids.push_back(token);
  std::vector<Symbol> symbols = split(piece);
  Merging(*this, symbols).run();
  for (const Symbol &symbol : symbols)
    if (symbol.id >= 0)
      ids.push_back(symbol.id);
}

} // namespace lowbit
