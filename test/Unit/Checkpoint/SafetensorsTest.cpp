//===- SafetensorsTest.cpp ------------------------------------------------===//
#include "lowbit/Checkpoint/Safetensors.h"
#include "TemporaryFolder.h"

#include <gtest/gtest.h>
#include <random>

using namespace lowbit;

namespace {

std::string withLength(const std::string &header, const std::string &data) {
  std::string text;
  for (int i = 0; i < 8; ++i)
    text += static_cast<char>(header.size() >> (8 * i));
  return text + header + data;
}

Result<SafetensorsHeader> read(const std::string &file) {
  return readSafetensorsHeader(bytesOf(file), "t.safetensors");
}

const std::string validHeader =
    R"({"__metadata__":{"format":"pt"},)"
    R"("b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},)"
    R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
    R"("e":{"dtype":"U8","shape":[0,9],"data_offsets":[4,4]}})";
const std::string valid = withLength(validHeader, std::string(16, 'd'));

} // namespace

TEST(Safetensors, ReadsAHeader) {
  Result<SafetensorsHeader> header = read(valid);
  ASSERT_TRUE(header) << header.error().message;
  ASSERT_EQ(header->entries.size(), 3u);
  EXPECT_EQ(header->entries[0].name, "a");
  EXPECT_EQ(header->entries[1].name, "e");
  EXPECT_EQ(header->entries[2].name, "b");
  EXPECT_EQ(header->entries[0].elements(), 1u);
  EXPECT_EQ(header->entries[1].elements(), 0u);
  EXPECT_EQ(header->entries[2].describe(), "BF16 [2, 3]");
  EXPECT_EQ(header->metadata.size(), 1u);
  EXPECT_EQ(header->metadata[0].second, "pt");
  EXPECT_EQ(header->dataStart, 8 + validHeader.size());
}

TEST(Safetensors, FindsTensorsAndBytes) {
  TemporaryFolder folder;
  Result<MappedFile> file = MappedFile::open(
      folder.write("f", withLength(validHeader, "0123456789abcdef")));
  ASSERT_TRUE(file);
  Result<Safetensors> tensors = Safetensors::open(std::move(*file));
  ASSERT_TRUE(tensors);
  EXPECT_EQ(tensors->bytes(*tensors->find("a")).text(), "0123");
  EXPECT_EQ(tensors->bytes(*tensors->find("b")).text(), "456789abcdef");
  EXPECT_EQ(tensors->bytes(*tensors->find("e")).size, 0u);
  EXPECT_EQ(tensors->find("c"), nullptr);
  EXPECT_EQ(tensors->find(""), nullptr);
  EXPECT_EQ(tensors->fileOffset(*tensors->find("b")),
            8 + validHeader.size() + 4);
}

TEST(Safetensors, EveryPrefixIsRefused) {
  for (size_t size = 0; size < valid.size(); ++size) {
    Result<SafetensorsHeader> header = read(valid.substr(0, size));
    ASSERT_FALSE(header) << size;
    ASSERT_EQ(header.error().code, ExitCode::BadInput);
  }
  EXPECT_FALSE(read(valid + "x"));
}

// Whatever single bit is wrong: an error or a header that holds together.
TEST(Safetensors, EveryBitFlipIsSafe) {
  for (size_t bit = 0; bit < (8 + validHeader.size()) * 8; ++bit) {
    std::string file = valid;
    file[bit / 8] = static_cast<char>(file[bit / 8] ^ (1 << (bit % 8)));
    Result<SafetensorsHeader> header = read(file);
    if (!header)
      continue;
    for (const TensorEntry &entry : header->entries)
      ASSERT_LE(entry.end, file.size() - header->dataStart);
  }
}

TEST(Safetensors, RandomEditsAreSafe) {
  std::mt19937 random(3);
  for (int i = 0; i < 30000; ++i) {
    std::string file = valid;
    for (unsigned n = 1 + random() % 6; n > 0; --n)
      file[8 + random() % validHeader.size()] =
          "{}[]\",:0123456789abU8F. \\-"[random() % 26];
    Result<SafetensorsHeader> header = read(file);
    if (!header)
      continue;
    for (const TensorEntry &entry : header->entries)
      ASSERT_LE(entry.end, 16u);
  }
}

TEST(Safetensors, KnowsEveryType) {
  for (unsigned i = 0; i <= static_cast<unsigned>(DType::C64); ++i) {
    auto dtype = static_cast<DType>(i);
    uint64_t size = dtypeBits(dtype); // Of 8 elements, in bytes.
    Result<std::string> header =
        buildSafetensorsHeader({{"t", dtype, {8}, 0, size}}, {});
    ASSERT_TRUE(header);
    Result<SafetensorsHeader> back = read(*header + std::string(size, 0));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->entries[0].dtype, dtype);
  }
  EXPECT_EQ(dtypeBits(DType::F6_E3M2), 6u);
  EXPECT_EQ(dtypeName(DType::F8_E4M3), "F8_E4M3");
}

TEST(Safetensors, BuildsWhatItReads) {
  std::vector<TensorEntry> entries = {{"weights.ü\"", DType::U8, {64}, 0, 64},
                                      {"none", DType::F32, {0}, 64, 64},
                                      {"m", DType::F16, {3, 5}, 64, 94}};
  Result<std::string> built = buildSafetensorsHeader(
      entries, {{"kind", "lowbit"}, {"version", "1"}}, 64);
  ASSERT_TRUE(built) << built.error().message;
  EXPECT_EQ(built->size() % 64, 0u);
  EXPECT_EQ(built->substr(8, 53),
            R"({"__metadata__":{"kind":"lowbit","version":"1"},"weig)");
  Result<SafetensorsHeader> back = read(*built + std::string(94, 0));
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_EQ(back->entries.size(), 3u);
  EXPECT_EQ(back->entries[0].name, "weights.ü\"");
  EXPECT_EQ(back->entries[2].shape, (std::vector<uint64_t>{3, 5}));
  EXPECT_EQ(back->metadata[1].first, "version");
  EXPECT_EQ(back->dataStart, built->size());
  // The smallest file: no tensors.
  Result<std::string> empty = buildSafetensorsHeader({}, {}, 1);
  EXPECT_EQ(*empty, withLength("{}", ""));
  EXPECT_TRUE(read(*empty));
}

TEST(Safetensors, DoesNotBuildWhatItWouldRefuse) {
  auto build = [](TensorEntry entry) {
    return buildSafetensorsHeader({std::move(entry)}, {});
  };
  EXPECT_TRUE(build({"t", DType::U8, {4}, 0, 4}));
  EXPECT_FALSE(build({"t", DType::U8, {4}, 1, 5}));
  EXPECT_FALSE(build({"t", DType::U8, {4}, 0, 5}));
  EXPECT_FALSE(build({"", DType::U8, {4}, 0, 4}));
  EXPECT_FALSE(build({"a\nb", DType::U8, {4}, 0, 4}));
  EXPECT_FALSE(build({"t", DType::F4, {3}, 0, 2}));
  EXPECT_FALSE(build({"t", DType::U8, std::vector<uint64_t>(9, 1), 0, 1}));
  EXPECT_FALSE(buildSafetensorsHeader(
      {{"t", DType::U8, {1}, 0, 1}, {"t", DType::U8, {1}, 1, 2}}, {}));
  EXPECT_FALSE(build({"__metadata__", DType::U8, {4}, 0, 4}));
}
