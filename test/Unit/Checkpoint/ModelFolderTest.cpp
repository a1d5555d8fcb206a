//===- ModelFolderTest.cpp ------------------------------------------------===//
//
// The refusals are in test/Inputs/make_bad_inputs.py; here is what is found.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Checkpoint/ModelFolder.h"
#include "TemporaryFolder.h"
#include "lowbit/Checkpoint/ModelTensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

using namespace lowbit;

namespace {
const std::string bundled = LOWBIT_SOURCE_DIR "/examples/models/books-7m";
} // namespace

TEST(ModelFolder, OpensTheBundledModel) {
  Result<ModelFolder> folder = ModelFolder::open(bundled);
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(folder->shardCount(), 1u);
  EXPECT_EQ(folder->shardName(0), "model.safetensors");
  EXPECT_EQ(folder->tensors().size(), 74u);
  EXPECT_TRUE(folder->notes().empty());
  const TensorRef *table = folder->find("model.embed_tokens.weight");
  ASSERT_TRUE(table);
  EXPECT_EQ(table->entry->shape, (std::vector<uint64_t>{4096, 256}));
  EXPECT_EQ(folder->bytes(*table).size, 4096u * 256 * 2);
  EXPECT_EQ(folder->bytes(*table).data,
            folder->shardFile(0).bytes().data + folder->fileOffset(*table));
  EXPECT_TRUE(folder->hasFile("tokenizer.json"));
  EXPECT_FALSE(folder->hasFile("vocab.json"));
  EXPECT_FALSE(folder->readFile("generation_config.json", 1 << 20)->empty());
  EXPECT_FALSE(folder->checkUnchanged());
}

TEST(ModelTensors, AssignsTheBundledModel) {
  Result<ModelFolder> folder = ModelFolder::open(bundled);
  ASSERT_TRUE(folder);
  Result<ModelConfig> config =
      readModelConfig(folder->config(), folder->pathOf("config.json"));
  ASSERT_TRUE(config) << config.error().message;
  Result<ModelTensors> tensors = checkTensors(*config, *folder);
  ASSERT_TRUE(tensors) << tensors.error().message;
  ASSERT_EQ(tensors->layers.size(), 8u);
  EXPECT_EQ(tensors->get(TensorRole::Embedding)->name(),
            "model.embed_tokens.weight");
  EXPECT_EQ(tensors->get(TensorRole::Head), nullptr);
  EXPECT_EQ(tensors->get(TensorRole::Down, 7)->name(),
            "model.layers.7.mlp.down_proj.weight");
  EXPECT_EQ(tensors->get(TensorRole::QueryBias, 0), nullptr);
  EXPECT_EQ(roleName(TensorRole::DownBias), "down_bias");
}

TEST(ModelFolder, NoticesAChange) {
  TemporaryFolder copy;
  for (const char *name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(bundled + "/" + name, copy / name);
  std::filesystem::permissions(copy / "model.safetensors",
                               std::filesystem::perms::owner_all);
  Result<ModelFolder> folder = ModelFolder::open(copy.path());
  ASSERT_TRUE(folder) << folder.error().message;
  ModelFolder moved = std::move(*folder);
  EXPECT_FALSE(moved.checkUnchanged());
  ASSERT_EQ(truncate((copy / "model.safetensors").c_str(), 100), 0);
  Status status = moved.checkUnchanged();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, ExitCode::IO);
  EXPECT_EQ(ModelFolder::open(copy.path()).error().code, ExitCode::BadInput);
}
