//===- Tokenizer.h - Text to token ids and back -----------------*- C++ -*-===//
//
// Reads a Hugging Face tokenizer.json and gives the ids that the `tokenizers`
// package gives, and the text back. Two kinds of byte pair encoding are known:
// byte-level (GPT-2, GPT-NeoX, Llama 3, Qwen) and SentencePiece-style with byte
// fallback (Llama 2, TinyLlama, Mistral).
//
//   auto tokenizer = Tokenizer::parse(bytes, "tokenizer.json");
//   if (!tokenizer)
//     return tokenizer.error();
//   auto ids = tokenizer->encode("Hello", /*addSpecial=*/true,
//                                /*parseSpecial=*/false);
//   auto text = tokenizer->decode(*ids, /*skipSpecial=*/true);
//
// What a tokenizer.json may hold and is not known (another model, normalizer,
// pre-tokenizer, post-processor, decoder or a pattern outside the subset of
// Pattern.h) is ExitCode::Unsupported and named; nothing is skipped. A file
// that contradicts itself (ids twice, gaps, merges of unknown tokens) is
// ExitCode::BadInput. `truncation` and `padding` are ignored, as transformers
// resets both on every call.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_TOKENIZER_H
#define LOWBIT_TOKENIZER_TOKENIZER_H

#include "lowbit/Checkpoint/Error.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit {

struct TokenizerParts;

/// A tokenizer made from one tokenizer.json. Immutable: any number of threads
/// may use one at once. Copies share their tables.
class Tokenizer {
public:
  /// Largest text, in bytes, at every step from the prompt to the last
  /// normalized form, and the largest number of ids (ids are counted in int32).
  static constexpr size_t maxTextBytes = INT32_MAX;

  /// Builds a tokenizer from the bytes of a tokenizer.json. `fileName` is only
  /// used in errors. Errors: BadInput (not JSON, a field of the wrong type, ids
  /// that are duplicated, negative or have gaps, merges of unknown tokens),
  /// Unsupported (a part that is not known; the message names it).
  static Result<Tokenizer> parse(std::string_view json,
                                 std::string_view fileName);

  /// The ids of `text`. With `addSpecial` the post-processor's template is
  /// applied (usually: a beginning-of-sequence id first). With `parseSpecial`
  /// the text of a special token (`<|im_end|>`) becomes its id; without it, it
  /// is ordinary text, so that a prompt cannot forge a special token. Added
  /// tokens that are not special are always matched. Errors: BadInput when the
  /// text is not valid UTF-8 (the message gives the byte), is longer than
  /// maxTextBytes, or exceeds the match limit of a pattern of the file.
  Result<std::vector<int32_t>> encode(std::string_view text, bool addSpecial,
                                      bool parseSpecial) const;

  /// The text of `ids`; always valid UTF-8. Byte-level: one U+FFFD for each
  /// maximal invalid part. Byte fallback: a run of byte tokens that is not
  /// valid as a whole gives one U+FFFD for each of its bytes. With
  /// `skipSpecial` special tokens give nothing. Error: BadInput for an id
  /// outside [0, vocabularySize()).
  Result<std::string> decode(const std::vector<int32_t> &ids,
                             bool skipSpecial) const;

  /// Number of ids; they are 0 … vocabularySize() − 1 without gaps.
  int32_t vocabularySize() const;

  /// The id of a token's text as the file spells it (`<s>`, `Ġthe`), if any.
  std::optional<int32_t> idOf(std::string_view token) const;

  /// A token's text as the file spells it; nothing for an id out of range.
  std::optional<std::string_view> piece(int32_t id) const;

  /// Whether `id` is an added token marked special.
  bool isSpecial(int32_t id) const;

private:
  friend class Decoder;
  explicit Tokenizer(std::shared_ptr<const TokenizerParts> parts);
  std::shared_ptr<const TokenizerParts> parts;
};

/// The error for a model folder without tokenizer.json. `names` are the files
/// that the folder has: when one of them is a tokenizer of another kind
/// (`tokenizer.model`, tiktoken, vocab.json) the error is Unsupported and gives
/// the command that converts it, otherwise it is BadInput.
Error missingTokenizer(std::string_view folder,
                       const std::vector<std::string> &names);

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_TOKENIZER_H
