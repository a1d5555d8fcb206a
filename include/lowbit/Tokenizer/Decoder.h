//===- Decoder.h - Ids to text, one at a time -------------------*- C++ -*-===//
//
// A stream of ids becomes a stream of text. What push() and finish() return,
// put together, equals Tokenizer::decode() of all ids, and every part is valid
// UTF-8: a character whose bytes come in several tokens is held back until it
// is complete. With byte fallback a whole run of byte tokens is held back,
// since its last byte decides whether the run is text or U+FFFD.
//
//   Decoder decoder(tokenizer, /*skipSpecial=*/true);
//   for (int32_t id : ids)
//     if (auto text = decoder.push(id))
//       print(*text);
//   print(decoder.finish());
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOKENIZER_DECODER_H
#define LOWBIT_TOKENIZER_DECODER_H

#include "lowbit/Tokenizer/Tokenizer.h"

namespace lowbit {

/// Decodes one sequence of ids; one object per sequence.
class Decoder {
public:
  /// Starts a sequence. With `skipSpecial` special tokens give no text. The
  /// tables of `tokenizer` are shared, so it need not outlive the decoder.
  Decoder(const Tokenizer &tokenizer, bool skipSpecial);
  Decoder(Decoder &&);
  Decoder &operator=(Decoder &&);
  ~Decoder();

  /// The text that `id` completes; may be empty. Error: BadInput for an id
  /// outside the vocabulary, after which the decoder is as before the call.
  Result<std::string> push(int32_t id);

  /// The text still held back (an incomplete character is one U+FFFD). The
  /// decoder then is as new.
  std::string finish();

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace lowbit

#endif // LOWBIT_TOKENIZER_DECODER_H
