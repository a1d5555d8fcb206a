//===- ArtifactTest.cpp - Damage of every kind is found -------------------===//
#include "lowbit/Runtime/Artifact.h"

#include "TinyModel.h"
#include "lowbit/Runtime/ThreadPool.h"

#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

using namespace lowbit;
using namespace lowbit::test;

namespace {

class ArtifactFile : public testing::Test {
protected:
  /// The result of opening a file with this content.
  Result<Artifact> open(const std::string &content) {
    writeFile(path, content);
    return Artifact::open(path);
  }

  /// Expects exit 7 and a message with each of these parts.
  void expectRefused(const std::string &content,
                     std::initializer_list<const char *> parts) {
    auto artifact = open(content);
    ASSERT_FALSE(bool(artifact));
    const Error &error = artifact.error();
    EXPECT_EQ(error.code, ExitCode::Mismatch) << error.message;
    for (const char *part : parts)
      EXPECT_NE(error.message.find(part), std::string::npos)
          << "expected '" << part << "' in '" << error.message << "'";
  }

  TemporaryFolder folder;
  std::string path = folder.file("m.lowbit");
};

uint64_t headerEnd(const std::string &file) {
  uint64_t length;
  memcpy(&length, file.data(), 8);
  return 8 + length;
}

} // namespace

TEST_F(ArtifactFile, OpensWhatIsWhole) {
  auto artifact = open(tinyArtifact());
  ASSERT_TRUE(bool(artifact)) << artifact.error().message;
  EXPECT_EQ(artifact->manifest().model.vocabulary, tinyVocabulary);
  EXPECT_EQ(artifact->section("code.x86_64")->substr(0, tinyCode().size()),
            tinyCode());
  EXPECT_EQ(artifact->weightsBytes(), 2u * 8704);
  EXPECT_EQ(memcmp(artifact->weights(), tinyTable().data(), 8704), 0);
  EXPECT_EQ(artifact->sections().size(), 8u);
  auto pool = ThreadPool::create(2);
  EXPECT_EQ(artifact->verifyWeights(**pool), std::nullopt);
}

TEST_F(ArtifactFile, RefusesEveryPrefix) {
  std::string file = tinyArtifact();
  auto artifact = open(file);
  ASSERT_TRUE(bool(artifact));
  std::vector<size_t> lengths;
  for (size_t length = 1; length <= headerEnd(file) + 8; ++length)
    lengths.push_back(length);
  for (const ArtifactSection &section : artifact->sections())
    for (int delta = -8; delta <= 8; ++delta)
      lengths.push_back(section.offset + delta);
  lengths.push_back(file.size() - 1);
  for (size_t length : lengths) {
    auto cut = open(file.substr(0, length));
    ASSERT_FALSE(bool(cut)) << length;
    EXPECT_EQ(cut.error().code, ExitCode::Mismatch) << cut.error().message;
    EXPECT_NE(cut.error().message.find("truncated: have " +
                                       std::to_string(length) +
                                       " bytes, need "),
              std::string::npos)
        << cut.error().message;
  }
  printf("[ prefixes ] %zu refused\n", lengths.size());
}

// Every bit of the header and of the root digest, one at a time, rewriting one
// byte of the file each time.
TEST_F(ArtifactFile, RefusesEveryBitFlipOfHeaderAndRoot) {
  std::string file = tinyArtifact();
  writeFile(path, file);
  int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  std::vector<size_t> places;
  for (size_t i = 0; i < headerEnd(file); ++i)
    places.push_back(i);
  for (size_t i = file.size() - 32; i < file.size(); ++i)
    places.push_back(i);
  size_t flips = 0;
  for (size_t place : places)
    for (int bit = 0; bit < 8; ++bit, ++flips) {
      char byte = static_cast<char>(file[place] ^ (1 << bit));
      ASSERT_EQ(pwrite(descriptor, &byte, 1, place), 1);
      auto artifact = Artifact::open(path);
      ASSERT_FALSE(bool(artifact)) << place << " bit " << bit;
      EXPECT_EQ(artifact.error().code, ExitCode::Mismatch)
          << place << " bit " << bit << ": " << artifact.error().message;
      ASSERT_EQ(pwrite(descriptor, &file[place], 1, place), 1);
    }
  close(descriptor);
  printf("[ bit flips ] %zu of header and root, 0 undetected\n", flips);
}

TEST_F(ArtifactFile, RefusesRandomBitFlipsElsewhere) {
  std::string file = tinyArtifact();
  auto whole = open(file);
  ASSERT_TRUE(bool(whole));
  auto pool = ThreadPool::create(1);
  int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  std::mt19937 random(5);
  std::uniform_int_distribution<size_t> anywhere(headerEnd(file),
                                                 file.size() - 1);
  int inWeights = 0;
  const int flips = 10000;
  for (int i = 0; i < flips; ++i) {
    size_t place = anywhere(random);
    char byte = static_cast<char>(file[place] ^ (1 << random() % 8));
    ASSERT_EQ(pwrite(descriptor, &byte, 1, place), 1);
    auto artifact = Artifact::open(path);
    Status status =
        artifact ? artifact->verifyWeights(**pool) : Status(artifact.error());
    inWeights += bool(artifact);
    ASSERT_TRUE(status.has_value()) << place;
    EXPECT_EQ(status->code, ExitCode::Mismatch) << status->message;
    // The message names the section that the flip is in.
    for (const ArtifactSection &section : whole->sections()) {
      bool isHere =
          place >= section.offset && place < section.offset + section.bytes;
      bool isDigest = section.name.rfind("digest.", 0) == 0;
      if (isHere && !isDigest) {
        EXPECT_NE(status->message.find("\"" + section.name + "\": chunk 0"),
                  std::string::npos)
            << status->message;
      }
    }
    ASSERT_EQ(pwrite(descriptor, &file[place], 1, place), 1);
  }
  close(descriptor);
  EXPECT_GT(inWeights, 100);
  printf("[ bit flips ] %d elsewhere (%d in weights), 0 undetected\n", flips,
         inWeights);
}

