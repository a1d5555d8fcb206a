//===- CodeObjectTest.cpp - Only plain objects are loaded -----------------===//
#include "lowbit/Runtime/CodeObject.h"

#include "TinyModel.h"

#include <cstring>
#include <elf.h>
#include <functional>
#include <gtest/gtest.h>
#include <random>

using namespace lowbit;
using namespace lowbit::test;

namespace {

void expectRefused(const std::string &object, const char *reason,
                   ExitCode code = ExitCode::Mismatch) {
  auto loaded = CodeObject::load(bytesOf(object), "m.lowbit");
  ASSERT_FALSE(bool(loaded)) << "expected: " << reason;
  EXPECT_EQ(loaded.error().code, code);
  EXPECT_NE(loaded.error().message.find(reason), std::string::npos)
      << "expected '" << reason << "', got '" << loaded.error().message << "'";
}

/// The tiny object with each program header passed through `change`.
std::string withSegments(const std::function<void(Elf64_Phdr &)> &change) {
  std::string object = tinyCode();
  Elf64_Ehdr header;
  memcpy(&header, object.data(), sizeof(header));
  for (int i = 0; i < header.e_phnum; ++i) {
    char *place = object.data() + header.e_phoff + i * sizeof(Elf64_Phdr);
    Elf64_Phdr segment;
    memcpy(&segment, place, sizeof(segment));
    change(segment);
    memcpy(place, &segment, sizeof(segment));
  }
  return object;
}

} // namespace

TEST(CodeObject, LoadsAPlainObjectAndRunsIt) {
  auto object = CodeObject::load(bytesOf(tinyCode()), "m");
  ASSERT_TRUE(bool(object)) << object.error().message;
  EXPECT_EQ(object->kernels().size(), 5u);
  auto kernel = chooseKernel(object->kernels(), "pick", Variant::AVX512, "m");
  ASSERT_TRUE(bool(kernel));
  float y[16], z[8];
  for (int i = 0; i < 16; ++i)
    y[i] = static_cast<float>(i);
  int32_t select = 1;
  uint8_t *args[] = {reinterpret_cast<uint8_t *>(y),
                     reinterpret_cast<uint8_t *>(&select),
                     reinterpret_cast<uint8_t *>(z)};
  (*kernel)(args, 1, 0, 1, nullptr);
  EXPECT_EQ(z[0], 8.0f);
}

TEST(CodeObject, KeepsSeveralObjectsApart) {
  // The loader knows objects by path; descriptors are reused.
  std::string other = tinySource();
  size_t at = other.find("\"pick\", 0");
  other.replace(at, 9, "\"push\", 0");
  auto first = CodeObject::load(bytesOf(tinyCode()), "m");
  {
    auto gone = CodeObject::load(bytesOf(tinyCode()), "m");
  }
  auto second = CodeObject::load(bytesOf(compileObject(other)), "m");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->kernels().count("pick"), 1u);
  EXPECT_EQ(second->kernels().count("pick"), 0u);
  EXPECT_EQ(second->kernels().count("push"), 1u);
}

TEST(CodeObject, RefusesNeededLibraries) {
  expectRefused(compileObject(tinySource(), "-Wl,--no-as-needed -lc"),
                "DT_NEEDED");
}

TEST(CodeObject, RefusesConstructorsAndDestructors) {
  expectRefused(
      compileObject(tinySource() +
                    "static volatile int n; __attribute__((constructor)) "
                    "static void c(void) { n = 1; }"),
      "constructors");
  expectRefused(
      compileObject(tinySource() +
                    "static volatile int n; __attribute__((destructor)) "
                    "static void d(void) { n = 1; }"),
      "destructors");
  expectRefused(
      compileObject(tinySource() + "void start(void) {}", "-Wl,-init=start"),
      "constructors");
}

TEST(CodeObject, RefusesUndefinedSymbols) {
  expectRefused(
      compileObject(tinySource() +
                    "__attribute__((visibility(\"default\"))) extern int "
                    "elsewhere; int *p = &elsewhere;"),
      "");
  expectRefused(compileObject(tinySource() +
                              "__attribute__((visibility(\"default\"))) int "
                              "outside(void); int call(void) { return "
                              "outside(); } int (*q)(void) = call;"),
                "");
}

TEST(CodeObject, RefusesIndirectFunctions) {
  expectRefused(
      compileObject(
          tinySource() +
          "static void f1(void) {} static void *r(void) { return f1; } "
          "static void f(void) __attribute__((ifunc(\"r\"))); void (*p)(void) "
          "= f;"),
      "IFUNC");
}

