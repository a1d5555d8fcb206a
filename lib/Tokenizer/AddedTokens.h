//===- AddedTokens.h - Tokens found before all others -----------*- C++ -*-===//
//
// Added tokens are cut out of the text before it is normalized (those with
// `normalized` false), or right after (the others, in their normalized form).
// From the left, the longest wins; what it covers is not looked at again.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_ADDEDTOKENS_H
#define LOWBIT_TOKENIZER_ADDEDTOKENS_H

#include "lowbit/Checkpoint/JsonField.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// One entry of `added_tokens`.
struct AddedToken {
  int32_t id = 0;
  /// What the text must hold.
  std::string content;
  /// Neither side may touch a word character.
  bool singleWord = false;
  /// White space on that side belongs to the match.
  bool leftStrip = false;
  bool rightStrip = false;
  /// Searched in the normalized text.
  bool normalized = false;
  /// Ordinary text unless special tokens are parsed; may be left out of
  /// decoded text.
  bool special = false;
};

/// Longest content in bytes: bounds the work at one place of the text.
constexpr size_t maxAddedTokenBytes = 1024;

/// Reads `added_tokens` (absent: none). Errors: BadInput for an entry that is
/// malformed or empty, an id or a content that is there twice; Unsupported for
/// a content that is too long.
Result<std::vector<AddedToken>> parseAddedTokens(const JsonField &field);

/// A part of a text: the added token that covers it, or none (null).
struct AddedTokenMatch {
  size_t begin;
  size_t end;
  const AddedToken *token;
};

/// Finds some added tokens in texts. Immutable.
class AddedTokenFinder {
public:
  /// Searches for all of `tokens`, in any order. Contents are not empty and
  /// there once.
  explicit AddedTokenFinder(std::vector<AddedToken> tokens = {});

  bool isEmpty() const { return tokens.empty(); }

  /// Cuts `text` (valid UTF-8) into matches and what is between them. A match
  /// of a special token counts only with `parseSpecial`, but still covers its
  /// text. Parts are in order; with `rightStrip` two may overlap in white
  /// space, as in the `tokenizers` package.
  std::vector<AddedTokenMatch> split(std::string_view text,
                                     bool parseSpecial) const;

private:
  /// A node of the prefix tree. Edges of a node are nodes that follow each
  /// other, sorted by `byte`.
  struct Node {
    uint32_t firstChild = 0;
    uint16_t children = 0;
    uint8_t byte = 0;
    /// Position in `tokens`, −1 for none.
    int32_t token = -1;
  };
  void buildTree();
  const Node *child(const Node &node, uint8_t byte) const;
  const AddedToken *longestAt(std::string_view text, size_t offset) const;

  std::vector<AddedToken> tokens;
  std::vector<Node> nodes;
  /// Whether a content begins with that byte.
  std::array<bool, 256> begins{};
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_ADDEDTOKENS_H
