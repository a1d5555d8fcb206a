//===- DecoderTest.cpp ----------------------------------------------------===//
#include "TinyTokenizer.h"
#include "Utf8.h"

#include <random>

using namespace lowbit;

namespace {

/// A tokenizer whose vocabulary is `texts`, in this order.
TinyTokenizer ofTexts(const std::vector<std::string> &texts) {
  TinyTokenizer tiny;
  tiny.vocab = "{";
  for (size_t i = 0; i < texts.size(); ++i)
    tiny.vocab += (i ? ",\"" : "\"") + texts[i] + "\":" + std::to_string(i);
  tiny.vocab += "}";
  tiny.merges = "[]";
  return tiny;
}

TEST(Decoder, WithoutOneTokensAreJoinedBySpaces) {
  TinyTokenizer tiny = ofTexts({"a", "b"});
  tiny.decoder = "null";
  EXPECT_EQ(tiny.decode({0, 1, 0}), "a b a");
  EXPECT_EQ(tiny.decode({}), "");
}

TEST(Decoder, ByteFallbackTakesWholeRuns) {
  TinyTokenizer tiny =
      ofTexts({"<0xE4>", "<0xBD>", "<0xA0>", "x", "<0xff>", "<0x0A>"});
  tiny.decoder = R"({"type":"Sequence","decoders":[{"type":"ByteFallback"},
                     {"type":"Fuse"}]})";
  EXPECT_EQ(tiny.decode({0, 1, 2, 3}), "\u4F60x");
  EXPECT_EQ(tiny.decode({0, 1, 2, 5}), "\u4F60\n");
  EXPECT_EQ(tiny.decode({0, 1, 3}), "\uFFFD\uFFFDx");
  EXPECT_EQ(tiny.decode({0, 1, 2, 0}), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(tiny.decode({4}), "\uFFFD");
}

TEST(Decoder, ByteLevelRepairs) {
  TinyTokenizer tiny = ofTexts({"\u00E4\u00BD", "\u0142", "\u0120a", "a b"});
  tiny.decoder = R"({"type":"ByteLevel","add_prefix_space":true})";
  EXPECT_EQ(tiny.decode({0, 1, 2}), "\u4F60 a");
  EXPECT_EQ(tiny.decode({0, 2}), "\uFFFD a");
  EXPECT_EQ(tiny.decode({0}), "\uFFFD");
  EXPECT_EQ(tiny.decode({3}), "a b");
}

TEST(Decoder, MetaspaceDropsTheFirst) {
  TinyTokenizer tiny = ofTexts({"_a_", "_b"});
  auto decoded = [&](const std::string &fields) {
    tiny.decoder = R"({"type":"Metaspace","replacement":"_")" + fields + "}";
    return tiny.decode({0, 1});
  };
  EXPECT_EQ(decoded(""), "a b");
  EXPECT_EQ(decoded(R"(,"prepend_scheme":"first")"), "a b");
  EXPECT_EQ(decoded(R"(,"prepend_scheme":"never")"), " a  b");
  EXPECT_EQ(decoded(R"(,"add_prefix_space":false)"), " a  b");
}

TEST(Decoder, StripBeforeAndAfterFuse) {
  TinyTokenizer tiny = ofTexts({"_", "_a", "_b"});
  const std::string replace =
      R"({"type":"Replace","pattern":{"String":"_"},"content":" "},)";
  const std::string strip =
      R"({"type":"Strip","content":" ","start":2,"stop":0})";
  tiny.decoder = R"({"type":"Sequence","decoders":[)" + replace +
                 R"({"type":"Fuse"},)" + strip + "]}";
  EXPECT_EQ(tiny.decode({1, 2}), "a b");
  EXPECT_EQ(tiny.decode({0, 0, 1, 2}), " a b");
  tiny.decoder = R"({"type":"Sequence","decoders":[)" + replace + strip + "]}";
  EXPECT_EQ(tiny.decode({1, 2}), "ab");
}

TEST(Decoder, SkipsSpecialTokens) {
  TinyTokenizer tiny = ofTexts({"a", "b"});
  tiny.added = "[" + addedToken(2, "<s>", "special") + "," +
               addedToken(3, "<t>", "") + "]";
  Result<Tokenizer> tokenizer = tiny.parse();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(*tokenizer->decode({2, 0, 3, 2}, true), "a<t>");
  EXPECT_EQ(*tokenizer->decode({2, 0, 3, 2}, false), "<s>a<t><s>");
}

