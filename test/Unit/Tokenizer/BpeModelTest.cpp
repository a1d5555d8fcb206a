//===- BpeModelTest.cpp ---------------------------------------------------===//
#include "BpeModel.h"
#include "TinyTokenizer.h"

#include <random>

using namespace lowbit;

namespace {

/// A model of letters a–d with random merges, and the slow definition of what
/// it does: again and again the first merge, leftmost.
struct RandomModel {
  explicit RandomModel(unsigned seed) : random(seed) {
    tokens = {"a", "b", "c", "d"};
    while (tokens.size() < 40) {
      std::string left = pick(), right = pick();
      bool known = false;
      for (auto &merge : merges)
        known |= merge == std::pair(left, right);
      if (known || left.size() + right.size() > 12)
        continue;
      merges.push_back({left, right});
      if (find(left + right) < 0)
        tokens.push_back(left + right);
    }
  }

  std::string pick() { return tokens[random() % tokens.size()]; }

  int32_t find(const std::string &text) const {
    for (size_t i = 0; i < tokens.size(); ++i)
      if (tokens[i] == text)
        return static_cast<int32_t>(i);
    return -1;
  }

  TinyTokenizer tiny() const {
    TinyTokenizer result;
    result.vocab = "{";
    for (size_t i = 0; i < tokens.size(); ++i)
      result.vocab +=
          (i ? ",\"" : "\"") + tokens[i] + "\":" + std::to_string(i);
    result.vocab += "}";
    result.merges = "[";
    for (size_t i = 0; i < merges.size(); ++i)
      result.merges += (i ? ",[\"" : "[\"") + merges[i].first + "\",\"" +
                       merges[i].second + "\"]";
    result.merges += "]";
    return result;
  }

  std::vector<std::string> slow(const std::string &text) const {
    std::vector<std::string> symbols;
    for (char c : text)
      symbols.emplace_back(1, c);
    for (bool merged = true; merged;) {
      merged = false;
      for (auto &merge : merges) {
        for (size_t i = 0; i + 1 < symbols.size() && !merged; ++i)
          if (symbols[i] == merge.first && symbols[i + 1] == merge.second) {
            symbols[i] += symbols[i + 1];
            symbols.erase(symbols.begin() + static_cast<long>(i) + 1);
            merged = true;
          }
        if (merged)
          break;
      }
    }
    return symbols;
  }

  std::mt19937 random;
  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, std::string>> merges;
};

/// Whether two merges have one result: then a queue entry can outlive its pair
/// (in the `tokenizers` package as well) and the slow definition is another.
bool isAmbiguous(const RandomModel &model) {
  return model.tokens.size() != model.merges.size() + 4;
}

TEST(BpeModel, EqualsTheSlowDefinition) {
  unsigned models = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    RandomModel model(seed);
    if (isAmbiguous(model))
      continue;
    ++models;
    Result<Tokenizer> tokenizer = model.tiny().parse();
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    for (int i = 0; i < 50; ++i) {
      std::string text;
      for (size_t n = model.random() % 40; n > 0; --n)
        text += static_cast<char>('a' + model.random() % 4);
      Ids expected;
      for (const std::string &token : model.slow(text))
        expected.push_back(model.find(token));
      auto ids = tokenizer->encode(text, false, false);
      ASSERT_TRUE(ids);
      ASSERT_EQ(*ids, expected) << text << ", seed " << seed;
    }
  }
  EXPECT_GT(models, 20u);
}

TEST(BpeModel, OneLongWordIsNotQuadratic) {
  RandomModel model(1);
  TinyTokenizer tiny = model.tiny();
  tiny.vocab.insert(tiny.vocab.size() - 1, ",\"aa\":40,\"aaaa\":41");
  tiny.merges.insert(1, R"(["a","a"],["aa","aa"],)");
  if (model.find("aa") >= 0 || model.find("aaaa") >= 0)
    GTEST_FAIL() << "the seed makes these tokens itself";
  // Quadratic time would be hours.
  std::string text(5000000, 'a');
  Ids ids = tiny.encode(text);
  EXPECT_EQ(ids, Ids(1250000, 41));
}

TEST(BpeModel, UnknownCharacters) {
  TinyTokenizer tiny;
  EXPECT_EQ(tiny.encode("a\u4F60b"), Ids{4}); // dropped, as `tokenizers` does
  tiny.vocab = R"({"a":0,"b":1,"?":2,"<0xE4>":3,"<0xBD>":4,"<0xA0>":5})";
  tiny.merges = "[]";
  tiny.options = R"("unk_token":"?","fuse_unk":false)";
  EXPECT_EQ(tiny.encode("a\u4F60\u4F60b"), (Ids{0, 2, 2, 1}));
  tiny.options = R"("unk_token":"?","fuse_unk":true)";
  EXPECT_EQ(tiny.encode("a\u4F60\u4F60b\u4F60"), (Ids{0, 2, 1, 2}));
  tiny.options = R"("unk_token":"?","byte_fallback":true)";
  EXPECT_EQ(tiny.encode("a\u4F60\u4F61"), (Ids{0, 3, 4, 5, 2}));
}

TEST(BpeModel, StrangeByteTokensAreOrdinary) {
  TinyTokenizer tiny;
  tiny.vocab = R"({"a":0,"<0x-1>":1,"<0xZZ>":2,"<0x100>":3,"<0x0>":4,"b":5})";
  tiny.merges = "[]";
  tiny.options = R"("byte_fallback":true,"unk_token":"b")";
  tiny.decoder = R"({"type":"ByteFallback"})";
  EXPECT_EQ(tiny.encode("a\x01"), (Ids{0, 5}));
  EXPECT_EQ(tiny.decode({1, 2, 3, 4}), "<0x-1><0xZZ><0x100><0x0>");
}

