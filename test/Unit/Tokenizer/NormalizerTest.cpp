//===- NormalizerTest.cpp -------------------------------------------------===//
#include "NormalForms.h"
#include "TinyTokenizer.h"
#include "Utf8.h"

using namespace lowbit;

namespace {

TEST(NormalForms, ComposeAndDecompose) {
  EXPECT_EQ(normalize("e\u0301", NormalForm::C), "\u00E9");
  EXPECT_EQ(normalize("\u00E9", NormalForm::D), "e\u0301");
  EXPECT_EQ(normalize("\uFB01\u00BD\uFF21", NormalForm::KC), "fi1\u20442A");
  EXPECT_EQ(normalize("\uFB01", NormalForm::C), "\uFB01");
  EXPECT_EQ(normalize("\uAC01", NormalForm::D), "\u1100\u1161\u11A8");
  EXPECT_EQ(normalize("\u1100\u1161\u11A8", NormalForm::C), "\uAC01");
  EXPECT_EQ(normalize("\u212B", NormalForm::KD), "A\u030A");
  EXPECT_EQ(normalize("plain", NormalForm::KD), "plain");
  EXPECT_EQ(normalize("", NormalForm::C), "");
}

TEST(NormalForms, MarksAreOrderedByClassAndStable) {
  EXPECT_EQ(normalize("a\u0301\u0316\u0300\u0334", NormalForm::D),
            "a\u0334\u0316\u0301\u0300");
}

// What the `tokenizers` package does: Unicode 9.0.
TEST(NormalForms, LaterCharactersAreLeftAlone) {
  EXPECT_EQ(normalize("\u32FF", NormalForm::KC), "\u32FF"); // 12.1: Reiwa
  EXPECT_EQ(normalize("\U00011935\U00011930", NormalForm::C),
            "\U00011935\U00011930"); // 13.0, composes since
  EXPECT_EQ(normalize("\U00011938", NormalForm::D), "\U00011938");
  EXPECT_EQ(normalize("a\u0301\u0898\u0316", NormalForm::D),
            "a\u0301\u0898\u0316"); // 14.0, a mark since
}

TEST(NormalForms, AreIdempotentOnEveryCharacter) {
  // Nothing has a decomposition beyond plane 2.
  for (uint32_t c = 0; c < 0x30000; ++c) {
    if (c >= 0xD800 && c < 0xE000)
      continue;
    std::string text = "e";
    appendChar(text, c);
    for (NormalForm form :
         {NormalForm::C, NormalForm::D, NormalForm::KC, NormalForm::KD}) {
      std::string once = normalize(text, form);
      ASSERT_FALSE(findInvalidUtf8(once)) << c;
      ASSERT_EQ(normalize(once, form), once) << c;
    }
  }
}

TEST(NormalForms, LongRunsOfMarksAreNotQuadratic) {
  std::string text = "e";
  for (int i = 0; i < 300000; ++i)
    text += "\u0301\u0316";
  std::string out = normalize(text, NormalForm::C);
  EXPECT_EQ(out.size(), text.size() - 1); // é for e and the first acute
}

TEST(Normalizer, StepsAreDoneInOrder) {
  TinyTokenizer tiny;
  tiny.normalizer = R"({"type":"Sequence","normalizers":[
      {"type":"Prepend","prepend":"c"},
      {"type":"Replace","pattern":{"String":"cx"},"content":"ab"},
      {"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "}]})";
  EXPECT_EQ(tiny.encode("x \n b"), (Ids{4, 3, 1}));
  EXPECT_EQ(tiny.encode(""), Ids{});
}

TEST(Normalizer, UnknownOrMalformedIsRefused) {
  TinyTokenizer tiny;
  for (const char *type : {"Precompiled", "Lowercase", "Strip",
                           "BertNormalizer", "Nmt", "ByteLevel", "Nonsense"}) {
    tiny.normalizer = R"({"type":")" + std::string(type) + R"("})";
    tiny.expectError(ExitCode::Unsupported,
                     "normalizer.type: is \"" + std::string(type) + "\"");
  }
  tiny.normalizer = R"({"type":"Sequence","normalizers":[{"type":"NFC"},{}]})";
  tiny.expectError(ExitCode::BadInput, "normalizer.normalizers[1].type");
  tiny.normalizer = R"({"type":"Replace","pattern":"x","content":"y"})";
  tiny.expectError(ExitCode::BadInput, "normalizer.pattern");
  tiny.normalizer =
      R"({"type":"Replace","pattern":{"String":"x","Regex":"y"},"content":""})";
  tiny.expectError(ExitCode::BadInput, "one of String and Regex");
  tiny.normalizer = R"({"type":"Prepend"})";
  tiny.expectError(ExitCode::BadInput, "normalizer.prepend");
  tiny.normalizer = "[]";
  tiny.expectError(ExitCode::BadInput, "normalizer");
}

} // namespace