TEST(Decoder, IdsOutsideTheVocabularyAreErrors) {
  Result<Tokenizer> tokenizer = ofTexts({"a", "b"}).parse();
  ASSERT_TRUE(tokenizer);
  for (int32_t id : {-1, 2, INT32_MAX, INT32_MIN}) {
    Result<std::string> text = tokenizer->decode({0, id}, false);
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, ExitCode::BadInput);
    EXPECT_NE(text.error().message.find(std::to_string(id)), std::string::npos);
  }
  Decoder decoder(*tokenizer, false);
  EXPECT_EQ(*decoder.push(0), "a");
  EXPECT_FALSE(decoder.push(9));
  EXPECT_EQ(*decoder.push(1), "b");
}

TEST(Decoder, AStreamEqualsTheWholeAndIsValid) {
  std::vector<std::string> texts = {"\u00E4", "\u00BD", "\u0142",
                                    "\u00F0", "\u0141", "\u013A",
                                    "\u0122", "a",      "\u0120\u4F60"};
  std::vector<std::string> bytes = {"<0xE4>", "<0xBD>", "<0xA0>", "<0xF0>",
                                    "<0x9F>", "<0x98>", "_a",     "_"};
  TinyTokenizer level = ofTexts(texts), fallback = ofTexts(bytes);
  level.decoder = R"({"type":"ByteLevel"})";
  fallback.decoder = R"({"type":"Sequence","decoders":[
      {"type":"Replace","pattern":{"String":"_"},"content":" "},
      {"type":"ByteFallback"},{"type":"Fuse"},
      {"type":"Strip","content":" ","start":1,"stop":0}]})";
  std::mt19937 random(5);
  for (const TinyTokenizer *tiny : {&level, &fallback}) {
    Result<Tokenizer> tokenizer = tiny->parse();
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    Decoder decoder(*tokenizer, false); // used again after each finish
    for (int i = 0; i < 5000; ++i) {
      Ids ids;
      for (unsigned n = random() % 12; n > 0; --n)
        ids.push_back(static_cast<int32_t>(
            random() % static_cast<unsigned>(tokenizer->vocabularySize())));
      std::string text;
      for (int32_t id : ids) {
        Result<std::string> part = decoder.push(id);
        ASSERT_TRUE(part);
        ASSERT_FALSE(findInvalidUtf8(*part));
        text += *part;
      }
      text += decoder.finish();
      ASSERT_EQ(text, *tokenizer->decode(ids, false));
    }
  }
}

TEST(Decoder, UnknownOrMalformedIsRefused) {
  struct {
    const char *json;
    ExitCode code;
    const char *part;
  } cases[] = {
      {R"({"type":"WordPiece"})", ExitCode::Unsupported,
       "decoder.type: is \"WordPiece\""},
      {R"({"type":"BPEDecoder"})", ExitCode::Unsupported, "BPEDecoder"},
      {R"({"type":"CTC"})", ExitCode::Unsupported, "CTC"},
      {R"({})", ExitCode::BadInput, "decoder.type"},
      {R"({"type":"Sequence","decoders":[{"type":"Fuse"},
          {"type":"ByteFallback"}]})",
       ExitCode::Unsupported, "decoder.decoders[1]"},
      {R"({"type":"Sequence","decoders":[{"type":"ByteLevel"},
          {"type":"ByteFallback"}]})",
       ExitCode::Unsupported, "decoder.decoders[1]"},
      {R"({"type":"Sequence","decoders":[{"type":"ByteFallback"},
          {"type":"ByteLevel"}]})",
       ExitCode::Unsupported, "decoder.decoders[1]"},
      {R"({"type":"Sequence"})", ExitCode::BadInput, "decoder.decoders"},
      {R"({"type":"Replace","pattern":{"Regex":"a"},"content":""})",
       ExitCode::Unsupported, "decoder.pattern"},
      {R"({"type":"Replace","pattern":{"String":""},"content":""})",
       ExitCode::BadInput, "is empty"},
      {R"({"type":"Replace","pattern":{"String":"a"}})", ExitCode::BadInput,
       "decoder.content"},
      {R"({"type":"Strip","content":" ","start":0,"stop":1})",
       ExitCode::Unsupported, "decoder.stop"},
      {R"({"type":"Strip","content":"  ","start":0,"stop":0})",
       ExitCode::BadInput, "one character"},
      {R"({"type":"Strip","content":" ","start":-1,"stop":0})",
       ExitCode::BadInput, "decoder.start"},
      {R"({"type":"Metaspace","replacement":"_","prepend_scheme":"x"})",
       ExitCode::Unsupported, "prepend_scheme"},
  };
  for (auto &c : cases) {
    TinyTokenizer tiny;
    tiny.decoder = c.json;
    SCOPED_TRACE(c.json);
    tiny.expectError(c.code, c.part);
  }
}

} // namespace