TEST_F(ArtifactFile, NamesTheChunkOfALargeTensor) {
  Sections sections = tinySections();
  std::string large(2 * (size_t(4) << 20) + 640, 'w');
  sections.push_back({"weights.large", large});
  std::string file = buildArtifact(sections);
  file[file.size() - 300] ^= 1; // In its last chunk, before the digests.
  auto artifact = open(file);
  ASSERT_TRUE(bool(artifact)) << artifact.error().message;
  auto pool = ThreadPool::create(2);
  Status status = artifact->verifyWeights(**pool);
  ASSERT_TRUE(status.has_value());
  EXPECT_NE(status->message.find("\"weights.large\": chunk 2"),
            std::string::npos)
      << status->message;
}

TEST_F(ArtifactFile, RefusesJunkAfterTheEnd) {
  std::string file = tinyArtifact();
  expectRefused(file + "x", {"1 bytes after the end"});
  expectRefused(file + file, {"after the end", "two files"});
}

TEST_F(ArtifactFile, HintsAtTransfersThatMangle) {
  std::string file = tinyArtifact();
  std::string gzip = file;
  gzip[0] = '\x1F';
  gzip[1] = '\x8B';
  expectRefused(gzip, {"gzip"});
  // Line ends as a transfer in text mode makes them.
  std::string text;
  for (char c : file)
    text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_FALSE(bool(open(text)));
}

TEST_F(ArtifactFile, RefusesOtherKindsAndVersions) {
  Sections sections = tinySections();
  expectRefused(buildArtifact(sections, {}), {"is a checkpoint"});
  expectRefused(buildArtifact(sections, {{"format", "pt"}}),
                {"is a checkpoint"});
  expectRefused(buildArtifact(sections, {{"kind", "lowbi"}, {"version", "1"}}),
                {"kind", "lowbi"});
  for (const char *version : {"0", "2", "1.1", ""})
    expectRefused(
        buildArtifact(sections, {{"kind", "lowbit"}, {"version", version}}),
        {"version", version});
}

TEST_F(ArtifactFile, RefusesSectionsThatAreUnknownMissingOrOutOfOrder) {
  Sections sections = tinySections();
  Sections changed = sections;
  changed.push_back({"weight.extra", "x"});
  expectRefused(buildArtifact(changed), {"weight.extra", "unknown"});
  changed = sections;
  std::swap(changed[0], changed[1]);
  expectRefused(buildArtifact(changed), {"manifest", "out of order"});
  changed = sections;
  changed.erase(changed.begin() + 3);
  expectRefused(buildArtifact(changed), {"no section \"tokenizer\""});
  changed = sections;
  changed.erase(changed.begin());
  expectRefused(buildArtifact(changed), {"no section \"manifest\""});
}

TEST_F(ArtifactFile, RefusesAManifestThatIsNone) {
  expectRefused(buildArtifact(withSection(tinySections(), "manifest", "{}")),
                {"manifest"});
}

TEST_F(ArtifactFile, TreatsWhatIsNoFileAsBadInput) {
  for (const std::string &name :
       {folder.path, folder.file("none"), std::string("/dev/null")}) {
    auto artifact = Artifact::open(name);
    ASSERT_FALSE(bool(artifact));
    EXPECT_EQ(artifact.error().code, ExitCode::BadInput)
        << artifact.error().message;
  }
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  auto fifo = Artifact::open(path);
  ASSERT_FALSE(bool(fifo));
  EXPECT_EQ(fifo.error().code, ExitCode::BadInput);
}

TEST_F(ArtifactFile, NoticesWhenItsFileIsWrittenTo) {
  auto artifact = open(tinyArtifact());
  ASSERT_TRUE(bool(artifact));
  EXPECT_EQ(artifact->checkUnchanged(), std::nullopt);
  ASSERT_EQ(truncate(path.c_str(), 100), 0);
  Status status = artifact->checkUnchanged();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, ExitCode::IO);
}

TEST_F(ArtifactFile, DoesNotMindAFileThatTakesItsName) {
  auto artifact = open(tinyArtifact());
  ASSERT_TRUE(bool(artifact));
  writeFile(folder.file("other"), "something else");
  ASSERT_EQ(rename(folder.file("other").c_str(), path.c_str()), 0);
  EXPECT_EQ(artifact->checkUnchanged(), std::nullopt);
  auto pool = ThreadPool::create(1);
  EXPECT_EQ(artifact->verifyWeights(**pool), std::nullopt);
}
