//===- Tokenizer.cpp - Text to token ids and back ---------------*- C++ -*-===//
//
// See Tokenizer.h and Decoder.h.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Tokenizer/Tokenizer.h"
#include "TokenizerParts.h"
#include "Utf8.h"

#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Tokenizer/Decoder.h"

#include <algorithm>

namespace lowbit {
namespace {

/// Cuts out added tokens and normalizes the text between them.
Result<Pieces> extractAdded(const TokenizerParts &parts, std::string_view text,
                            bool parseSpecial) {
  Pieces pieces;
  pieces.text.reserve(text.size());
  for (const AddedTokenMatch &part : parts.plain.split(text, parseSpecial)) {
    if (part.token) {
      pieces.append({}, part.token->id, false);
      continue;
    }
    bool atStart = part.begin == 0;
    std::string_view raw = text.substr(part.begin, part.end - part.begin);
    std::string normal;
    if (!parts.normalizer.isEmpty()) {
      Result<std::string> form = parts.normalizer.apply(raw);
      if (!form)
        return form.error();
      normal = std::move(*form);
      raw = normal;
    }
    for (const AddedTokenMatch &inner :
         parts.normalized.split(raw, parseSpecial)) {
      if (inner.token)
        pieces.append({}, inner.token->id, false);
      else
        pieces.append(raw.substr(inner.begin, inner.end - inner.begin), -1,
                      atStart && inner.begin == 0);
    }
  }
  return pieces;
}

Error tooLong(std::string_view what, size_t size) {
  return badInput("text", "",
                  "has " + std::to_string(size) + " " + std::string(what) +
                      ", at most " + std::to_string(Tokenizer::maxTextBytes) +
                      " are allowed");
}

Error unknownId(int32_t id, size_t size) {
  return badInput("ids", "",
                  std::to_string(id) + " is not an id of the vocabulary of " +
                      std::to_string(size));
}

} // namespace

Tokenizer::Tokenizer(std::shared_ptr<const TokenizerParts> parts)
    : parts(std::move(parts)) {}

Result<Tokenizer> Tokenizer::parse(std::string_view json,
                                   std::string_view fileName) {
  Result<JsonValue> root = parseJson(json, fileName, tokenizerLimits);
  if (!root)
    return root.error();
  Result<TokenizerParts> parts =
      TokenizerParts::parse(JsonField(*root, fileName));
  if (!parts)
    return parts.error();
  return Tokenizer(std::make_shared<const TokenizerParts>(std::move(*parts)));
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                               bool addSpecial,
                                               bool parseSpecial) const {
  if (text.size() > maxTextBytes)
    return tooLong("bytes", text.size());
  if (std::optional<size_t> offset = findInvalidUtf8(text))
    return badInput("text", "",
                    "is not UTF-8 at byte " + std::to_string(*offset));
  Result<Pieces> pieces = extractAdded(*parts, text, parseSpecial);
  if (!pieces)
    return pieces.error();
  pieces = parts->preTokenizer.apply(std::move(*pieces));
  if (!pieces)
    return pieces.error();
  std::vector<int32_t> ids;
  if (addSpecial)
    ids = parts->around.before;
  for (const Piece &piece : pieces->list) {
    if (piece.id >= 0)
      ids.push_back(piece.id);
    else
      parts->model.encode(pieces->textOf(piece), ids);
  }
  if (addSpecial)
    ids.insert(ids.end(), parts->around.after.begin(),
               parts->around.after.end());
  if (ids.size() > maxTextBytes)
    return tooLong("tokens", ids.size());
  return ids;
}

Result<std::string> Tokenizer::decode(const std::vector<int32_t> &ids,
                                      bool skipSpecial) const {
  Decoder decoder(*this, skipSpecial);
  std::string text;
  for (int32_t id : ids) {
    Result<std::string> part = decoder.push(id);
    if (!part)
      return part.error();
    text += *part;
  }
  text += decoder.finish();
  return text;
}

int32_t Tokenizer::vocabularySize() const {
  return static_cast<int32_t>(parts->tokens.size());
}

std::optional<int32_t> Tokenizer::idOf(std::string_view token) const {
  int32_t id = parts->addedIds.find(token);
  if (id < 0)
    id = parts->model.find(token);
  return id < 0 ? std::nullopt : std::optional<int32_t>(id);
}

std::optional<std::string_view> Tokenizer::piece(int32_t id) const {
  if (id < 0 || id >= vocabularySize())
    return std::nullopt;
  return parts->tokens[static_cast<size_t>(id)].text;
}

bool Tokenizer::isSpecial(int32_t id) const {
  return id >= 0 && id < vocabularySize() &&
         parts->tokens[static_cast<size_t>(id)].special;
}

struct Decoder::State {
  std::shared_ptr<const TokenizerParts> parts;
  bool skipSpecial;
  TextStream stream;
};

Decoder::Decoder(const Tokenizer &tokenizer, bool skipSpecial)
    : state(new State{tokenizer.parts, skipSpecial,
                      TextStream(tokenizer.parts->decoder)}) {}
Decoder::Decoder(Decoder &&) = default;
Decoder &Decoder::operator=(Decoder &&) = default;
Decoder::~Decoder() = default;

Result<std::string> Decoder::push(int32_t id) {
  const std::vector<Token> &tokens = state->parts->tokens;
  if (id < 0 || static_cast<size_t>(id) >= tokens.size())
    return unknownId(id, tokens.size());
  const Token &token = tokens[static_cast<size_t>(id)];
  std::string text;
  if (!state->skipSpecial || !token.skipped)
    state->stream.push(token.decoded(), text);
  return text;
}

std::string Decoder::finish() {
  std::string text;
  state->stream.finish(text);
  return text;
}

Error missingTokenizer(std::string_view folder,
                       const std::vector<std::string> &names) {
  auto isOther = [](std::string_view name) {
    auto endsWith = [&](std::string_view end) {
      return name.size() >= end.size() &&
             name.substr(name.size() - end.size()) == end;
    };
    return endsWith(".model") || endsWith(".tiktoken") ||
           name == "vocab.json" || name == "merges.txt" || name == "vocab.txt";
  };
  auto other = std::find_if(names.begin(), names.end(), isOther);
  std::string path(folder);
  if (other == names.end())
    return badInput(path + "/tokenizer.json", "", "is missing");
  return unsupported(
      path, "",
      "has " + quoted(*other) +
          " but no tokenizer.json, the only kind that is supported; convert it "
          "with: python -c 'import sys; from transformers import "
          "AutoTokenizer; AutoTokenizer.from_pretrained(sys.argv[1])"
          ".save_pretrained(sys.argv[1])' FOLDER");
}

} // namespace lowbit
