//===- TinyTokenizer.h - A tokenizer to take apart in tests -----*- C++ -*-===//
//
// A tokenizer.json of a few lines whose parts a test replaces.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TEST_TINYTOKENIZER_H
#define LOWBIT_TEST_TINYTOKENIZER_H

#include "lowbit/Tokenizer/Decoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lowbit {

/// The parts of a tokenizer.json as JSON text. Characters a, b, c and a space,
/// merges ab and abc.
struct TinyTokenizer {
  std::string added = "[]";
  std::string normalizer = "null";
  std::string preTokenizer = "null";
  std::string postProcessor = "null";
  std::string decoder = R"({"type":"Fuse"})";
  std::string options = R"("unk_token":null)";
  std::string vocab = R"({"a":0,"b":1,"c":2," ":3,"ab":4,"abc":5})";
  std::string merges = R"(["a b","ab c"])";
  std::string version = "1.0";

  std::string json() const {
    return R"({"version":")" + version + R"(","added_tokens":)" + added +
           R"(,"normalizer":)" + normalizer + R"(,"pre_tokenizer":)" +
           preTokenizer + R"(,"post_processor":)" + postProcessor +
           R"(,"decoder":)" + decoder + R"(,"model":{"type":"BPE",)" + options +
           R"(,"vocab":)" + vocab + R"(,"merges":)" + merges + "}}";
  }

  Result<Tokenizer> parse() const {
    return Tokenizer::parse(json(), "tokenizer.json");
  }

  /// The ids of a text, special tokens parsed; fails the test on errors.
  std::vector<int32_t> encode(std::string_view text,
                              bool addSpecial = false) const {
    Result<Tokenizer> tokenizer = parse();
    EXPECT_TRUE(tokenizer) << tokenizer.error().message;
    if (!tokenizer)
      return {};
    auto ids = tokenizer->encode(text, addSpecial, true);
    EXPECT_TRUE(ids) << ids.error().message;
    return ids ? *ids : std::vector<int32_t>{};
  }

  /// The text of ids; fails the test on errors.
  std::string decode(const std::vector<int32_t> &ids) const {
    Result<Tokenizer> tokenizer = parse();
    EXPECT_TRUE(tokenizer) << tokenizer.error().message;
    if (!tokenizer)
      return {};
    auto text = tokenizer->decode(ids, false);
    EXPECT_TRUE(text) << text.error().message;
    return text ? *text : std::string();
  }

  /// Expects that parsing fails with `code` and a message that names the file
  /// and holds `part`.
  void expectError(ExitCode code, std::string_view part) const {
    Result<Tokenizer> tokenizer = parse();
    ASSERT_FALSE(tokenizer) << "no error about " << part;
    EXPECT_EQ(tokenizer.error().code, code) << tokenizer.error().message;
    EXPECT_NE(tokenizer.error().message.find(part), std::string::npos)
        << tokenizer.error().message;
    EXPECT_EQ(tokenizer.error().message.rfind("tokenizer.json: ", 0), 0u)
        << tokenizer.error().message;
  }
};

/// An entry of `added_tokens`; `flags` names those that are true.
inline std::string addedToken(int id, const std::string &content,
                              const std::string &flags) {
  auto flag = [&](const char *name) {
    bool set = flags.find(name) != std::string::npos;
    return ",\"" + std::string(name) + "\":" + (set ? "true" : "false");
  };
  return R"({"id":)" + std::to_string(id) + R"(,"content":")" + content + '"' +
         flag("single_word") + flag("lstrip") + flag("rstrip") +
         flag("normalized") + flag("special") + "}";
}

using Ids = std::vector<int32_t>;

} // namespace lowbit

#endif // LOWBIT_TEST_TINYTOKENIZER_H
