//===- JsonTest.cpp -------------------------------------------------------===//
#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Checkpoint/JsonField.h"

#include <cfloat>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace lowbit;

namespace {

std::string errorOf(std::string_view text,
                    const JsonLimits &limits = configLimits) {
  Result<JsonValue> json = parseJson(text, "t.json", limits);
  if (json)
    return "";
  EXPECT_EQ(json.error().code, ExitCode::BadInput);
  EXPECT_EQ(json.error().message.rfind("t.json: ", 0), 0u);
  return json.error().message;
}

bool isRefused(std::string_view text) { return !errorOf(text).empty(); }

std::string again(std::string_view text) {
  Result<JsonValue> json = parseJson(text, "t.json", configLimits);
  return json ? writeJson(*json) : json.error().message;
}

} // namespace

TEST(Json, KeepsOrderAndEveryKind) {
  std::string text =
      R"({"z":null,"a":true,"m":[1,-2,0.5,"x",{},[]],"b":false})";
  EXPECT_EQ(again(text), text);
  EXPECT_EQ(again(" [ 1 , { \"a\" : 2 } ] \n"), R"([1,{"a":2}])");
}

TEST(Json, IntegersAreExact) {
  for (const char *text : {"0", "9007199254740993", "18446744073709551615",
                           "-1", "-9223372036854775808", "9223372036854775808"})
    EXPECT_EQ(again(text), text);
  Result<JsonValue> largest =
      parseJson("18446744073709551615", "t", configLimits);
  EXPECT_EQ(largest->asUint64(), UINT64_MAX);
  EXPECT_FALSE(largest->asInt64());
  Result<JsonValue> beyond =
      parseJson("18446744073709551616", "t", configLimits);
  EXPECT_FALSE(beyond->isInteger());
  EXPECT_FALSE(beyond->asUint64());
  EXPECT_FALSE(parseJson("-9223372036854775809", "t", configLimits)->asInt64());
}

TEST(Json, DoublesReadBackTheSame) {
  EXPECT_EQ(again("1e-5"), "1e-05");
  EXPECT_EQ(again("4096.0"), "4096.0");
  EXPECT_EQ(again("1E+2"), "100.0");
  EXPECT_EQ(again("0.1"), "0.1");
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    uint64_t bits = random();
    double value;
    memcpy(&value, &bits, sizeof value);
    if (!(value >= -DBL_MAX && value <= DBL_MAX))
      continue;
    Result<JsonValue> back =
        parseJson(writeJson(JsonValue(value)), "t", configLimits);
    ASSERT_TRUE(back);
    double read = back->asDouble();
    ASSERT_EQ(back->kind(), JsonValue::Kind::Double);
    ASSERT_EQ(memcmp(&read, &value, sizeof value), 0) << value;
  }
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char *text : {"",           " ",         "01",
                           "1.",         ".5",        "+1",
                           "0x10",       "NaN",       "Infinity",
                           "-Infinity",  "-",         "1e",
                           "1e400",      "-1e400",    "[1,]",
                           "{\"a\":1,}", "[1 2]",     "{\"a\" 1}",
                           "{a:1}",      "'a'",       "[",
                           "{",          "\"",        "nul",
                           "tru",        "// x\n1",   "/* */1",
                           "1 1",        "{} {}",     "1x",
                           "\"\\x\"",    "\"\\u12\"", "\"\n\"",
                           "\"\t\"",     "]",         "}",
                           ":",          ",",         "\xEF\xBB\xBF{}",
                           "{\"a\"}",    "[,1]",      "{,}",
                           "{1:2}",      "-01",       "1e+",
                           "\"\\",       "\"\\u"})
    EXPECT_TRUE(isRefused(text)) << text;
}

