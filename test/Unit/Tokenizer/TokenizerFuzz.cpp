//===- TokenizerFuzz.cpp - libFuzzer target of the tokenizer --------------===//
//
// Built with -DLOWBIT_FUZZ=ON (Clang). The first byte says what the rest is: a
// tokenizer.json (then a few texts go through it and back) or a pattern with a
// text. Checked beside memory: what is decoded is UTF-8, and so is a stream,
// which equals the whole.
//
//   lowbit-tokenizer-fuzz -max_len=4096 CORPUS
//
//===----------------------------------------------------------------------===//
#include "Pattern.h"
#include "Utf8.h"

#include "lowbit/Tokenizer/Decoder.h"

#include <cstdlib>

using namespace lowbit;

namespace {

void require(bool condition) {
  if (!condition)
    std::abort();
}

void roundTrip(const Tokenizer &tokenizer, std::string_view text) {
  for (bool parseSpecial : {false, true}) {
    auto ids = tokenizer.encode(text, true, parseSpecial);
    if (!ids)
      continue;
    Result<std::string> whole = tokenizer.decode(*ids, parseSpecial);
    require(whole && !findInvalidUtf8(*whole));
    Decoder decoder(tokenizer, parseSpecial);
    std::string stream;
    for (int32_t id : *ids) {
      Result<std::string> part = decoder.push(id);
      require(part && !findInvalidUtf8(*part));
      stream += *part;
    }
    require(stream + decoder.finish() == *whole);
  }
}

void tryTokenizer(std::string_view json) {
  Result<Tokenizer> tokenizer = Tokenizer::parse(json, "tokenizer.json");
  if (!tokenizer)
    return;
  for (std::string_view text : {"", " a  b\n", "aaaaaaaab12 \u4F60\u0301<s>"})
    roundTrip(*tokenizer, text);
  if (!findInvalidUtf8(json))
    roundTrip(*tokenizer, json.substr(0, 200));
}

void tryPattern(std::string_view input) {
  size_t cut = input.find('\n');
  if (findInvalidUtf8(input) || cut == std::string_view::npos)
    return;
  JsonValue value("");
  Result<Pattern> pattern =
      Pattern::regex(input.substr(0, cut), JsonField(value, "tokenizer.json"));
  if (!pattern)
    return;
  std::string_view text = input.substr(cut + 1);
  Result<std::vector<Span>> spans = pattern->findAll(text);
  if (!spans)
    return;
  size_t done = 0;
  for (const Span &span : *spans) {
    require(span.begin >= done && span.end > span.begin);
    done = span.end;
    require(!findInvalidUtf8(text.substr(span.begin, span.end - span.begin)));
  }
  require(done <= text.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view input(reinterpret_cast<const char *>(data), size);
  if (input.empty())
    return 0;
  bool isPattern = input[0] == 'p';
  input.remove_prefix(1);
  isPattern ? tryPattern(input) : tryTokenizer(input);
  return 0;
}
