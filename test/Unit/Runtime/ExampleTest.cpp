//===- ExampleTest.cpp - examples/generate.c does what it says ------------===//
#include "TinyModel.h"

#include "lowbit/Runtime/Artifact.h"
#include "lowbit/Runtime/Trust.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/wait.h>

using namespace lowbit;
using namespace lowbit::test;

namespace {

/// A folder with an artifact that this user trusts, or does not.
class Example : public testing::Test {
protected:
  Example() { writeFile(folder.file("m.lowbit"), tinyArtifact()); }

  void trust() {
    auto artifact = Artifact::open(folder.file("m.lowbit"));
    ASSERT_TRUE(bool(artifact));
    ASSERT_FALSE(
        bool(recordTrust(folder.file("config") + "/lowbit", artifact->root())));
  }

  /// Runs a command line in the folder; its exit code.
  int run(const std::string &command) {
    std::string line =
        "cd " + folder.path +
        " && mkdir -p config && XDG_CONFIG_HOME=" + folder.file("config") +
        " " + command + " >out 2>err </dev/null";
    int status = system(line.c_str());
    out = readFile(folder.file("out"));
    err = readFile(folder.file("err"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  TemporaryFolder folder;
  std::string out, err;
};

} // namespace

TEST_F(Example, MakesTheTextOfTheRunner) {
  trust();
  ASSERT_EQ(run(LOWBIT_EXAMPLE_GENERATE " m.lowbit Hi 12"), 0) << err;
  std::string made = out;
  EXPECT_EQ(made.rfind("Hi", 0), 0u) << made;
  EXPECT_GT(made.size(), 3u);
  EXPECT_NE(err.find("tokens, stopped: "), std::string::npos) << err;
  ASSERT_EQ(run(LOWBIT_RUN_TOOL " m.lowbit -p Hi -n 12 --temp 0"), 0) << err;
  EXPECT_EQ(made, out);
}

TEST_F(Example, ReportsErrors) {
  EXPECT_EQ(run(LOWBIT_EXAMPLE_GENERATE " m.lowbit Hi 12"), 7);
  EXPECT_NE(err.find("generate: m.lowbit: "), std::string::npos) << err;
  EXPECT_EQ(run(LOWBIT_EXAMPLE_GENERATE " none.lowbit Hi 12"), 3);
  EXPECT_EQ(run(LOWBIT_EXAMPLE_GENERATE " m.lowbit Hi"), 2);
  EXPECT_EQ(out, "");
}
