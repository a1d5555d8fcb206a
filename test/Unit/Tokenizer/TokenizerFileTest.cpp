//===- TokenizerFileTest.cpp - The file as a whole ------------------------===//
#include "TinyTokenizer.h"

using namespace lowbit;

namespace {

TEST(TokenizerFile, NotJsonIsRefused) {
  for (std::string_view text : {"", "[", "\xEF\xBB\xBF{}", "{} x", "[]", "7",
                                "{\"a\":1,\"a\":2}", "{\"\xFF\":1}"}) {
    Result<Tokenizer> tokenizer = Tokenizer::parse(text, "t.json");
    ASSERT_FALSE(tokenizer) << text;
    EXPECT_EQ(tokenizer.error().code, ExitCode::BadInput);
    EXPECT_EQ(tokenizer.error().message.rfind("t.json", 0), 0u)
        << tokenizer.error().message;
  }
}

TEST(TokenizerFile, DeepNestingIsRefused) {
  TinyTokenizer tiny;
  std::string open, close;
  for (int i = 0; i < 5000; ++i) {
    open += R"({"type":"Sequence","normalizers":[)";
    close += "]}";
  }
  tiny.normalizer = open + close;
  tiny.expectError(ExitCode::BadInput, "");
}

TEST(TokenizerFile, EveryTruncationIsRefused) {
  TinyTokenizer tiny;
  tiny.added = "[" + addedToken(6, "<s>", "special") + "]";
  std::string json = tiny.json();
  ASSERT_TRUE(tiny.parse());
  for (size_t length = 0; length < json.size(); ++length)
    EXPECT_FALSE(Tokenizer::parse(json.substr(0, length), "t.json"));
}

TEST(TokenizerFile, OtherModelsAreRefused) {
  for (const char *type : {"Unigram", "WordPiece", "WordLevel"}) {
    Result<Tokenizer> tokenizer = Tokenizer::parse(
        R"({"version":"1.0","model":{"type":")" + std::string(type) + R"("}})",
        "tokenizer.json");
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(tokenizer.error().code, ExitCode::Unsupported);
    EXPECT_NE(tokenizer.error().message.find(type), std::string::npos);
  }
  EXPECT_EQ(Tokenizer::parse("{}", "t").error().code, ExitCode::BadInput);
}

TEST(TokenizerFile, OtherVersionsAreRefused) {
  TinyTokenizer tiny;
  tiny.version = "2.0";
  tiny.expectError(ExitCode::Unsupported, "version: is \"2.0\"");
}

TEST(TokenizerFile, TemplatesAddTokens) {
  TinyTokenizer tiny;
  tiny.added = "[" + addedToken(6, "<s>", "special") + "]";
  tiny.postProcessor = R"({"type":"Sequence","processors":[
      {"type":"ByteLevel","trim_offsets":true},
      {"type":"TemplateProcessing",
       "single":[{"SpecialToken":{"id":"<s>","type_id":0}},
                 {"Sequence":{"id":"A","type_id":0}},
                 {"SpecialToken":{"id":"end","type_id":0}}],
       "pair":[],
       "special_tokens":{"<s>":{"id":"<s>","ids":[6],"tokens":["<s>"]},
                         "end":{"id":"end","ids":[2,1],"tokens":["c","b"]}}}
      ]})";
  EXPECT_EQ(tiny.encode("a", true), (Ids{6, 0, 2, 1}));
  EXPECT_EQ(tiny.encode("a", false), Ids{0});
  EXPECT_EQ(tiny.encode("", true), (Ids{6, 2, 1}));
}

TEST(TokenizerFile, MalformedTemplatesAreRefused) {
  const std::string a = R"({"Sequence":{"id":"A","type_id":0}})";
  const std::string b = R"({"Sequence":{"id":"B","type_id":0}})";
  const std::string s = R"({"SpecialToken":{"id":"s","type_id":0}})";
  struct {
    std::string single, tokens;
    ExitCode code;
    const char *part;
  } cases[] = {
      {"[" + s + "]", R"({"s":{"ids":[0]}})", ExitCode::Unsupported,
       "lacks the sequence A"},
      {"[" + a + "," + a + "]", "{}", ExitCode::Unsupported, "once"},
      {"[" + b + "]", "{}", ExitCode::Unsupported, "must be A"},
      {"[" + s + "," + a + "]", "{}", ExitCode::BadInput, "special_tokens.s"},
      {"[" + s + "," + a + "]", R"({"s":{"ids":[6]}})", ExitCode::BadInput,
       "ids[0]"},
      {"[" + s + "," + a + "]", R"({"s":{"ids":[-1]}})", ExitCode::BadInput,
       "ids[0]"},
      {"[7," + a + "]", "{}", ExitCode::BadInput, "single[0]"},
      {"{}", "{}", ExitCode::BadInput, "single"},
  };
  for (auto &c : cases) {
    TinyTokenizer tiny;
    tiny.postProcessor = R"({"type":"TemplateProcessing","single":)" +
                         c.single + R"(,"special_tokens":)" + c.tokens + "}";
    SCOPED_TRACE(tiny.postProcessor);
    tiny.expectError(c.code, c.part);
  }
  TinyTokenizer tiny;
  for (const char *type : {"BertProcessing", "RobertaProcessing"}) {
    tiny.postProcessor = R"({"type":")" + std::string(type) + R"("})";
    tiny.expectError(ExitCode::Unsupported, type);
  }
  std::string once = R"({"type":"TemplateProcessing","single":[)" + a +
                     R"(],"special_tokens":{}})";
  tiny.postProcessor =
      R"({"type":"Sequence","processors":[)" + once + "," + once + "]}";
  tiny.expectError(ExitCode::Unsupported, "second template");
}

TEST(TokenizerFile, MissingFilesSayWhatToDo) {
  Error none = missingTokenizer("model", {"config.json"});
  EXPECT_EQ(none.code, ExitCode::BadInput);
  EXPECT_EQ(none.message, "model/tokenizer.json: is missing");
  for (const char *name : {"tokenizer.model", "qwen.tiktoken", "vocab.json"}) {
    Error other = missingTokenizer("model", {"config.json", name});
    EXPECT_EQ(other.code, ExitCode::Unsupported);
    EXPECT_NE(other.message.find(name), std::string::npos);
    EXPECT_NE(other.message.find("save_pretrained"), std::string::npos);
  }
}

} // namespace
