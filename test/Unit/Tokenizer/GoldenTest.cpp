//===- GoldenTest.cpp - Answers of the `tokenizers` package ---------------===//
//
// Golden/ is made by test/Tokenizer/make_golden.py. Files whose tokenizer lies
// outside the repository are skipped where it is not there, and counted.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Checkpoint/File.h"
#include "lowbit/Checkpoint/JsonField.h"
#include "lowbit/Tokenizer/Decoder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

using namespace lowbit;

namespace {

std::vector<int32_t> idsOf(const JsonValue &value) {
  std::vector<int32_t> ids;
  for (const JsonValue &id : value.asArray())
    ids.push_back(static_cast<int32_t>(id.asInt64().value_or(-1)));
  return ids;
}

JsonValue copyOf(const JsonValue &value) {
  return std::move(*parseJson(writeJson(value), "copy", tokenizerLimits));
}

/// A tokenizer.json whose vocabulary and merges are in PREFIX_vocab.json and
/// PREFIX_merges.txt; nothing where they are not there.
std::optional<std::string> assemble(const JsonValue &description,
                                    const std::string &prefix) {
  std::string path = LOWBIT_SOURCE_DIR "/" + prefix;
  if (!std::filesystem::exists(path + "_vocab.json"))
    return std::nullopt;
  auto bytes = readFile(path + "_vocab.json", tokenizerLimits.bytes);
  auto lines = readFile(path + "_merges.txt", tokenizerLimits.bytes);
  EXPECT_TRUE(bytes && lines) << path;
  auto vocabulary = parseJson(*bytes, path, tokenizerLimits);
  EXPECT_TRUE(vocabulary) << vocabulary.error().message;
  JsonValue merges = JsonValue::array();
  std::istringstream stream(*lines);
  for (std::string line; std::getline(stream, line);)
    if (!line.empty() && line.rfind("#version", 0) != 0)
      merges.push(line);
  JsonValue model = copyOf(*description.find("model"));
  model.set("vocab", std::move(*vocabulary));
  model.set("merges", std::move(merges));
  JsonValue whole = JsonValue::object();
  for (const JsonMember &member : description.asObject())
    whole.set(member.key,
              member.key == "model" ? std::move(model) : copyOf(member.value));
  return writeJson(whole);
}

/// The tokenizer of a golden file; nothing where it lies elsewhere and is not
/// there.
std::optional<Tokenizer> tokenizerOf(const JsonValue &golden) {
  std::string json;
  if (const JsonValue *prefix = golden.find("vocabulary")) {
    auto made = assemble(*golden.find("tokenizer"), prefix->asString());
    if (!made)
      return std::nullopt;
    json = std::move(*made);
  } else if (const JsonValue *file = golden.find("file")) {
    std::string path = LOWBIT_SOURCE_DIR "/" + file->asString();
    if (!std::filesystem::exists(path))
      return std::nullopt;
    Result<std::string> bytes = readFile(path, tokenizerLimits.bytes);
    EXPECT_TRUE(bytes) << bytes.error().message;
    json = bytes ? *bytes : "";
  } else {
    json = writeJson(*golden.find("tokenizer"));
  }
  Result<Tokenizer> tokenizer = Tokenizer::parse(json, "tokenizer.json");
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return tokenizer ? std::optional<Tokenizer>(*tokenizer) : std::nullopt;
}

void expectEncodes(const Tokenizer &tokenizer, const JsonArray &row) {
  const std::string &text = row[0].asString();
  auto ids = tokenizer.encode(text, row[1].asBool(), row[2].asBool());
  ASSERT_TRUE(ids) << ids.error().message;
  EXPECT_EQ(*ids, idsOf(row[3])) << text;
}

void expectDecodes(const Tokenizer &tokenizer, const JsonArray &row) {
  std::vector<int32_t> ids = idsOf(row[0]);
  Result<std::string> text = tokenizer.decode(ids, row[1].asBool());
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, row[2].asString());
  Decoder decoder(tokenizer, row[1].asBool());
  std::string stream;
  for (int32_t id : ids)
    stream += *decoder.push(id);
  EXPECT_EQ(stream + decoder.finish(), *text);
}

TEST(Golden, EqualsTheTokenizersPackage) {
  size_t files = 0, cases = 0, skipped = 0;
  for (const auto &entry : std::filesystem::directory_iterator(
           LOWBIT_SOURCE_DIR "/test/Unit/Tokenizer/Golden")) {
    std::string path = entry.path().string();
    SCOPED_TRACE(path);
    Result<std::string> bytes = readFile(path, tokenizerLimits.bytes);
    ASSERT_TRUE(bytes) << bytes.error().message;
    Result<JsonValue> golden = parseJson(*bytes, path, tokenizerLimits);
    ASSERT_TRUE(golden) << golden.error().message;
    const JsonArray &encode = golden->find("encode")->asArray();
    const JsonArray &decode = golden->find("decode")->asArray();
    std::optional<Tokenizer> tokenizer = tokenizerOf(*golden);
    if (!tokenizer) {
      skipped += encode.size() + decode.size();
      continue;
    }
    ++files;
    cases += encode.size() + decode.size();
    for (const JsonValue &row : encode)
      expectEncodes(*tokenizer, row.asArray());
    for (const JsonValue &row : decode)
      expectDecodes(*tokenizer, row.asArray());
  }
  std::printf(
      "%zu golden files, %zu cases compared, %zu skipped (no ../shared)\n",
      files, cases, skipped);
  EXPECT_GT(files, 33u);
}

} // namespace