TEST(CodeObject, RefusesTextRelocations) {
  expectRefused(compileObject(tinySource() +
                                  "__asm__(\".text\\n.quad entries_here\\n"
                                  ".data\\nentries_here: .quad 0\\n\");",
                              "-Wl,-z,notext"),
                "text relocations");
}

TEST(CodeObject, RefusesAnythingElseExported) {
  expectRefused(
      compileObject(tinySource() +
                    "__attribute__((visibility(\"default\"))) int more = 1;"),
      "exports \"more\"");
  expectRefused(compileObject("int nothing = 0;"), "exports 0 tables");
  expectRefused(compileObject("__attribute__((visibility(\"default\"))) void "
                              "lowbit_kernels(void) {}"),
                "lowbit_kernels");
}

TEST(CodeObject, RefusesThreadLocalStorage) {
  expectRefused(compileObject(tinySource() +
                                  "static __thread int t; int *p(void) { "
                                  "return &t; }",
                              "-ftls-model=initial-exec"),
                "PT_TLS");
}

TEST(CodeObject, RefusesAnExecutableStack) {
  expectRefused(compileObject(tinySource(), "-Wl,-z,execstack"),
                "executable stack");
}

TEST(CodeObject, RefusesSegmentsThatAreWritableAndExecutable) {
  expectRefused(withSegments([](Elf64_Phdr &segment) {
                  if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X))
                    segment.p_flags |= PF_W;
                }),
                "writable and executable");
}

TEST(CodeObject, RefusesAnInterpreter) {
  expectRefused(withSegments([](Elf64_Phdr &segment) {
                  if (segment.p_type == PT_GNU_STACK)
                    segment.p_type = PT_INTERP;
                }),
                "PT_INTERP");
}

TEST(CodeObject, RefusesOtherMachinesAsUnsupported) {
  std::string object = tinyCode();
  uint16_t machine = EM_PPC64;
  memcpy(object.data() + offsetof(Elf64_Ehdr, e_machine), &machine, 2);
  expectRefused(object, "another machine", ExitCode::Unsupported);
}

TEST(CodeObject, RefusesAnotherAbi) {
  expectRefused(compileObject(tinySource(2)), "ABI 2");
}

TEST(CodeObject, RefusesTablesThatAreWrong) {
  std::string twice = tinySource();
  twice.replace(twice.find("\"head\", 1"), 9, "\"head\", 0");
  expectRefused(compileObject(twice), "repeats \"head\"");
  std::string variant = tinySource();
  variant.replace(variant.find("\"head\", 1"), 9, "\"head\", 3");
  expectRefused(compileObject(variant), "variant 3");
}

TEST(CodeObject, SurvivesEveryPrefixAndManyFlips) {
  const std::string &object = tinyCode();
  for (size_t length = 0; length < object.size(); ++length) {
    // A copy of exactly that size, so that a sanitizer sees any access beyond.
    std::string cut(object, 0, length);
    cut.shrink_to_fit();
    (void)checkCodeObject(bytesOf(cut), "m");
  }
  EXPECT_TRUE(checkCodeObject(bytesOf(object.substr(0, 1000)), "m"));
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = object;
    for (int k = random() % 4; k >= 0; --k)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    (void)checkCodeObject(bytesOf(damaged), "m");
  }
}

TEST(KernelTable, ChoosesTheLargestVariantAllowed) {
  auto object = CodeObject::load(bytesOf(tinyCode()), "m");
  ASSERT_TRUE(bool(object));
  KernelTable table = object->kernels();
  auto get = [&](const char *name, Variant limit) {
    return chooseKernel(table, name, limit, "m");
  };
  EXPECT_EQ(*get("head", Variant::AVX512), table["head"][1]);
  EXPECT_EQ(*get("head", Variant::Portable), table["head"][0]);
  EXPECT_EQ(*get("mean", Variant::AVX2), table["mean"][0]);
  auto none = get("tail", Variant::AVX2);
  ASSERT_FALSE(bool(none));
  EXPECT_EQ(none.error().code, ExitCode::Mismatch);
  table["mean"] = {nullptr, nullptr, table["mean"][0]};
  auto large = get("mean", Variant::AVX2);
  ASSERT_FALSE(bool(large));
  EXPECT_EQ(large.error().code, ExitCode::Unsupported);
  EXPECT_NE(large.error().message.find("avx512"), std::string::npos);
}

TEST(KernelTable, NamesVariantsAndWhatTheCpuLacks) {
  EXPECT_EQ(*parseVariant("avx2"), Variant::AVX2);
  EXPECT_EQ(parseVariant("sse").error().code, ExitCode::Usage);
  EXPECT_EQ(missingFeatures(Variant::Portable), "");
  EXPECT_EQ(missingFeatures(bestVariant()), "");
}
