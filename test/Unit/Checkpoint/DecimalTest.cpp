//===- DecimalTest.cpp ----------------------------------------------------===//
#include "lowbit/Checkpoint/Decimal.h"

#include <gtest/gtest.h>

using namespace lowbit;

TEST(Decimal, ReadsAllOfTheText) {
  for (auto [text, value] : {std::pair<const char *, int64_t>{"0", 0},
                             {"010", 10},
                             {"-1", -1},
                             {"9223372036854775807", INT64_MAX},
                             {"-9223372036854775808", INT64_MIN}}) {
    auto parsed = parseDecimal(text, INT64_MIN, INT64_MAX);
    ASSERT_TRUE(bool(parsed)) << text;
    EXPECT_EQ(*parsed, value);
  }
  for (const char *text :
       {"", "-", "+1", " 1", "1 ", "1x", "0x10", "1e3", "1.0", "1_000",
        "9223372036854775808", "-9223372036854775809", "99999999999999999999"})
    EXPECT_FALSE(bool(parseDecimal(text, INT64_MIN, INT64_MAX))) << text;
  EXPECT_FALSE(
      bool(parseDecimal(std::string_view("1\0", 2), INT64_MIN, INT64_MAX)));
}

TEST(Decimal, NamesValueAndLimits) {
  EXPECT_EQ(*parseDecimal("9", 0, 9), 9);
  EXPECT_EQ(*parseDecimal("0", 0, 9), 0);
  for (const char *text : {"10", "-1"}) {
    auto refused = parseDecimal(text, 0, 9);
    ASSERT_FALSE(bool(refused));
    EXPECT_EQ(refused.error().code, ExitCode::Usage);
    EXPECT_EQ(refused.error().message,
              "is \"" + std::string(text) +
                  "\", must be a decimal number from 0 to 9");
  }
}
