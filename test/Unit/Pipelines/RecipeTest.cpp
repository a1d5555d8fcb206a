//===- RecipeTest.cpp - What is done to a model, as data ------------------===//

#include "lowbit/Pipelines/Recipe.h"
#include "lowbit/Pipelines/Stage.h"
#include <gtest/gtest.h>

using namespace lowbit;

namespace {

class RecipeTest : public ::testing::Test {
protected:
  static void SetUpTestSuite() { registerCompilerPasses(); }
};

TEST_F(RecipeTest, NamedRecipesAreRight) {
  for (const std::string &name : getRecipeNames()) {
    Result<Recipe> recipe = readRecipe(name);
    ASSERT_TRUE(bool(recipe)) << name << ": " << recipe.error().message;
    // Its canonical text is the same recipe.
    Result<Recipe> again = parseRecipe(recipe->text, name);
    ASSERT_TRUE(bool(again));
    EXPECT_EQ(again->text, recipe->text);
    EXPECT_EQ(again->quantize, recipe->quantize);
  }
}

TEST_F(RecipeTest, IsAPipelineAndNothingElse) {
  Result<Recipe> recipe = parseRecipe(
      R"({"quantize": [
        {"lowbit-quantize": {"roles": ["q", "k"], "last-layer": 2, "format": "int8-row"}},
        {"lowbit-set-cache": {}}]})",
      "test");
  ASSERT_TRUE(bool(recipe)) << recipe.error().message;
  EXPECT_EQ(makePipeline(*recipe, Stage::Imported, Stage::Quantized, false),
            "builtin.module(lowbit-quantize{roles={q,k} last-layer=2 "
            "format=int8-row},lowbit-set-cache{})");
  EXPECT_EQ(makePipeline(*recipe, Stage::Quantized, Stage::LaidOut, true),
            "builtin.module(func.func(lowbit-fuse-linears),"
            "lowbit-outline-parameters,lowbit-assign-layouts,"
            "lowbit-verify-stage{stage=laid-out})");
}

TEST_F(RecipeTest, StagesHaveNames) {
  for (int i = 0; i <= static_cast<int>(Stage::Artifact); ++i) {
    auto stage = static_cast<Stage>(i);
    EXPECT_EQ(parseStage(stageName(stage)), std::optional<Stage>(stage));
  }
  EXPECT_EQ(parseStage("packed"), std::nullopt);
}

} // namespace
