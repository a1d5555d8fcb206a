//===- WeightRolesTest.cpp - Which part a weight plays --------------------===//

#include "lowbit/Analysis/WeightRoles.h"
#include <gtest/gtest.h>

using namespace lowbit;

namespace {

TEST(WeightRoles, WordsNameSetsOfRoles) {
  EXPECT_EQ(parseRole("q"), std::optional<uint32_t>(QueryRole));
  EXPECT_EQ(
      parseRole("attention"),
      std::optional<uint32_t>(QueryRole | KeyRole | ValueRole | OutputRole));
  EXPECT_EQ(parseRole("ffn"),
            std::optional<uint32_t>(GateRole | UpRole | DownRole));
  EXPECT_EQ(parseRole("lm_head"), std::nullopt);
  EXPECT_EQ(parseRole(""), std::nullopt);
  uint32_t all = *parseRole("all");
  for (const char *word : {"embedding", "head", "attention", "ffn", "other"}) {
    EXPECT_EQ(*parseRole(word) & ~all, 0u) << word;
    all &= ~*parseRole(word);
  }
  EXPECT_EQ(all, 0u) << "all is these five and nothing else";
}

TEST(WeightRoles, DescriptionsNameSingleRolesOnce) {
  EXPECT_EQ(describeRoles(QueryRole | KeyRole | ValueRole), "q+k+v");
  EXPECT_EQ(describeRoles(EmbeddingRole | HeadRole), "embedding+head");
  EXPECT_EQ(describeRoles(FfnRoles), "gate+up+down");
  EXPECT_EQ(describeRoles(0), "");
}

} // namespace
