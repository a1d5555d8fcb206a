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
  std::vector<std::string> names;
  for (const std::string &name : getRecipeNames())
    for (const char *rotations : {"", "-r0", "-r12"}) {
      names.push_back(name + rotations);
      std::string bytes = name + rotations + "-a8";
      bool hasFloats = name == "float" || name.rfind("mxfp8", 0) == 0 ||
                       name == "mxfp6-e3m2";
      if (hasFloats)
        EXPECT_FALSE(bool(readRecipe(bytes))) << bytes;
      else
        names.push_back(bytes);
    }
  for (const std::string &name : names) {
    Result<Recipe> recipe = readRecipe(name);
    ASSERT_TRUE(bool(recipe)) << name << ": " << recipe.error().message;
    // Its canonical text is the same recipe.
    Result<Recipe> again = parseRecipe(recipe->text, name);
    ASSERT_TRUE(bool(again));
    EXPECT_EQ(again->text, recipe->text);
    EXPECT_EQ(again->quantize, recipe->quantize);
  }
}

TEST_F(RecipeTest, NamesSayWhatIsRotated) {
  const std::string folded =
      "lowbit-insert-rotations{sites={r1,r2}},lowbit-fold-rotations{}";
  auto transformOf = [](const std::string &name) {
    Result<Recipe> recipe = readRecipe(name);
    return recipe ? recipe->transform : recipe.error().message;
  };
  EXPECT_EQ(transformOf("int4-g64"), "");
  EXPECT_EQ(transformOf("int4-g64-r0-a8"), "");
  EXPECT_EQ(transformOf("int4-g64-r12-a8"), folded);
  EXPECT_EQ(transformOf("float-r12"), folded);
  EXPECT_EQ(transformOf("trellis2"), folded);
  EXPECT_EQ(transformOf("trellis1-a8"), folded);
  EXPECT_EQ(transformOf("trellis0.5-r0"), "");
  for (const char *name : {"int4-g64-a8-r12", "float-a8", "int4-g64-r12-r0"})
    EXPECT_FALSE(bool(readRecipe(name))) << name;
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