TEST(Json, RefusesBrokenCharacters) {
  EXPECT_TRUE(isRefused("\"\xff\""));
  EXPECT_TRUE(isRefused("\"\xc0\x80\""));
  EXPECT_TRUE(isRefused("\"\xed\xa0\x80\""));
  EXPECT_TRUE(isRefused("\"\xf4\x90\x80\x80\""));
  EXPECT_TRUE(isRefused("\"\\ud800\""));
  EXPECT_TRUE(isRefused("\"\\ud800\\u0041\""));
  EXPECT_TRUE(isRefused("\"\\udc00\""));
  EXPECT_TRUE(isRefused(std::string_view("1\0", 2)));
  EXPECT_TRUE(isRefused(std::string_view("{}\0junk", 7)));
  EXPECT_TRUE(isRefused(std::string_view("\"a\0b\"", 5)));
  EXPECT_EQ(again("\"\\ud83d\\ude00\\u0000\\/\""), "\"😀\\u0000/\"");
}

TEST(Json, HintsAtAByteOrderMark) {
  EXPECT_NE(errorOf("\xEF\xBB\xBF{}").find("byte order mark"),
            std::string::npos);
}

TEST(Json, RefusesDuplicateKeysAndNamesThem) {
  EXPECT_NE(errorOf(R"({"a":1,"b":2,"a":3})").find("t.json: a: is there twice"),
            std::string::npos);
  EXPECT_NE(errorOf(R"({"x":[0,{"y":{"k":1,"\u006b":1}}]})")
                .find("x[1].y.k: is there twice"),
            std::string::npos);
  EXPECT_TRUE(errorOf(R"([{"a":1},{"a":1}])").empty());
}

TEST(Json, BoundsDepthBytesAndValues) {
  auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(errorOf(nested(64)).empty());
  EXPECT_NE(errorOf(nested(65)).find("64 levels"), std::string::npos);
  EXPECT_NE(errorOf(std::string(500000, '[')).find("64 levels"),
            std::string::npos);
  std::string objects;
  for (int i = 0; i < 65; ++i)
    objects += "{\"a\":";
  EXPECT_NE(errorOf(objects).find("64 levels"), std::string::npos);
  EXPECT_NE(errorOf("[1,2,3]", {100, 64, 3}).find("3 values"),
            std::string::npos);
  EXPECT_TRUE(errorOf("[1,2,3]", {100, 64, 4}).empty());
  EXPECT_NE(errorOf("[1,2,3]", {6}).find("is 7 bytes, limit 6"),
            std::string::npos);
}

TEST(Json, FindsMembersInLargeObjects) {
  std::string text = "{";
  for (int i = 0; i < 50000; ++i)
    text += (i ? "," : "") + ("\"k" + std::to_string(i * 7919 % 50000)) +
            "\":" + std::to_string(i);
  Result<JsonValue> json = parseJson(text + "}", "t", configLimits);
  ASSERT_TRUE(json);
  for (int i = 0; i < 50000; ++i) {
    const JsonValue *value = json->find("k" + std::to_string(i * 7919 % 50000));
    ASSERT_TRUE(value);
    ASSERT_EQ(value->asUint64(), static_cast<uint64_t>(i));
  }
  EXPECT_FALSE(json->find("k50000"));
  EXPECT_FALSE(json->find(""));
}

TEST(Json, Builds) {
  JsonValue root = JsonValue::object();
  root.set("version", 1);
  root.set("big", uint64_t(UINT64_MAX));
  root.set("small", int64_t(INT64_MIN));
  root.set("eps", 1e-5);
  root.set("text", "a\"\\\b\f\n\r\t\x01/ü");
  root.set("none", JsonValue());
  root.set("yes", true);
  JsonValue &list = root.set("list", JsonValue::array());
  list.push(-1);
  list.push(JsonValue::object()).set("x", std::string("y"));
  EXPECT_EQ(
      writeJson(root),
      R"({"version":1,"big":18446744073709551615,"small":-9223372036854775808,)"
      R"("eps":1e-05,"text":"a\"\\\b\f\n\r\t\u0001/ü","none":null,"yes":true,)"
      R"("list":[-1,{"x":"y"}]})");
  EXPECT_EQ(root.find("version")->asUint64(), 1u);
  EXPECT_EQ(again(writeJson(root)), writeJson(root));
}

