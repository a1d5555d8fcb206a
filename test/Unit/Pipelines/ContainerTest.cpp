//===- ContainerTest.cpp - Where everything lies in an output -------------===//

#include "lowbit/Pipelines/Container.h"
#include <gtest/gtest.h>

using namespace lowbit;

namespace {

TEST(Container, TensorsAreAlignedAndTheReaderAgrees) {
  Container container;
  size_t text = container.add("text", "{}", ' ');
  size_t room = container.addRoom("room", 100);
  size_t last = container.addRoom("last", 32, /*exact=*/true);
  ASSERT_FALSE(container.finish({{"kind", "test"}}));
  EXPECT_EQ(container.bytes(text), 64u);
  EXPECT_EQ(container.bytes(room), 128u);
  EXPECT_EQ(container.bytes(last), 32u);
  EXPECT_EQ(container.offset(text) % 64, 0u);
  EXPECT_EQ(container.offset(room), container.offset(text) + 64);
  EXPECT_EQ(container.fileBytes(), container.offset(last) + 32);

  std::string file(container.fileBytes(), 'x');
  container.write(reinterpret_cast<uint8_t *>(file.data()));
  EXPECT_EQ(file.substr(container.offset(text), 64),
            "{}" + std::string(62, ' '));
  EXPECT_EQ(file[container.offset(room)], 'x') << "room is left alone";
  auto header = readSafetensorsHeader(bytesOf(file), "test");
  ASSERT_TRUE(bool(header)) << header.error().message;
  ASSERT_EQ(header->entries.size(), 3u);
  EXPECT_EQ(header->entries[1].name, "room");
  EXPECT_EQ(header->dataStart + header->entries[1].begin,
            container.offset(room));
}

TEST(Container, RefusesSizesThatDoNotAdd) {
  Container container;
  container.addRoom("a", uint64_t(1) << 62);
  container.addRoom("b", uint64_t(1) << 62);
  Status status = container.finish({});
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code, ExitCode::Unsupported);
}

} // namespace
