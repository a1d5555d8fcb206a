//===- ManifestTest.cpp ---------------------------------------------------===//
#include "lowbit/Runtime/Manifest.h"

#include "TinyModel.h"

#include <gtest/gtest.h>

using namespace lowbit;
using namespace lowbit::test;

TEST(Manifest, IsReadAsItWasWritten) {
  std::string text = writeManifest(tinyManifest());
  auto manifest = parseManifest(text, "m");
  ASSERT_TRUE(bool(manifest)) << manifest.error().message;
  EXPECT_EQ(writeManifest(*manifest), text);
  EXPECT_EQ(manifest->model.bos, tinyBos);
  EXPECT_EQ(manifest->model.eos, std::vector<int32_t>{tinyEnd});
}

TEST(Manifest, MayHaveNoBeginningOfSequence) {
  Manifest manifest = tinyManifest();
  manifest.model.bos.reset();
  manifest.model.eos.clear();
  auto read = parseManifest(writeManifest(manifest), "m");
  ASSERT_TRUE(bool(read)) << read.error().message;
  EXPECT_FALSE(read->model.bos.has_value());
  EXPECT_TRUE(read->model.eos.empty());
}

TEST(Manifest, RefusesWhatIsOutOfRangeOrMissing) {
  std::string text = writeManifest(tinyManifest());
  auto refuse = [&](std::string from, std::string to, const char *field) {
    std::string changed = text;
    size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    auto manifest = parseManifest(changed, "m");
    ASSERT_FALSE(bool(manifest)) << to;
    EXPECT_EQ(manifest.error().code, ExitCode::Mismatch);
    EXPECT_NE(manifest.error().message.find(field), std::string::npos)
        << manifest.error().message;
  };
  refuse("\"vocabulary\":272", "\"vocabulary\":0", "model.vocabulary");
  refuse("\"bos\":256", "\"bos\":272", "model.bos");
  refuse("\"eos\":[257]", "\"eos\":[-1]", "model.eos[0]");
  refuse("\"context\":150,", "", "model");
  refuse("\"tool\":", "\"tools\":", "tool");
  refuse("\"targets\":[", "\"targets\":[1,", "targets[0]");
}
