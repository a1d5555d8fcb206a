//===- FileTest.cpp -------------------------------------------------------===//
#include "lowbit/Checkpoint/File.h"
#include "TemporaryFolder.h"

#include <atomic>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace lowbit;

namespace {

std::shared_ptr<const Folder> openFolder(const std::string &path) {
  Result<std::shared_ptr<const Folder>> folder = Folder::open(path);
  EXPECT_TRUE(folder);
  return *folder;
}

bool says(const Error &error, const char *text) {
  return error.message.find(text) != std::string::npos;
}

} // namespace

TEST(Bytes, SubNeverLeaves) {
  uint8_t data[10] = {};
  Bytes bytes{data, 10};
  EXPECT_EQ(bytes.sub(3, 7)->size, 7u);
  EXPECT_EQ(bytes.sub(10, 0)->size, 0u);
  EXPECT_FALSE(bytes.sub(11, 0));
  EXPECT_FALSE(bytes.sub(3, 8));
  EXPECT_FALSE(bytes.sub(UINT64_MAX, 2));
  EXPECT_FALSE(bytes.sub(2, UINT64_MAX));
}

TEST(MappedFile, HasTheBytes) {
  TemporaryFolder folder;
  std::string path = folder.write("f", "content");
  Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->bytes().text(), "content");
  EXPECT_EQ(file->name(), path);
  EXPECT_FALSE(file->checkUnchanged());
  MappedFile moved = std::move(*file);
  EXPECT_EQ(moved.bytes().text(), "content");
  EXPECT_EQ(file->bytes().size, 0u);
  Result<MappedFile> empty = MappedFile::open(folder.write("e", ""));
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->size(), 0u);
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  TemporaryFolder folder;
  mkfifo((folder / "fifo").c_str(), 0600);
  for (std::string path :
       {folder / "fifo", folder.path(), std::string("/dev/zero"),
        std::string("/dev/null"), folder / "none", std::string(""),
        std::string("a\0b", 3)}) {
    Result<MappedFile> file = MappedFile::open(path);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(file.error().code, ExitCode::BadInput);
  }
}

TEST(MappedFile, NoticesEveryChange) {
  TemporaryFolder folder;
  auto opened = openFolder(folder.path());
  // By path and by folder.
  for (bool inFolder : {false, true}) {
    auto open = [&] {
      return inFolder ? opened->map("f") : MappedFile::open(folder / "f");
    };
    folder.write("f", "0123456789");
    Result<MappedFile> file = open();
    ASSERT_TRUE(file);
    EXPECT_FALSE(file->checkUnchanged());

    ASSERT_EQ(truncate((folder / "f").c_str(), 20), 0);
    Status grown = file->checkUnchanged();
    ASSERT_TRUE(grown);
    EXPECT_EQ(grown->code, ExitCode::IO);
    EXPECT_TRUE(says(*grown, "was 10 bytes, is 20"));

    ASSERT_EQ(truncate((folder / "f").c_str(), 5), 0);
    EXPECT_TRUE(says(*file->checkUnchanged(), "was 10 bytes, is 5"));

    folder.write("f", "0123456789");
    file = open();
    timespec times[2] = {{1, 1}, {1, 1}};
    utimensat(AT_FDCWD, (folder / "f").c_str(), times, 0);
    EXPECT_TRUE(says(*file->checkUnchanged(), "changed"));

    folder.write("f", "0123456789");
    file = open();
    folder.write("g", "0123456789");
    rename((folder / "g").c_str(), (folder / "f").c_str());
    EXPECT_TRUE(says(*file->checkUnchanged(), "was replaced"));
    EXPECT_EQ(file->bytes().text(), "0123456789");

    file = open();
    unlink((folder / "f").c_str());
    Status gone = file->checkUnchanged();
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->code, ExitCode::IO);
  }
}