TEST(BpeModel, WholeWordsFirst) {
  TinyTokenizer tiny;
  tiny.vocab = R"({"a":0,"b":1,"ab":2})";
  tiny.merges = "[]";
  EXPECT_EQ(tiny.encode("ab"), (Ids{0, 1}));
  tiny.options = R"("ignore_merges":true)";
  EXPECT_EQ(tiny.encode("ab"), Ids{2});
  EXPECT_EQ(tiny.encode("aba"), (Ids{0, 1, 0}));
}

TEST(BpeModel, MalformedModelsAreRefused) {
  struct {
    const char *vocab, *merges, *options;
    ExitCode code;
    const char *part;
  } cases[] = {
      {R"({"a":0,"b":0})", "[]", nullptr, ExitCode::BadInput,
       "of another token"},
      {R"({"a":0,"a":1})", "[]", nullptr, ExitCode::BadInput, ""},
      {R"({"a":-1})", "[]", nullptr, ExitCode::BadInput, "has the id -1"},
      {R"({"a":0,"b":2000000000})", "[]", nullptr, ExitCode::BadInput,
       "integer below 2"},
      {R"({"a":0,"b":99999999999999999999})", "[]", nullptr, ExitCode::BadInput,
       ""},
      {R"({"a":0.5})", "[]", nullptr, ExitCode::BadInput, "integer below"},
      {R"({"a":"0"})", "[]", nullptr, ExitCode::BadInput, "integer below"},
      {R"({"a":1})", "[]", nullptr, ExitCode::BadInput, "integer below 1"},
      {R"({})", "[]", nullptr, ExitCode::BadInput, "is empty"},
      {R"([["a",0]])", "[]", nullptr, ExitCode::BadInput, "model.vocab"},
      {R"({"a":0})", R"(["a x"])", nullptr, ExitCode::BadInput,
       "merges[0]: is of \"x\""},
      {R"({"a":0})", R"(["a a"])", nullptr, ExitCode::BadInput, "is of \"aa\""},
      {R"({"a":0,"aa":1})", R"(["a a","a a"])", nullptr, ExitCode::BadInput,
       "twice"},
      {R"({"a":0})", R"(["a"])", nullptr, ExitCode::BadInput, "merges[0]"},
      {R"({"a":0})", R"(["a a a"])", nullptr, ExitCode::BadInput, "merges[0]"},
      {R"({"a":0,"":1})", R"([["","a"]])", nullptr, ExitCode::BadInput,
       "merges[0]"},
      {R"({"a":0})", R"([["a","a","a"]])", nullptr, ExitCode::BadInput,
       "merges[0]"},
      {R"({"a":0})", R"([[0,0]])", nullptr, ExitCode::BadInput, "merges[0]"},
      {R"({"a":0})", R"([7])", nullptr, ExitCode::BadInput, "merges[0]"},
      {R"({"a":0})", "{}", nullptr, ExitCode::BadInput, "model.merges"},
      {R"({"a":0})", "[]", R"("unk_token":"?")", ExitCode::BadInput,
       "unk_token"},
      {R"({"a":0})", "[]", R"("dropout":0.1)", ExitCode::Unsupported,
       "dropout"},
      {R"({"a":0})", "[]", R"("dropout":2)", ExitCode::BadInput, "dropout"},
      {R"({"a":0})", "[]", R"("end_of_word_suffix":"</w>")",
       ExitCode::Unsupported, "end_of_word_suffix"},
      {R"({"a":0})", "[]", R"("continuing_subword_prefix":"##")",
       ExitCode::Unsupported, "continuing_subword_prefix"},
      {R"({"a":0})", "[]", R"("fuse_unk":1)", ExitCode::BadInput, "fuse_unk"},
  };
  for (auto &c : cases) {
    TinyTokenizer tiny;
    tiny.vocab = c.vocab;
    tiny.merges = c.merges;
    if (c.options)
      tiny.options = c.options;
    SCOPED_TRACE(tiny.json());
    tiny.expectError(c.code, c.part);
  }
}

TEST(BpeModel, OldSpellingsAreTaken) {
  TinyTokenizer tiny;
  tiny.merges = R"(["#version: 0.2","a b","ab c"])";
  tiny.options = R"("dropout":0,"continuing_subword_prefix":"",
      "end_of_word_suffix":"","unk_token":null)";
  EXPECT_EQ(tiny.encode("abc"), Ids{5});
}

TEST(TextIndex, FindsWhatWasInserted) {
  TextIndex index;
  EXPECT_EQ(index.find("x"), -1);
  std::vector<std::string> texts;
  for (int i = 0; i < 20000; ++i)
    texts.push_back(std::string(static_cast<size_t>(i % 23), 'x') +
                    std::to_string(i));
  for (int i = 0; i < 20000; ++i)
    EXPECT_TRUE(index.insert(texts[static_cast<size_t>(i)], i));
  EXPECT_FALSE(index.insert(texts[7], 1));
  EXPECT_TRUE(index.insert("", 20000));
  EXPECT_EQ(index.size(), 20001u);
  for (int i = 0; i < 20000; ++i)
    EXPECT_EQ(index.find(texts[static_cast<size_t>(i)]), i);
  EXPECT_EQ(index.find(""), 20000);
  EXPECT_EQ(index.find("absent"), -1);
}

} // namespace