TEST(Json, RandomBytesNeverBreakTheReader) {
  std::mt19937 random(1);
  const std::string valid =
      R"({"a":[1,2.5e3,-7],"b":{"c":"x\u00e9\ud83d\ude00"},"d":null,"e":true})";
  for (int i = 0; i < 50000; ++i) {
    std::string text = valid;
    for (unsigned n = 1 + random() % 4; n > 0; --n)
      text[random() % text.size()] = static_cast<char>(random());
    text.resize(random() % 3 ? text.size() : random() % text.size());
    Result<JsonValue> json = parseJson(text, "t", configLimits);
    if (json) // What is taken is written as the same thing.
      ASSERT_EQ(again(writeJson(*json)), writeJson(*json));
  }
}

namespace {

class JsonFieldTest : public testing::Test {
protected:
  JsonFieldTest()
      : json(parseJson(R"({"n":7,"neg":-3,"d":2.5,"whole":8.0,"s":"text",
                           "b":true,"null":null,"o":{"p":[10,{"q":"v"}]},
                           "big":18446744073709551616})",
                       "c.json", configLimits)),
        root(*json, "c.json") {}

  Result<JsonValue> json;
  JsonField root;
};

} // namespace

TEST_F(JsonFieldTest, GivesValues) {
  EXPECT_EQ(*root.get("n").integer(1, 10), 7u);
  EXPECT_EQ(*root.get("neg").signedInteger(-5, 5), -3);
  EXPECT_EQ(*root.get("d").number(0, 10), 2.5);
  EXPECT_EQ(*root.get("n").number(0, 10), 7.0);
  EXPECT_EQ(*root.get("s").string(), "text");
  EXPECT_TRUE(*root.get("b").boolean());
  EXPECT_EQ(*root.get("o").get("p").at(1).get("q").string(), "v");
  EXPECT_EQ((*root.get("o").get("p").array())->size(), 2u);
  EXPECT_EQ((*root.object())->size(), 9u);
}

TEST_F(JsonFieldTest, NullIsAbsent) {
  EXPECT_TRUE(root.get("null").isAbsent());
  EXPECT_TRUE(root.get("missing").isAbsent());
  EXPECT_EQ(*root.get("null").integerOr(5, 0, 9), 5u);
  EXPECT_EQ(*root.get("missing").numberOr(0.5, 0, 1), 0.5);
  EXPECT_TRUE(*root.get("missing").booleanOr(true));
  EXPECT_EQ(*root.get("n").integerOr(5, 0, 9), 7u);
}

TEST_F(JsonFieldTest, SaysWhereAndWhat) {
  EXPECT_EQ(root.get("n").integer(8, 9).error().message,
            "c.json: n: is 7, must be an integer from 8 to 9");
  EXPECT_EQ(root.get("neg").integer(0, 9).error().message,
            "c.json: neg: is -3, must be an integer from 0 to 9");
  EXPECT_EQ(root.get("whole").integer(0, 9).error().message,
            "c.json: whole: is 8.0, must be an integer from 0 to 9 (written "
            "without fraction or exponent)");
  EXPECT_EQ(root.get("x").integer(0, 9).error().message,
            "c.json: x: is missing, must be an integer from 0 to 9");
  EXPECT_EQ(root.get("null").string().error().message,
            "c.json: null: is null, must be a string");
  EXPECT_EQ(root.get("o").get("p").at(1).get("q").boolean().error().message,
            "c.json: o.p[1].q: is \"v\", must be true or false");
  EXPECT_EQ(root.get("o").get("p").at(5).integer().error().message,
            "c.json: o.p[5]: is missing, must be an integer from 0 to "
            "18446744073709551615");
  EXPECT_EQ(root.get("o").number(0, 1).error().message,
            "c.json: o: is an object of 1, must be a number from 0.0 to 1.0");
  EXPECT_EQ(root.get("b").number(0, 1).error().code, ExitCode::BadInput);
  EXPECT_FALSE(root.get("big").integer());
  EXPECT_FALSE(root.get("d").integer());
  EXPECT_FALSE(root.get("s").array());
  EXPECT_FALSE(root.get("s").object());
}