// reliability.md A26: another process cuts and grows the file all the time.
TEST(MappedFile, RaceWithAWriterIsNoticed) {
  TemporaryFolder folder;
  std::string path = folder.write("f", std::string(4096, 'a'));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (unsigned i = 0; !stop; ++i) {
      std::string next = folder.write("next", std::string(4096, 'b'));
      if (i % 2)
        rename(next.c_str(), path.c_str());
      else if (truncate(path.c_str(), 4096 + (i % 3) * 100) != 0)
        break;
    }
  });
  unsigned noticed = 0;
  for (int i = 0; i < 2000; ++i) {
    Result<MappedFile> file = MappedFile::open(path);
    if (!file)
      continue;
    unsigned sum = 0;
    for (uint64_t k = 0; k < file->size(); ++k)
      sum += file->bytes().data[k];
    if (Status status = file->checkUnchanged()) {
      EXPECT_EQ(status->code, ExitCode::IO);
      ++noticed;
    }
    EXPECT_GT(sum, 0u);
  }
  stop = true;
  writer.join();
  EXPECT_GT(noticed, 0u);
}

TEST(MappedFile, AFaultEndsTheProcessWithALine) {
  TemporaryFolder folder;
  std::string path = folder.write("f", std::string(100000, 'a'));
  Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file);
  EXPECT_EXIT(
      {
        exitOnMappedFileFault();
        if (truncate(path.c_str(), 0) == 0) {
          volatile uint8_t last = file->bytes().data[99999];
          (void)last;
        }
      },
      testing::ExitedWithCode(5), "mapped file was cut");
}

TEST(Folder, TakesOnlyPlainNames) {
  for (std::string_view name :
       {"", ".", "..", "a/b", "/a", "a\\b", "C:x", "a\nb", "a\x7f"})
    EXPECT_FALSE(Folder::isPlainName(name)) << name;
  EXPECT_FALSE(Folder::isPlainName(std::string_view("a\0b", 3)));
  EXPECT_FALSE(Folder::isPlainName(std::string(256, 'a')));
  for (std::string_view name : {"a", "...", "a.b", "\xff", "a b", ".hidden"})
    EXPECT_TRUE(Folder::isPlainName(name)) << name;

  TemporaryFolder folder;
  folder.write("f", "x");
  auto opened = openFolder(folder.path());
  EXPECT_TRUE(opened->has("f"));
  EXPECT_FALSE(opened->has("g"));
  EXPECT_FALSE(opened->has("../etc"));
  EXPECT_EQ(opened->map("../f").error().code, ExitCode::BadInput);
  EXPECT_EQ(*opened->read("f", 1), "x");
  EXPECT_EQ(*opened->list(), std::vector<std::string>{"f"});
  EXPECT_EQ(Folder::open(folder / "f").error().code, ExitCode::BadInput);
}

TEST(Folder, LinksStayInside) {
  TemporaryFolder folder;
  mkdir((folder / "in").c_str(), 0700);
  folder.write("secret", "s");
  folder.write("in/f", "x");
  auto link = [&](const char *target, const char *name) {
    ASSERT_EQ(symlink(target, (folder / "in/" + name).c_str()), 0);
  };
  link("f", "inside");
  link("../secret", "out");
  link("/etc/passwd", "absolute");
  link("loop", "loop");
  link("none", "dangling");
  auto opened = openFolder(folder / "in");
  EXPECT_EQ(*opened->read("inside", 10), "x");
  for (const char *name : {"out", "absolute", "loop", "dangling"}) {
    Result<std::string> text = opened->read(name, 10000);
    ASSERT_FALSE(text) << name;
    EXPECT_EQ(text.error().code, ExitCode::BadInput);
    EXPECT_TRUE(says(text.error(), name));
  }
}

