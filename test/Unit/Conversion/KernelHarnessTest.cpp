//===- KernelHarnessTest.cpp - The tests' own tool --------------*- C++ -*-===//

#include "KernelHarness.h"
#include <gtest/gtest.h>

using namespace lowbit::test;

/// Two code objects at once: each finds its own functions.
TEST(KernelHarness, LoadsSeveralCodeObjects) {
  const char *text =
      "lowbit.kernel @k family \"add\" {columns = 7, a_offset = 0, a_stride = "
      "7, b_offset = 0, b_stride = 7}";
  KernelHarness one(text), other(text);
  ASSERT_TRUE(one.ok() && other.ok());
  ASSERT_TRUE(one.find("k", 0));
  EXPECT_NE(one.find("k", 0), other.find("k", 0));
}
