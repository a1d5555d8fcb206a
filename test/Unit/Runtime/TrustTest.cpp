//===- TrustTest.cpp ------------------------------------------------------===//
#include "lowbit/Runtime/Trust.h"

#include "TinyModel.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lowbit;
using namespace lowbit::test;

namespace {

Sha256Digest rootOf(const char *name) { return sha256(bytesOf(name)); }

class Trust : public testing::Test {
protected:
  Status check(const Sha256Digest &root) {
    return checkTrust(config, root, "m.lowbit");
  }
  void expectDistrust(const Sha256Digest &root, const char *reason) {
    Status status = check(root);
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->code, ExitCode::Mismatch);
    EXPECT_NE(status->message.find(reason), std::string::npos)
        << status->message;
  }

  TemporaryFolder folder;
  std::string config = folder.file("a/b/lowbit");
  Sha256Digest root = rootOf("one");
};

unsigned modeOf(const std::string &path) {
  struct stat facts;
  return stat(path.c_str(), &facts) == 0 ? facts.st_mode & 07777 : 0;
}

} // namespace

TEST_F(Trust, IsGivenByARecord) {
  expectDistrust(root, "--trust");
  ASSERT_EQ(recordTrust(config, root), std::nullopt);
  EXPECT_EQ(check(root), std::nullopt);
  ASSERT_EQ(recordTrust(config, root), std::nullopt);
  expectDistrust(rootOf("two"), "no record");
  EXPECT_EQ(modeOf(config + "/key"), 0600u);
  EXPECT_EQ(modeOf(config), 0700u);
}

TEST_F(Trust, IsNotGivenByTheRecordOfAnotherUser) {
  ASSERT_EQ(recordTrust(config, root), std::nullopt);
  std::string record = config + "/trusted/" + hex(root);
  std::string mine = readFile(record);
  ASSERT_EQ(unlink((config + "/key").c_str()), 0);
  expectDistrust(root, "key of its trust record is missing");
  ASSERT_EQ(recordTrust(config, rootOf("two")), std::nullopt);
  expectDistrust(root, "not made with your key");
  EXPECT_EQ(readFile(record), mine);
}

TEST_F(Trust, IsNotGivenByADamagedRecord) {
  ASSERT_EQ(recordTrust(config, root), std::nullopt);
  std::string record = config + "/trusted/" + hex(root);
  std::string text = readFile(record);
  for (const std::string &content :
       {std::string(), text.substr(1), text + "x", std::string(65, '0')}) {
    writeFile(record, content);
    expectDistrust(root, "not made with your key");
  }
  // A record under another artifact's name.
  writeFile(config + "/trusted/" + hex(rootOf("two")), text);
  expectDistrust(rootOf("two"), "not made with your key");
}

TEST_F(Trust, RefusesAKeyThatOthersCanRead) {
  ASSERT_EQ(recordTrust(config, root), std::nullopt);
  for (unsigned mode : {0644u, 0640u, 0602u, 0611u}) {
    ASSERT_EQ(chmod((config + "/key").c_str(), mode), 0);
    expectDistrust(root, "must be 0600");
    Status status = recordTrust(config, root);
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->code, ExitCode::Mismatch);
  }
  ASSERT_EQ(chmod((config + "/key").c_str(), 0600), 0);
  EXPECT_EQ(check(root), std::nullopt);
}

TEST_F(Trust, RefusesAKeyOfTheWrongSizeOrKind) {
  ASSERT_EQ(recordTrust(config, root), std::nullopt);
  ASSERT_EQ(truncate((config + "/key").c_str(), 31), 0);
  expectDistrust(root, "31 bytes");
  ASSERT_EQ(unlink((config + "/key").c_str()), 0);
  ASSERT_EQ(mkdir((config + "/key").c_str(), 0700), 0);
  expectDistrust(root, "regular file");
}

TEST_F(Trust, SaysWhenItCannotBeRecorded) {
  writeFile(folder.file("a"), "a file where a folder should be");
  Status status = recordTrust(config, root);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, ExitCode::IO) << status->message;
}

TEST_F(Trust, LivesInTheUsersConfiguration) {
  std::string config =
      getenv("XDG_CONFIG_HOME") ? getenv("XDG_CONFIG_HOME") : "";
  std::string home = getenv("HOME") ? getenv("HOME") : "";
  setenv("XDG_CONFIG_HOME", "/x", 1);
  EXPECT_EQ(*trustFolder(), "/x/lowbit");
  setenv("XDG_CONFIG_HOME", "relative", 1);
  setenv("HOME", "/h", 1);
  EXPECT_EQ(*trustFolder(), "/h/.config/lowbit");
  unsetenv("HOME");
  EXPECT_EQ(trustFolder().error().code, ExitCode::IO);
  setenv("XDG_CONFIG_HOME", config.c_str(), 1);
  setenv("HOME", home.c_str(), 1);
}
