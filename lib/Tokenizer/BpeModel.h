//===- BpeModel.h - Byte pair encoding --------------------------*- C++ -*-===//
//
// A piece of text starts as one symbol for each character; then, again and
// again, the pair of neighbours whose merge comes first in the file's list (the
// leftmost of those) becomes one symbol, until no pair has a merge. With a heap
// of candidates that is O(n log n) for n characters, without recursion.
//
// A character without a token becomes, with `byteFallback`, the tokens
// `<0xHH>` of its bytes if all exist; else `unknown`, where neighbours that are
// unknown share one with `fuseUnknown`; without one it is dropped. So does the
// `tokenizers` package.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_BPEMODEL_H
#define LOWBIT_TOKENIZER_BPEMODEL_H

#include "TextIndex.h"

#include "lowbit/Checkpoint/JsonField.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

/// The `model` of a tokenizer.json, of type BPE. Move-only: its index looks
/// into its texts.
class BpeModel {
public:
  /// Reads `{"type": "BPE", "vocab": …, "merges": …, …}`. `addedTokens` is the
  /// number of tokens that the file gives outside the model: ids must be below
  /// the number of tokens in all. Errors: BadInput (such an id, or one given
  /// twice; a merge that is malformed, of unknown tokens, or there twice; an
  /// unknown token without id), Unsupported (another type, dropout, a subword
  /// prefix or suffix).
  static Result<BpeModel> parse(const JsonField &field, size_t addedTokens);

  /// Appends the ids of `piece` (valid UTF-8) to `ids`.
  void encode(std::string_view piece, std::vector<int32_t> &ids) const;

  /// The id of a token of the model's own vocabulary, or −1.
  int32_t find(std::string_view token) const { return index.find(token); }

  /// Texts and ids of the vocabulary, in the file's order. The ids may have
  /// gaps, which added tokens are to fill, but are not given twice.
  struct Token {
    std::string text;
    int32_t id;
  };
  const std::vector<Token> &tokens() const { return vocabulary; }

private:
  /// A merge of `right` with what stands left of it.
  struct Merge {
    int32_t right;
    uint32_t rank;
    int32_t result;
  };
  /// A symbol of the piece being merged; `id` −1 is one that was merged away.
  /// Neighbours are positions, −1 for none.
  struct Symbol {
    int32_t id;
    int32_t previous;
    int32_t next;
  };
  /// A merge as the file has it.
  struct FileMerge {
    int32_t left;
    Merge merge;
  };
  class Merging;

  Status readOptions(const JsonField &field);
  Status readVocabulary(const JsonField &field, size_t addedTokens);
  Status readUnknown(const JsonField &field);
  Status readMerges(const JsonField &field);
  Result<int32_t> tokenOfMerge(const JsonField &field,
                               std::string_view token) const;
  Status indexMerges(std::vector<FileMerge> &list, const JsonField &field);
  void indexCharacters();

  int32_t tokenOfCharacter(uint32_t c) const;
  const Merge *findMerge(int32_t left, int32_t right) const;
  std::vector<Symbol> split(std::string_view piece) const;
  bool appendBytes(std::string_view character,
                   std::vector<Symbol> &symbols) const;
  static void append(int32_t token, std::vector<Symbol> &symbols);

  std::vector<Token> vocabulary;
  TextIndex index;
  /// Merges of left token t: merges[firstMerge[t]] … merges[firstMerge[t+1]−1],
  /// ascending by their right token.
  std::vector<Merge> merges;
  std::vector<uint32_t> firstMerge;
  /// Tokens of one character, by the character; −1 for none. Characters from
  /// U+0400 on are looked up in `index`.
  std::array<int32_t, 0x400> characterTokens;
  /// Tokens `<0x00>` … `<0xFF>`, −1 for none.
  std::array<int32_t, 256> byteTokens;
  int32_t unknown = -1;
  bool byteFallback = false;
  bool fuseUnknown = false;
  bool ignoreMerges = false;
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_BPEMODEL_H
