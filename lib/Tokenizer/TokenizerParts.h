//===- TokenizerParts.h - What a tokenizer is made of -----------*- C++ -*-===//
//
// The tables behind Tokenizer, and how they are read.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_TOKENIZERPARTS_H
#define LOWBIT_TOKENIZER_TOKENIZERPARTS_H

#include "AddedTokens.h"
#include "BpeModel.h"
#include "Normalizer.h"
#include "PreTokenizer.h"
#include "TextDecoder.h"

#include <string>
#include <vector>

namespace lowbit {

/// What the post-processor puts before and after a text.
struct TokenTemplate {
  std::vector<int32_t> before;
  std::vector<int32_t> after;
};

/// One id.
struct Token {
  /// As the file spells it.
  std::string text;
  /// For an added token that is `normalized` its normalized form where that is
  /// another text, else empty.
  std::string normalizedForm;
  bool special = false;
  /// Whether it is left out of decoded text that skips special tokens.
  bool skipped = false;

  /// What the decoder gets.
  std::string_view decoded() const {
    return normalizedForm.empty() ? text : normalizedForm;
  }
};

/// A tokenizer.json, read.
struct TokenizerParts {
  /// Reads all of it. Errors: as Tokenizer::parse.
  static Result<TokenizerParts> parse(const JsonField &root);

  BpeModel model;
  Normalizer normalizer;
  PreTokenizer preTokenizer;
  TextDecoder decoder;
  TokenTemplate around;
  /// By id, without gaps.
  std::vector<Token> tokens;
  /// From text to id, for added tokens.
  TextIndex addedIds;
  /// Searched before and after normalization.
  AddedTokenFinder plain;
  AddedTokenFinder normalized;

private:
  Status readStages(const JsonField &root, size_t addedTokens);
  Status fillTokens(const std::vector<AddedToken> &added,
                    const JsonField &field);
  Status addFinders(std::vector<AddedToken> added, const JsonField &field);
};

/// Reads `post_processor`: TemplateProcessing, ByteLevel (which changes no
/// ids), and Sequence of them; absent is none. `size` is the number of ids.
/// Errors: BadInput (unknown special tokens, ids out of range), Unsupported
/// (other types, a template without the text once, two templates).
Result<TokenTemplate> parseTemplate(const JsonField &field, size_t size);

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_TOKENIZERPARTS_H
