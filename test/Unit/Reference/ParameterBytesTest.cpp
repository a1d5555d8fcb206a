//===- ParameterBytesTest.cpp - Sources and their files ---------*- C++ -*-===//

#include "TinyModule.h"

#include "lowbit/Checkpoint/File.h"

#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lowbit;

namespace {

/// A folder with one file: tensor `w` of 3 f32 (1, 2, 3).
class ParameterBytesTest : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/lowbit-reference-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder = name;
    float values[] = {1, 2, 3};
    std::vector<TensorEntry> entries(1);
    entries[0] = {"w", DType::F32, {3}, 0, sizeof(values)};
    Result<std::string> header = buildSafetensorsHeader(entries, {});
    ASSERT_TRUE(bool(header));
    dataStart = header->size();
    std::ofstream(folder + "/a.safetensors", std::ios::binary)
        << *header
        << std::string_view(reinterpret_cast<char *>(values), sizeof(values));
    context.loadDialect<LowbitDialect>();
  }
  void TearDown() override {
    unlink((folder + "/a.safetensors").c_str());
    rmdir(folder.c_str());
  }
  SourceAttr source(llvm::StringRef file, llvm::StringRef tensor,
                    int64_t offset, int64_t bytes) {
    return SourceAttr::get(&context, file, tensor, offset, bytes);
  }

  mlir::MLIRContext context;
  std::string folder;
  int64_t dataStart = 0;
};

TEST_F(ParameterBytesTest, FolderFindsWholeAndFirstRows) {
  FolderBytes bytes({"/", folder});
  Result<Bytes> whole = bytes.find(source("a.safetensors", "w", dataStart, 12));
  ASSERT_TRUE(bool(whole)) << whole.error().message;
  EXPECT_EQ(whole->size, 12u);
  Result<Bytes> part = bytes.find(source("a.safetensors", "w", dataStart, 8));
  ASSERT_TRUE(bool(part));
  EXPECT_EQ(part->data, whole->data);
}

TEST_F(ParameterBytesTest, FolderRefusesWhatDiffers) {
  FolderBytes bytes({folder});
  for (SourceAttr wrong : {source("a.safetensors", "v", dataStart, 12),
                           source("a.safetensors", "w", dataStart + 4, 8),
                           source("a.safetensors", "w", dataStart, 16),
                           source("b.safetensors", "w", dataStart, 12)}) {
    Result<Bytes> found = bytes.find(wrong);
    ASSERT_FALSE(bool(found));
    EXPECT_EQ(found.error().code, ExitCode::BadInput);
  }
}

TEST_F(ParameterBytesTest, ArtifactFindsByName) {
  Result<MappedFile> file = MappedFile::open(folder + "/a.safetensors");
  ASSERT_TRUE(bool(file));
  Result<Safetensors> artifact = Safetensors::open(std::move(*file));
  ASSERT_TRUE(bool(artifact));
  ArtifactBytes bytes(*artifact);
  EXPECT_TRUE(bool(bytes.find(source(".", "w", 0, 12))));
  EXPECT_FALSE(bool(bytes.find(source(".", "w", 0, 8))));
  EXPECT_FALSE(bool(bytes.find(source(".", "v", 0, 12))));
  EXPECT_FALSE(bool(bytes.find(source("a.safetensors", "w", 0, 12))));
}

TEST(NoParameterBytes, HasNone) {
  mlir::MLIRContext context;
  context.loadDialect<LowbitDialect>();
  NoParameterBytes bytes;
  EXPECT_FALSE(bool(bytes.find(SourceAttr::get(&context, ".", "w", 0, 4))));
}

} // namespace
