//===- EmitObjectTest.cpp - Kernel functions to objects ---------*- C++ -*-===//

#include "lowbit/Target/EmitObject.h"
#include "TestKernels.h"
#include "lowbit/Target/LinkObject.h"
#include "lowbit/Target/TargetInfo.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace lowbit;
using namespace lowbit::test;

TEST(TargetInfo, VariantsAscendAndAreWhatTheRuntimeAsksFor) {
  llvm::ArrayRef<TargetInfo> x86 = getVariants("x86_64");
  ASSERT_EQ(x86.size(), 3u);
  for (uint32_t i = 0; i < 3; ++i)
    EXPECT_EQ(x86[i].variant, i);
  EXPECT_FALSE(x86[0].hasFma);
  EXPECT_TRUE(x86[1].hasFma && x86[1].hasF16Conversion && x86[1].hasAvx2);
  EXPECT_TRUE(x86[2].hasAvx512Vnni);
  EXPECT_EQ(getVariants("aarch64").size(), 1u);
  EXPECT_TRUE(getVariants("riscv64").empty());
}

TEST(EmitObject, OneObjectForEachKernelAndTheTable) {
  KernelContext context;
  auto module = context.parse(doubleKernel("", 0) + doubleKernel("", 1));
  Result<std::vector<std::string>> objects = emitObjects(*module, {});
  ASSERT_TRUE(objects) << objects.error().message;
  EXPECT_EQ(objects->size(), 3u);
}

TEST(EmitObject, BytesDoNotDependOnJobs) {
  KernelContext context;
  std::string text;
  for (int i = 0; i < 12; ++i)
    text += doubleKernel(std::to_string(i), i % 3);
  auto module = context.parse(text);
  EmitOptions one, four;
  four.jobs = 4;
  Result<std::vector<std::string>> a = emitObjects(*module, one);
  Result<std::vector<std::string>> b = emitObjects(*module, four);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(*a, *b);
  Result<std::string> first = linkObjects(*a), second = linkObjects(*b);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
}

TEST(EmitObject, LeavesTheDumpOfEachKernel) {
  KernelContext context;
  auto module = context.parse(doubleKernel("", 1));
  llvm::SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("lowbit-dump", folder));
  EmitOptions options;
  options.dumpDirectory = (folder + "/new").str();
  ASSERT_TRUE(emitObjects(*module, options));
  auto holds = [&](llvm::StringRef suffix, llvm::StringRef text) {
    auto file = llvm::MemoryBuffer::getFile(options.dumpDirectory +
                                            "/double.v1." + suffix);
    return file && (*file)->getBuffer().contains(text);
  };
  EXPECT_TRUE(holds("vector.mlir", "scf.for"));
  EXPECT_TRUE(holds("llvm.mlir", "llvm.func"));
  EXPECT_TRUE(holds("ll", "define hidden void @double.v1"));
  EXPECT_TRUE(holds("s", "vaddps"));
  // The AVX2 variant uses 256-bit registers, nothing wider.
  EXPECT_TRUE(holds("s", "ymm"));
  EXPECT_FALSE(holds("s", "zmm"));
  llvm::sys::fs::remove_directories(folder);
}

TEST(EmitObject, RefusesWhatTheTableCannotHold) {
  KernelContext context;
  auto code = [&](llvm::StringRef text, EmitOptions options = {}) {
    auto module = context.parse(text);
    EXPECT_TRUE(module);
    Result<std::vector<std::string>> objects = emitObjects(*module, options);
    return objects ? ExitCode::Ok : objects.error().code;
  };
  EmitOptions unknown;
  unknown.target = "riscv64";
  EXPECT_EQ(code(doubleKernel("", 0), unknown), ExitCode::Unsupported);
  EXPECT_EQ(code(doubleKernel("", 7)), ExitCode::Unsupported);
  // An entry twice, under two symbols.
  std::string again = doubleKernel("", 0);
  again.replace(again.find("@double"), 7, "@second");
  EXPECT_EQ(code(doubleKernel("", 0) + again), ExitCode::Unsupported);
  EXPECT_EQ(code("func.func @f(%a: i64) { return }"), ExitCode::Unsupported);
  EXPECT_EQ(code("func.func @f(%a: !llvm.ptr, %b: i64, %c: i64, %d: i64, "
                 "%e: !llvm.ptr) { return }"),
            ExitCode::Unsupported);
}

TEST(EmitObject, MakesNoCallsOfLoopsThatLookLikeMemset) {
  KernelContext context;
  // What LLVM would turn into memset if it could.
  auto module = context.parse(R"mlir(
    func.func @clear.v0(%args: !llvm.ptr, %rows: i64, %begin: i64, %end: i64,
                        %scratch: !llvm.ptr)
        attributes {lowbit.kernel = "clear", lowbit.variant = 0 : i32} {
      %one = arith.constant 1 : i64
      %zero = arith.constant 0 : i8
      scf.for %i = %begin to %end step %one : i64 {
        %place = llvm.getelementptr %scratch[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i8
        llvm.store %zero, %place : i8, !llvm.ptr
      }
      return
    })mlir");
  Result<std::vector<std::string>> objects = emitObjects(*module, {});
  ASSERT_TRUE(objects);
  Result<std::string> code = linkObjects(*objects);
  EXPECT_TRUE(code) << code.error().message;
}

TEST(EmitObject, TheTableLeadsToCodeThatRuns) {
  KernelContext context;
  auto module = context.parse(doubleKernel("", 0));
  Result<std::vector<std::string>> objects = emitObjects(*module, {});
  ASSERT_TRUE(objects);
  Result<std::string> code = linkObjects(*objects);
  ASSERT_TRUE(code) << code.error().message;
  int file = memfd_create("kernels", 0);
  ASSERT_EQ(write(file, code->data(), code->size()), ssize_t(code->size()));
  void *library = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(),
                         RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(library) << dlerror();
  using Function =
      void (*)(uint8_t *const *, int64_t, int64_t, int64_t, uint8_t *);
  struct Entry {
    const char *name;
    uint32_t variant, reserved;
    Function function;
  };
  struct Table {
    uint32_t abi, count;
    const Entry *entries;
  };
  auto *table = static_cast<Table *>(dlsym(library, "lowbit_kernels"));
  ASSERT_TRUE(table);
  EXPECT_EQ(table->abi, 1u);
  ASSERT_EQ(table->count, 1u);
  EXPECT_STREQ(table->entries->name, "double");
  EXPECT_EQ(table->entries->variant, 0u);
  EXPECT_EQ(table->entries->reserved, 0u);
  float data[48];
  for (int i = 0; i < 48; ++i)
    data[i] = float(i);
  uint8_t *argument = reinterpret_cast<uint8_t *>(data);
  table->entries->function(&argument, 3, 1, 3, nullptr);
  for (int i = 0; i < 48; ++i)
    EXPECT_EQ(data[i], float(i < 16 ? i : 2 * i));
  dlclose(library);
  close(file);
}
