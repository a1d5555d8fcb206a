//===- TokenizerAnswers.cpp - Answers questions about ids -------*- C++ -*-===//
//
//   lowbit-tokenizer-answers TOKENIZER_JSON < QUESTIONS > ANSWERS
//
// Each line is JSON, and so is its answer:
//
//   {"text": "Hi", "addSpecial": true, "parseSpecial": true}  ->  [1, 15043]
//   {"ids": [1, 15043], "skipSpecial": true}                  ->  "Hi"
//
// Text is decoded twice, whole and as a stream; where the two differ, where a
// part of the stream is not UTF-8, or on any failure, the answer is {"error":
// "…"}.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Checkpoint/File.h"
#include "lowbit/Checkpoint/JsonField.h"
#include "lowbit/Tokenizer/Decoder.h"

#include <cstdio>
#include <iostream>

using namespace lowbit;

namespace {

Result<JsonValue> encode(const Tokenizer &tokenizer, const JsonField &question,
                         std::string_view text) {
  Result<bool> addSpecial = question.get("addSpecial").booleanOr(false);
  if (!addSpecial)
    return addSpecial.error();
  Result<bool> parseSpecial = question.get("parseSpecial").booleanOr(true);
  if (!parseSpecial)
    return parseSpecial.error();
  auto ids = tokenizer.encode(text, *addSpecial, *parseSpecial);
  if (!ids)
    return ids.error();
  JsonValue answer = JsonValue::array();
  for (int32_t id : *ids)
    answer.push(id);
  return answer;
}

Result<std::string> decodeAsStream(const Tokenizer &tokenizer,
                                   const std::vector<int32_t> &ids,
                                   bool skipSpecial) {
  Decoder decoder(tokenizer, skipSpecial);
  std::string text;
  for (int32_t id : ids) {
    Result<std::string> part = decoder.push(id);
    if (!part)
      return part;
    std::string literal = "\"";
    for (char c : *part)
      literal += static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'
                     ? 'x'
                     : c;
    if (!parseJson(literal + "\"", "part", tokenizerLimits))
      return Error{ExitCode::Internal, "a part of the stream is not UTF-8"};
    text += *part;
  }
  return text + decoder.finish();
}

Result<JsonValue> decode(const Tokenizer &tokenizer,
                         const JsonField &question) {
  Result<const JsonArray *> array = question.get("ids").array();
  if (!array)
    return array.error();
  std::vector<int32_t> ids;
  for (const JsonValue &value : **array)
    ids.push_back(static_cast<int32_t>(value.asInt64().value_or(-1)));
  Result<bool> skip = question.get("skipSpecial").booleanOr(false);
  if (!skip)
    return skip.error();
  Result<std::string> whole = tokenizer.decode(ids, *skip);
  if (!whole)
    return whole.error();
  Result<std::string> stream = decodeAsStream(tokenizer, ids, *skip);
  if (!stream || *stream != *whole)
    return Error{ExitCode::Internal, "the stream differs from the whole"};
  return JsonValue(std::move(*whole));
}

Result<JsonValue> answer(const Tokenizer &tokenizer, const std::string &line) {
  Result<JsonValue> json = parseJson(line, "question", tokenizerLimits);
  if (!json)
    return json;
  JsonField question(*json, "question");
  JsonField text = question.get("text");
  if (text.isAbsent())
    return decode(tokenizer, question);
  Result<std::string_view> value = text.string();
  if (!value)
    return value.error();
  return encode(tokenizer, question, *value);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s TOKENIZER_JSON\n", argv[0]);
    return static_cast<int>(ExitCode::Usage);
  }
  Result<std::string> bytes = readFile(argv[1], tokenizerLimits.bytes);
  Result<Tokenizer> tokenizer =
      bytes ? Tokenizer::parse(*bytes, argv[1]) : bytes.error();
  if (!tokenizer) {
    std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
    return static_cast<int>(tokenizer.error().code);
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    Result<JsonValue> value = answer(*tokenizer, line);
    if (!value) {
      JsonValue failure = JsonValue::object();
      failure.set("error", value.error().message);
      value = std::move(failure);
    }
    std::cout << writeJson(*value) << '\n';
  }
  return 0;
}