// reliability.md B9: the name is a file and a link to the outside in turn.
TEST(Folder, RaceWithALinkNeverLeadsOutside) {
  TemporaryFolder folder;
  mkdir((folder / "in").c_str(), 0700);
  folder.write("secret", "secret");
  folder.write("in/good", "good");
  std::string name = folder / "in/f";
  std::atomic<bool> stop{false};
  std::thread swapper([&] {
    std::string next = folder / "in/next";
    for (unsigned i = 0; !stop; ++i) {
      if (symlink(i % 2 ? "../secret" : "good", next.c_str()) == 0)
        rename(next.c_str(), name.c_str());
    }
  });
  auto opened = openFolder(folder / "in");
  unsigned good = 0, refused = 0;
  for (int i = 0; i < 10000; ++i) {
    Result<MappedFile> file = opened->map("f");
    if (!file) {
      ++refused;
      continue;
    }
    ASSERT_EQ(file->bytes().text(), "good");
    ++good;
  }
  stop = true;
  swapper.join();
  EXPECT_EQ(good + refused, 10000u);
}

TEST(Folder, FollowsTheCacheLayoutOnly) {
  namespace fs = std::filesystem;
  TemporaryFolder folder;
  fs::create_directories(folder / "repo/snapshots/rev");
  fs::create_directories(folder / "repo/blobs");
  folder.write("repo/blobs/abc", "blob");
  folder.write("repo/secret", "s");
  auto link = [&](const char *target, const char *name) {
    fs::create_symlink(target, folder / "repo/snapshots/rev/" + name);
  };
  link("../../blobs/abc", "good");
  link("../../secret", "out");
  link("../../blobs/../secret", "through");
  link("../../blobs/none", "dangling");
  auto opened = openFolder(folder / "repo/snapshots/rev");
  EXPECT_TRUE(opened->isCacheSnapshot());
  Result<MappedFile> file = opened->map("good");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->bytes().text(), "blob");
  EXPECT_FALSE(file->checkUnchanged());
  for (const char *name : {"out", "through", "dangling"})
    EXPECT_FALSE(opened->map(name)) << name;
  // A path with a slash at its end, and the same files in another layout.
  EXPECT_TRUE(openFolder(folder / "repo/snapshots/rev/")->isCacheSnapshot());
  fs::rename(folder / "repo/snapshots", folder / "repo/other");
  EXPECT_FALSE(openFolder(folder / "repo/other/rev")->map("good"));
}

TEST(Folder, KeepsNoDescriptors) {
  TemporaryFolder folder;
  auto opened = openFolder(folder.path());
  for (int i = 0; i < 300; ++i)
    folder.write(std::to_string(i), "x");
  rlimit before, low;
  getrlimit(RLIMIT_NOFILE, &before);
  low = before;
  low.rlim_cur = 64;
  setrlimit(RLIMIT_NOFILE, &low);
  std::vector<MappedFile> files;
  for (int i = 0; i < 300; ++i) {
    Result<MappedFile> file = opened->map(std::to_string(i));
    ASSERT_TRUE(file) << file.error().message;
    files.push_back(std::move(*file));
  }
  for (const MappedFile &file : files)
    EXPECT_FALSE(file.checkUnchanged());
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST(ReadFile, BoundsAndFails) {
  TemporaryFolder folder;
  std::string path = folder.write("f", "12345");
  EXPECT_EQ(*readFile(path, 5), "12345");
  Result<std::string> large = readFile(path, 4);
  EXPECT_EQ(large.error().code, ExitCode::BadInput);
  EXPECT_TRUE(says(large.error(), "is 5 bytes, limit 4"));
  EXPECT_EQ(readFile(folder.path(), 100).error().code, ExitCode::BadInput);
  // A size of 0 that is not true, and a read that fails.
  EXPECT_FALSE(readFile("/proc/self/status", 1 << 20)->empty());
  EXPECT_TRUE(says(readFile("/proc/self/status", 10).error(), "limit 10"));
  EXPECT_EQ(readFile("/proc/self/mem", 100).error().code, ExitCode::IO);
}
