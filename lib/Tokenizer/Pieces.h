//===- Pieces.h - A text while it is being cut ------------------*- C++ -*-===//
//
// Encoding cuts a text into pieces step by step: added tokens first, then what
// the pre-tokenizer says. Each step makes new pieces out of those that are
// still text.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_PIECES_H
#define LOWBIT_TOKENIZER_PIECES_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// A part of a text that is one token already, or text to be tokenized.
struct Piece {
  /// Bytes of `Pieces::text`.
  size_t begin;
  size_t end;
  /// The id of an added token, or −1.
  int32_t id;
  /// Whether it is text that begins where the prompt begins.
  bool atStart;
};

/// A text and the pieces that it is cut into, in order; none is empty text.
struct Pieces {
  std::string text;
  std::vector<Piece> list;

  std::string_view textOf(const Piece &piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }

  /// Appends a piece whose text is new.
  void append(std::string_view content, int32_t id, bool atStart) {
    if (content.empty() && id < 0)
      return;
    list.push_back({text.size(), text.size() + content.size(), id, atStart});
    text += content;
  }
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_PIECES_H
