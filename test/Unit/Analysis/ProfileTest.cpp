//===- ProfileTest.cpp - What calibration measured ------------------------===//

#include "lowbit/Analysis/Profile.h"
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <fstream>

using namespace lowbit;

namespace {

struct Moments {
  std::string name;
  std::vector<uint64_t> shape;
  std::vector<float> values;
};

/// A file with these tensors in the test's temporary folder; its path.
std::string
writeProfile(const std::vector<Moments> &tensors,
             const std::vector<std::pair<std::string, std::string>> &metadata) {
  std::vector<TensorEntry> entries;
  uint64_t end = 0;
  for (const Moments &moments : tensors) {
    TensorEntry entry;
    entry.name = moments.name;
    entry.dtype = DType::F32;
    entry.shape = moments.shape;
    entry.begin = end;
    entry.end = end += moments.values.size() * sizeof(float);
    entries.push_back(entry);
  }
  std::string path = ::testing::TempDir() + "profile.safetensors";
  std::ofstream file(path, std::ios::binary);
  file << *buildSafetensorsHeader(entries, metadata);
  for (const Moments &moments : tensors)
    file.write(reinterpret_cast<const char *>(moments.values.data()),
               moments.values.size() * sizeof(float));
  return path;
}

TEST(Profile, DiagonalOfBothShapesAndAliases) {
  std::string path = writeProfile(
      {{"h.a", {3}, {1, 2, 3}},
       {"h.b", {2, 2}, {4, NAN, 5, 6}}}, // above the diagonal: not read
      {{"h.c", "h.a"}});
  Result<Profile> profile = Profile::open(path);
  ASSERT_TRUE(bool(profile)) << profile.error().message;
  auto a = profile->diagonal({"x", "a"}, 3);
  ASSERT_TRUE(bool(a));
  EXPECT_EQ(**a, (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(**profile->diagonal({"b"}, 2), (std::vector<float>{4, 6}));
  EXPECT_EQ(**profile->diagonal({"c"}, 3), (std::vector<float>{1, 2, 3}));
  auto none = profile->diagonal({"y"}, 3);
  ASSERT_TRUE(bool(none));
  EXPECT_FALSE(none->has_value());
}

TEST(Profile, DiagonalOfPackedTriangles) {
  // Rows (1), (9, 2), (9, 9, 3); a square stays one.
  std::string path = writeProfile({{"h.a", {6}, {1, 9, 2, 9, 9, 3}},
                                   {"h.b", {1}, {7}},
                                   {"h.c", {2, 2}, {4, NAN, 5, 6}}},
                                  {{"moments", "full"}});
  Result<Profile> profile = Profile::open(path);
  ASSERT_TRUE(bool(profile)) << profile.error().message;
  EXPECT_EQ(**profile->diagonal({"a"}, 3), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(**profile->diagonal({"b"}, 1), (std::vector<float>{7}));
  EXPECT_EQ(**profile->diagonal({"c"}, 2), (std::vector<float>{4, 6}));
  auto width = profile->diagonal({"a"}, 6);
  ASSERT_FALSE(bool(width));
  EXPECT_NE(width.error().message.find("the triangle 21 elements"),
            std::string::npos);
  EXPECT_FALSE(bool(Profile::open(
      writeProfile({{"h.a", {1}, {1}}}, {{"moments", "block"}}))));
}

TEST(Profile, MomentsAreLowerTriangles) {
  std::string path = writeProfile({{"h.a", {6}, {1, 9, 2, 8, 7, 3}},
                                   {"h.c", {2, 2}, {4, NAN, 5, 6}},
                                   {"h.d", {3}, {1, INFINITY, 2}}},
                                  {{"moments", "full"}, {"h.b", "h.a"}});
  Result<Profile> profile = Profile::open(path);
  ASSERT_TRUE(bool(profile)) << profile.error().message;
  EXPECT_TRUE(profile->hasFullMoments());
  EXPECT_TRUE(profile->hasMoments({"x", "b"}));
  EXPECT_FALSE(profile->hasMoments({"x"}));
  EXPECT_EQ(**profile->moments({"b"}, 3),
            (std::vector<float>{1, 9, 2, 8, 7, 3}));
  EXPECT_EQ(**profile->moments({"c"}, 2), (std::vector<float>{4, 5, 6}));
  EXPECT_FALSE(profile->moments({"x"}, 2)->has_value());
  auto infinite = profile->moments({"d"}, 2);
  ASSERT_FALSE(bool(infinite));
  EXPECT_NE(infinite.error().message.find("element [1, 0] is inf"),
            std::string::npos);
  Result<Profile> plain = Profile::open(writeProfile(
      {{"h.a", {2}, {1, 2}}, {"h.c", {2, 2}, {4, NAN, 5, 6}}}, {}));
  ASSERT_TRUE(bool(plain));
  EXPECT_FALSE(plain->hasMoments({"a"}));
  EXPECT_FALSE(plain->moments({"a"}, 2)->has_value());
  EXPECT_TRUE(plain->hasMoments({"c"}));
}

TEST(Profile, RefusesWhatItCannotMean) {
  Result<Profile> profile =
      Profile::open(writeProfile({{"h.a", {2}, {1, -1}}}, {}));
  ASSERT_TRUE(bool(profile));
  auto negative = profile->diagonal({"a"}, 2);
  ASSERT_FALSE(bool(negative));
  EXPECT_NE(negative.error().message.find("element 1"), std::string::npos);
  auto width = profile->diagonal({"a"}, 3);
  ASSERT_FALSE(bool(width));
  EXPECT_NE(width.error().message.find("the linear has 3 columns"),
            std::string::npos);
  EXPECT_FALSE(bool(Profile::open(writeProfile({{"x.a", {1}, {1}}}, {}))));
  EXPECT_FALSE(
      bool(Profile::open(writeProfile({{"h.a", {1, 2}, {1, 2}}}, {}))));
  EXPECT_FALSE(bool(Profile::open(
      writeProfile({{"h.a", {1}, {1}}}, {{"h.b", "h.missing"}}))));
}

} // namespace
