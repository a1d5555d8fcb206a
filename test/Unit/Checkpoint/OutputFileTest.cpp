//===- OutputFileTest.cpp -------------------------------------------------===//
#include "lowbit/Checkpoint/OutputFile.h"
#include "TemporaryFolder.h"

#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace lowbit;

namespace {

size_t filesIn(const TemporaryFolder &folder) {
  size_t count = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder.path())) {
    (void)entry;
    ++count;
  }
  return count;
}

bool says(const Error &error, const std::string &text) {
  return error.message.find(text) != std::string::npos;
}

} // namespace

TEST(OutputFile, PublishesWhole) {
  TemporaryFolder folder;
  Result<OutputFile> out = OutputFile::open(folder / "f");
  ASSERT_TRUE(out);
  EXPECT_FALSE(out->resumed());
  ASSERT_FALSE(out->reserve(10));
  EXPECT_EQ(std::filesystem::file_size(folder / ".f.partial"), 10u);
  struct stat facts;
  ASSERT_EQ(stat((folder / ".f.partial").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  ASSERT_FALSE(out->writeAt(0, bytesOf("01234")));
  uint8_t *mapped = *out->map();
  memcpy(mapped + 5, "56789", 5);
  EXPECT_FALSE(std::filesystem::exists(folder / "f"));
  ASSERT_FALSE(out->publish());
  EXPECT_EQ(folder.read("f"), "0123456789");
  EXPECT_EQ(filesIn(folder), 1u);
  ASSERT_EQ(stat((folder / "f").c_str(), &facts), 0);
  mode_t mask = umask(0);
  umask(mask);
  EXPECT_EQ(facts.st_mode & 0777, 0644u & ~mask);
}

TEST(OutputFile, SaysWhereNoFileCanBeMade) {
  Result<OutputFile> out = OutputFile::open("/proc/x.lowbit");
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, ExitCode::IO);
  EXPECT_TRUE(says(out.error(), "/proc/.x.lowbit.partial: cannot create: "))
      << out.error().message;
}

TEST(OutputFile, LeavesNothingWithoutPublish) {
  TemporaryFolder folder;
  {
    Result<OutputFile> out = OutputFile::open(folder / "f");
    ASSERT_TRUE(out);
    ASSERT_FALSE(out->reserve(100));
    OutputFile moved = std::move(*out);
    EXPECT_EQ(filesIn(folder), 1u);
  }
  EXPECT_EQ(filesIn(folder), 0u);
}

TEST(OutputFile, ReplacesOnlyWhenTold) {
  TemporaryFolder folder;
  folder.write("f", "old");
  Result<OutputFile> refused = OutputFile::open(folder / "f");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ExitCode::IO);
  EXPECT_TRUE(says(refused.error(), "exists"));
  OutputOptions replace;
  replace.replace = true;
  Result<OutputFile> out = OutputFile::open(folder / "f", replace);
  ASSERT_TRUE(out);
  ASSERT_FALSE(out->writeAt(0, bytesOf("new")));
  EXPECT_EQ(folder.read("f"), "old");
  ASSERT_FALSE(out->publish());
  EXPECT_EQ(folder.read("f"), "new");
}

TEST(OutputFile, DoesNotReplaceWhatAppearedMeanwhile) {
  TemporaryFolder folder;
  Result<OutputFile> out = OutputFile::open(folder / "f");
  ASSERT_TRUE(out);
  folder.write("f", "theirs");
  Status status = out->publish();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, ExitCode::IO);
  EXPECT_EQ(folder.read("f"), "theirs");
}

TEST(OutputFile, RefusesPlacesThatAreNone) {
  TemporaryFolder folder;
  OutputOptions replace;
  replace.replace = true;
  symlink("none", (folder / "link").c_str());
  folder.write("file", "x");
  for (std::string path :
       {folder / "", folder.path(), folder / "none/f", folder / "file/f",
        folder / "link", folder / ".", std::string(""),
        folder / std::string(256, 'n'), std::string("/proc/f")}) {
    Result<OutputFile> out = OutputFile::open(path, replace);
    ASSERT_FALSE(out) << path;
    EXPECT_EQ(out.error().code, ExitCode::IO) << path;
  }
  EXPECT_EQ(filesIn(folder), 2u);
}

