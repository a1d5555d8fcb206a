//===- CodeGeneratorTest.cpp - The child and its deaths ---------*- C++ -*-===//
//
// This program is its own child: main hands over to the code generator where
// the command line says so. A module attribute tells the child how to end.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Target/CodeGenerator.h"
#include "TestKernels.h"
#include "lowbit/Target/LinkObject.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include <csignal>
#include <cstdlib>
#include <gtest/gtest.h>

using namespace lowbit;
using namespace lowbit::test;

/// Ends the child as the module asks; else there is nothing to lower.
static bool lowerForTest(mlir::ModuleOp module, const EmitOptions &) {
  if (module->hasAttr("test.refuse")) {
    module.emitError("asked to refuse");
    return false;
  }
  if (module->hasAttr("test.abort"))
    std::abort();
  if (module->hasAttr("test.fatal"))
    llvm::report_fatal_error("asked to die");
  if (module->hasAttr("test.kill"))
    raise(SIGKILL);
  if (module->hasAttr("test.exit"))
    std::exit(3);
  return true;
}

int main(int argc, char **argv) {
  if (isCodeGeneratorCall(argc, argv)) {
    mlir::DialectRegistry registry;
    return runCodeGenerator(argc, argv, registry, lowerForTest);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

namespace {

/// Kernels, a folder for reproducers, and the call.
class CodeGenerator : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("lowbit-test", folder));
    options.program = llvm::sys::fs::getMainExecutable("", nullptr);
    options.reproducerDirectory = folder.str().str();
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  Result<std::string> generate(llvm::StringRef attribute = "") {
    auto module = context.parse(doubleKernel("", 0) + doubleKernel("", 1));
    if (!attribute.empty())
      (*module)->setAttr(attribute, mlir::UnitAttr::get(module->getContext()));
    return generateCode(*module, options);
  }
  std::vector<std::string> reproducers() {
    std::vector<std::string> files;
    std::error_code error;
    for (llvm::sys::fs::directory_iterator i(folder, error), end;
         !error && i != end; i.increment(error))
      files.push_back(i->path());
    return files;
  }

  KernelContext context;
  llvm::SmallString<128> folder;
  CodeGeneratorOptions options;
};

} // namespace

TEST_F(CodeGenerator, ReturnsTheLinkedCode) {
  Result<std::string> code = generate();
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_FALSE(verifyCodeObject(*code));
  // The same bytes with another number of jobs.
  options.emit.jobs = 3;
  Result<std::string> again = generate();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*code, *again);
  EXPECT_TRUE(reproducers().empty());
}

TEST_F(CodeGenerator, ReportsARefusalWithoutReproducer) {
  Result<std::string> code = generate("test.refuse");
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, ExitCode::Unsupported);
  EXPECT_NE(code.error().message.find("asked to refuse"), std::string::npos)
      << code.error().message;
  EXPECT_TRUE(reproducers().empty());
}

TEST_F(CodeGenerator, SurvivesTheChildsDeath) {
  for (const char *attribute :
       {"test.abort", "test.fatal", "test.kill", "test.exit"}) {
    Result<std::string> code = generate(attribute);
    ASSERT_FALSE(code) << attribute;
    EXPECT_EQ(code.error().code, ExitCode::Internal) << attribute;
    std::vector<std::string> files = reproducers();
    ASSERT_EQ(files.size(), 1u) << attribute;
    EXPECT_NE(code.error().message.find(files[0]), std::string::npos)
        << code.error().message;
    auto file = llvm::MemoryBuffer::getFile(files[0]);
    ASSERT_TRUE(file);
    // The reproducer is the module and can be read back.
    EXPECT_TRUE((*file)->getBuffer().contains(attribute));
    EXPECT_TRUE(context.parse((*file)->getBuffer()));
    llvm::sys::fs::remove(files[0]);
  }
}

TEST_F(CodeGenerator, NamesAProgramThatCannotBeStarted) {
  options.program = "/nowhere/lowbit-compile";
  Result<std::string> code = generate();
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, ExitCode::IO);
  EXPECT_NE(code.error().message.find(options.program), std::string::npos);
}

TEST_F(CodeGenerator, DoesNotMistakeOtherCommandLines) {
  char program[] = "p", flag[] = "--lowbit-generate-code", other[] = "x";
  char *calls[] = {program, flag, other};
  EXPECT_FALSE(isCodeGeneratorCall(1, calls));
  EXPECT_FALSE(isCodeGeneratorCall(3, calls));
}
