//===- LinkObjectTest.cpp - What a code object must not have ----*- C++ -*-===//
//
// Shared objects with one defect each, made by the system's C compiler.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Target/LinkObject.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>

using namespace lowbit;

/// Compiles `source` with `flags`; the bytes, or nothing where that failed.
static std::string compile(const std::string &source,
                           const std::string &flags) {
  llvm::SmallString<128> folder;
  if (llvm::sys::fs::createUniqueDirectory("lowbit-cc", folder))
    return {};
  std::string path = folder.str().str();
  std::ofstream(path + "/a.c") << source;
  std::string command = std::string(LOWBIT_TEST_CC) +
                        " -w -fPIC -nostdlib -O1 " + flags + " " + path +
                        "/a.c -o " + path + "/a.so 2>/dev/null";
  std::string bytes;
  if (std::system(command.c_str()) == 0)
    if (auto file = llvm::MemoryBuffer::getFile(path + "/a.so"))
      bytes = (*file)->getBuffer().str();
  llvm::sys::fs::remove_directories(folder);
  return bytes;
}

static const char *const table = "const int lowbit_kernels[4] = {1};";

TEST(LinkObject, AcceptsThePlainObject) {
  std::string bytes = compile(table, "-shared");
  ASSERT_FALSE(bytes.empty()) << "no C compiler";
  Status status = verifyCodeObject(bytes);
  EXPECT_FALSE(status) << status->message;
}

TEST(LinkObject, RefusesEachDefect) {
  struct Case {
    const char *what, *source, *flags, *message;
  };
  const Case cases[] = {
      {"needed library", "", "-shared -Wl,--no-as-needed -lc", "NEEDED"},
      {"undefined symbol",
       "extern int missing(void); int (*hidden_use)(void) "
       "__attribute__((visibility(\"hidden\"))) = missing;",
       "-shared", "missing"},
      {"constructor",
       "__attribute__((constructor)) static void f(void) { "
       "__asm__ volatile(\"\"); }",
       "-shared", "INIT_ARRAY"},
      {"destructor",
       "__attribute__((destructor)) static void f(void) { "
       "__asm__ volatile(\"\"); }",
       "-shared", "FINI_ARRAY"},
      {"second export", "int other = 3;", "-shared", "exports 'other'"},
      {"executable data", "", "-shared -fuse-ld=lld -Wl,-N", "executable"},
      {"no table",
       "#define lowbit_kernels f\n__attribute__((visibility(\"hidden\"))) int "
       "f(void) { return 1; }",
       "-shared", "lowbit_kernels"},
  };
  for (const Case &c : cases) {
    std::string source = std::string(c.source) + "\n" +
                         (std::string(c.what) == "no table" ? "" : table);
    std::string bytes = compile(source, c.flags);
    ASSERT_FALSE(bytes.empty()) << c.what;
    Status status = verifyCodeObject(bytes);
    ASSERT_TRUE(status) << c.what;
    EXPECT_EQ(status->code, ExitCode::Internal);
    EXPECT_NE(status->message.find(c.message), std::string::npos)
        << c.what << ": " << status->message;
  }
}

TEST(LinkObject, RefusesWhatIsNoSharedObject) {
  EXPECT_TRUE(verifyCodeObject(""));
  EXPECT_TRUE(verifyCodeObject("not an ELF file at all"));
  EXPECT_TRUE(verifyCodeObject(compile(table, "-c")));
}

TEST(LinkObject, SurvivesEveryTruncation) {
  std::string bytes = compile(table, "-shared");
  ASSERT_FALSE(bytes.empty());
  for (size_t size = 0; size < bytes.size(); size += 7)
    (void)verifyCodeObject(llvm::StringRef(bytes).take_front(size));
}

TEST(LinkObject, ReportsTheLinker) {
  Result<std::string> code = linkObjects({std::string("no object")});
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, ExitCode::Internal);
  EXPECT_NE(code.error().message.find("ld.lld"), std::string::npos);
}