TEST(OutputFile, HasOneWriter) {
  TemporaryFolder folder;
  Result<OutputFile> first = OutputFile::open(folder / "f");
  ASSERT_TRUE(first);
  Result<OutputFile> second = OutputFile::open(folder / "f");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ExitCode::IO);
  EXPECT_TRUE(says(second.error(), "is being written by"))
      << second.error().message;
  ASSERT_FALSE(first->publish());
}

TEST(OutputFile, TakesUpAfterAKill) {
  TemporaryFolder folder;
  pid_t child = fork();
  if (child == 0) {
    Result<OutputFile> out = OutputFile::open(folder / "f");
    if (!out || out->reserve(8) || out->writeAt(0, bytesOf("half")))
      _exit(1);
    kill(getpid(), SIGKILL);
  }
  int status;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(filesIn(folder), 1u);
  {
    OutputOptions resume;
    resume.resume = true;
    Result<OutputFile> out = OutputFile::open(folder / "f", resume);
    ASSERT_TRUE(out);
    EXPECT_TRUE(out->resumed());
    EXPECT_EQ(out->size(), 8u);
    EXPECT_EQ(memcmp(*out->map(), "half\0\0\0\0", 8), 0);
    out->keepForResume();
  }
  ASSERT_EQ(filesIn(folder), 1u);
  Result<OutputFile> fresh = OutputFile::open(folder / "f");
  ASSERT_TRUE(fresh);
  EXPECT_FALSE(fresh->resumed());
  EXPECT_EQ(fresh->size(), 0u);
}

TEST(OutputFile, DoesNotTakeUpWhatOthersCanWrite) {
  TemporaryFolder folder;
  OutputOptions resume;
  resume.resume = true;
  std::string partial = folder.write(".f.partial", "planted");
  chmod(partial.c_str(), 0666);
  EXPECT_FALSE(OutputFile::open(folder / "f", resume));
  unlink(partial.c_str());
  symlink((folder / "elsewhere").c_str(), partial.c_str());
  EXPECT_FALSE(OutputFile::open(folder / "f", resume));
  unlink(partial.c_str());
  folder.write("victim", "v");
  link((folder / "victim").c_str(), partial.c_str());
  EXPECT_FALSE(OutputFile::open(folder / "f", resume));
  unlink(partial.c_str());
  mkfifo(partial.c_str(), 0600);
  EXPECT_FALSE(OutputFile::open(folder / "f"));
  EXPECT_EQ(folder.read("victim"), "v");
}

TEST(OutputFile, SaysWhenThereIsNoRoom) {
  TemporaryFolder folder;
  Result<OutputFile> out = OutputFile::open(folder / "f");
  ASSERT_TRUE(out);
  Status status = out->reserve(uint64_t(1) << 50);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, ExitCode::IO);
  EXPECT_TRUE(out->reserve(UINT64_MAX));
  EXPECT_TRUE(out->writeAt(UINT64_MAX, bytesOf("x")));
  EXPECT_FALSE(out->reserve(4));
  EXPECT_FALSE(out->reserve(2));
  EXPECT_EQ(out->size(), 2u);
  EXPECT_FALSE(out->publish());
  EXPECT_EQ(std::filesystem::file_size(folder / "f"), 2u);
}

TEST(OutputFile, AFullWriteFailsCleanly) {
  TemporaryFolder folder;
  pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    Result<OutputFile> out = OutputFile::open(folder / "f");
    std::string text(5000, 'x');
    Status status = out ? out->writeAt(0, bytesOf(text)) : Status();
    out = OutputFile::open(folder / "other"); // The first one goes.
    _exit(status && status->code == ExitCode::IO ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "f"));
  EXPECT_FALSE(std::filesystem::exists(folder / ".f.partial"));
}
