//===- CrossKernelTest.cpp - AArch64 gives the bits of x86-64 ---*- C++ -*-===//
//
// Every family is compiled for aarch64 as well, linked, and run under
// qemu-aarch64 by Inputs/replay.c on the same arguments; all arguments are
// compared to the bit afterwards. Skipped, and said so, where qemu or the cross
// compiler is missing.
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"
#include "NaiveSteps.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Program.h"
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

using namespace lowbit::test;
using llvm::formatv;

namespace {

using Argument = std::vector<uint8_t>;

/// A kernel, its text, and what it is called with.
struct Call {
  std::string name;
  std::string family;
  std::string parameters;
  int64_t rows, items;
  std::vector<Argument> arguments;
};

template <typename T> Argument bytesOfValues(const std::vector<T> &values) {
  Argument bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

Argument floats(int64_t count, uint64_t seed, float scale = 1.0f) {
  return bytesOfValues(randomFloats(count, seed, false, scale));
}

Argument zeros(int64_t bytes) { return Argument(size_t(bytes)); }

/// Random bytes that are small positive numbers whatever is read from them: f16
/// and E4M3 scales, codes, factors.
Argument packedWeights(int64_t bytes) {
  std::mt19937_64 random{uint64_t(bytes)};
  Argument result(size_t(bytes), 0);
  for (uint8_t &byte : result)
    byte = uint8_t(random()) & 0x3B;
  return result;
}

/// (sequence, position) of five rows, within two pages of each sequence.
Argument rowPairs() {
  return bytesOfValues(std::vector<int32_t>{0, 0, 1, 5, 0, 64, 1, 100, 0, 127});
}

constexpr int64_t rows = 5;

void addRowCalls(std::vector<Call> &calls) {
  constexpr int64_t n = 77;
  calls.push_back(
      {"add",
       "add",
       "columns = 77, a_offset = 0, a_stride = 77, b_offset = 0, "
       "b_stride = 77",
       rows,
       rows,
       {floats(rows * n, 1), floats(rows * n, 2), zeros(rows * n * 4)}});
  calls.push_back({"gate",
                   "gate",
                   "columns = 77, gate_offset = 0, gate_stride = 154, "
                   "up_offset = 77, up_stride = 154",
                   rows,
                   rows,
                   {floats(2 * rows * n, 3, 9.0f), floats(2 * rows * n, 4),
                    zeros(rows * n * 4)}});
  calls.push_back({"norm",
                   "rms_norm",
                   "columns = 77, eps = 1.0e-5 : f32, x_offset = 0, x_stride "
                   "= 77",
                   rows,
                   rows,
                   {floats(rows * n, 5), floats(n, 6), zeros(rows * n * 4)}});
  calls.push_back(
      {"select",
       "select_rows",
       "columns = 77, x_offset = 0, x_stride = 77",
       2,
       2,
       {floats(rows * n, 7), bytesOfValues(std::vector<int32_t>{4, 1}),
        zeros(2 * n * 4)}});
  calls.push_back(
      {"quantize",
       "quantize_rows",
       "prologue = \"gate\", columns = 77, planes = 2, sum_group "
       "= 32, gate_offset = 0, gate_stride = 154, up_offset = 77, "
       "up_stride = 154",
       rows,
       rows,
       {floats(2 * rows * n, 8), floats(2 * rows * n, 9), zeros(rows * 2 * 192),
        zeros(rows * 4), zeros(rows * 2 * 3 * 4)}});
  calls.push_back({"diagonal",
                   "diagonal_moments",
                   "columns = 77, x_offset = 0, x_stride = 77",
                   rows,
                   5,
                   {floats(rows * n, 12), floats(n, 13)}});
  calls.push_back({"rotary",
                   "rotary",
                   "columns = 66, head_dim = 22, x_offset = 11, x_stride = 77",
                   rows,
                   rows,
                   {floats(rows * n, 14), floats(rows * 11, 15),
                    floats(rows * 11, 16), zeros(rows * 66 * 4)}});
  calls.push_back({"moments",
                   "second_moments",
                   "columns = 77, x_offset = 0, x_stride = 77",
                   rows,
                   5,
                   {floats(rows * n, 10), floats(n * n, 11)}});
}

void addEmbeddingCalls(std::vector<Call> &calls) {
  const char *types[] = {
      "tensor<33x77xbf16>", "tensor<33x77xf16>",
      "tensor<33x77xf32, #lowbit.int<3, group = 32, scale = f8E4M3FN, offset "
      "= stored>>",
      "tensor<33x77xf32, #lowbit.int<4, group = 64, scale = f16, offset = "
      "half>>"};
  Argument ids = bytesOfValues(std::vector<int32_t>{32, 0, 17, 15, 1});
  for (size_t i = 0; i < std::size(types); ++i)
    calls.push_back(
        {formatv("embedding{0}", i).str(),
         "embedding",
         formatv("type = {0}", types[i]).str(),
         rows,
         rows,
         {ids, packedWeights(3 * 16 * 77 * 4 + 64), zeros(rows * 77 * 4)}});
}

void addCacheCalls(std::vector<Call> &calls) {
  calls.push_back({"table",
                   "rotary_table",
                   "frequencies = array<f32: 1.0, 0.31, 0.1, 0.031, 0.01, "
                   "0.0031, 0.001, 0.00031, 0.0001>",
                   rows,
                   rows,
                   {rowPairs(), zeros(rows * 9 * 4), zeros(rows * 9 * 4)}});
  Argument pages = bytesOfValues(std::vector<int32_t>{3, 1, 0, 2});
  for (const char *type : {"f16", "i8", "i4", "i2"}) {
    bool isHalf = type == std::string("f16");
    bool isGrouped = type[1] == '4' || type[1] == '2';
    // Of one head at one position: codes, and scales (with zero points).
    int64_t codes = isHalf ? 36 : !isGrouped ? 18 : type[1] == '4' ? 9 : 5;
    int64_t scales = isHalf ? 0 : isGrouped ? 3 : 4;
    int64_t pageBytes = 2 * 2 * 64 * (codes + scales);
    std::string shape =
        formatv("heads = 6, kv_heads = 2, head_dim = 18, cache = {0}{2}, "
                "page_bytes = {1}, pages_per_sequence = 2",
                type, pageBytes, isGrouped ? ", cache_group = 0" : "")
            .str();
    calls.push_back({formatv("cache_{0}", type).str(),
                     "rotary_cache",
                     shape + ", q_offset = 0, q_stride = 108, k_offset = 0, "
                             "k_stride = 36, v_offset = 0, v_stride = 36",
                     rows,
                     rows,
                     {floats(rows * 108, 12), floats(rows * 36, 13),
                      floats(rows * 36, 14), rowPairs(), floats(rows * 9, 15),
                      floats(rows * 9, 16), pages, zeros(4 * pageBytes)}});
    calls.push_back({formatv("attention_{0}", type).str(),
                     "attention",
                     shape + ", scale = 0.25 : f32, q_offset = 0, q_stride = "
                             "108",
                     rows,
                     2 * rows,
                     {floats(rows * 108, 17), rowPairs(), pages,
                      packedWeights(4 * pageBytes), zeros(rows * 108 * 4)}});
  }
}

void addLinearCalls(std::vector<Call> &calls) {
  constexpr int64_t outputs = 40, inputs = 172, padded = 192 + 64;
  const char *formats[] = {"2, group = 64, scale = f16, offset = half",
                           "3, group = 32, scale = f16, offset = integer",
                           "4, group = 128, scale = f8E4M3FN, offset = stored",
                           "8, group = row, scale = f16, offset = integer"};
  const int64_t sumGroups[] = {64, 32, 128, 512};
  for (size_t i = 0; i < std::size(formats); ++i)
    for (int64_t bucket : {1, 16, 32}) {
      int64_t tokens = bucket == 1 ? 1 : bucket == 16 ? 7 : 33;
      int64_t groups = (inputs + sumGroups[i] - 1) / sumGroups[i];
      std::vector<int8_t> q(tokens * 2 * padded);
      std::vector<int32_t> sums(tokens * 2 * groups);
      std::mt19937_64 random(i);
      for (int64_t plane = 0; plane < 2 * tokens; ++plane)
        for (int64_t k = 0; k < inputs; ++k) {
          int8_t value = int8_t(random() % 255 - 127);
          q[plane * padded + k] = value;
          sums[plane * groups + k / sumGroups[i]] += value;
        }
      calls.push_back(
          {formatv("linear{0}_{1}", i, bucket).str(),
           "linear",
           formatv("type = tensor<40x172xf32, #lowbit.int<{0}>>, activation = "
                   "i16, bucket = {1}, bias = true, residual = false, y_stride "
                   "= 40",
                   formats[i], bucket)
               .str(),
           tokens,
           bucket == 32 ? 2 : 3,
           {bytesOfValues(q), floats(tokens, 20, 0.01f), bytesOfValues(sums),
            packedWeights(3 * 16 * 400), floats(outputs, 21),
            zeros(tokens * outputs * 4)}});
    }
  calls.push_back({"linear_f32",
                   "linear",
                   "type = tensor<40x172xbf16>, activation = f32, bucket = 16, "
                   "bias = false, residual = false, x_offset = 0, x_stride = "
                   "172, y_stride = 40",
                   7,
                   3,
                   {floats(7 * inputs, 22), packedWeights(3 * 16 * inputs * 2),
                    zeros(7 * outputs * 4)}});
}

std::string textOf(const std::vector<Call> &calls) {
  std::string text;
  for (const Call &call : calls)
    text += formatv("lowbit.kernel @{0} family \"{1}\" {{{2}}\n", call.name,
                    call.family, call.parameters)
                .str();
  return text;
}

/// All arguments after all calls, by the portable variant of x86-64.
Argument runHere(KernelHarness &kernels, const std::vector<Call> &calls,
                 uint32_t variant) {
  Argument results;
  for (const Call &call : calls) {
    std::vector<std::unique_ptr<Guarded<uint8_t>>> copies;
    std::vector<const void *> pointers;
    for (const Argument &argument : call.arguments) {
      copies.push_back(std::make_unique<Guarded<uint8_t>>(argument));
      pointers.push_back(copies.back()->data());
    }
    kernels.run(call.name, variant, pointers, call.rows, call.items);
    for (auto &copy : copies) {
      EXPECT_TRUE(copy->intact()) << call.name;
      results.insert(results.end(), copy->data(), copy->data() + copy->size());
    }
  }
  return results;
}

void put(std::ofstream &file, int64_t value) {
  file.write(reinterpret_cast<const char *>(&value), 8);
}

/// The same under qemu; empty where that failed.
Argument runThere(KernelHarness &kernels, const std::vector<Call> &calls,
                  const std::string &folder) {
  std::ofstream(folder + "/code.so", std::ios::binary) << kernels.code();
  std::ofstream file(folder + "/calls", std::ios::binary);
  for (const Call &call : calls) {
    put(file, int64_t(call.name.size()));
    file << call.name;
    put(file, call.rows);
    put(file, call.items);
    put(file, kernels.scratchBytes(call.name));
    put(file, int64_t(call.arguments.size()));
    for (const Argument &argument : call.arguments) {
      put(file, int64_t(argument.size()));
      file.write(reinterpret_cast<const char *>(argument.data()),
                 std::streamsize(argument.size()));
    }
  }
  file.close();
  std::string command =
      "aarch64-linux-gnu-gcc -O1 -Wall -Werror '" LOWBIT_SOURCE_DIR
      "/test/Unit/Conversion/Inputs/replay.c' -o " +
      folder + "/replay -ldl && qemu-aarch64 -L /usr/aarch64-linux-gnu " +
      folder + "/replay " + folder + "/code.so " + folder + "/calls " + folder +
      "/results";
  if (std::system(command.c_str()) != 0)
    return {};
  std::ifstream results(folder + "/results", std::ios::binary);
  return Argument(std::istreambuf_iterator<char>(results), {});
}

} // namespace

TEST(CrossKernel, AArch64GivesTheBitsOfX86) {
  if (!llvm::sys::findProgramByName("qemu-aarch64") ||
      !llvm::sys::findProgramByName("aarch64-linux-gnu-gcc"))
    GTEST_SKIP() << "SKIPPED: qemu-aarch64 or aarch64-linux-gnu-gcc is missing";
  std::vector<Call> calls;
  addRowCalls(calls);
  addEmbeddingCalls(calls);
  addCacheCalls(calls);
  addLinearCalls(calls);
  KernelHarness here(textOf(calls)), there(textOf(calls), "aarch64");
  ASSERT_TRUE(here.ok());
  ASSERT_FALSE(there.code().empty());
  llvm::SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("lowbit-cross", folder));
  Argument expected = runHere(here, calls, 0);
  Argument actual = runThere(there, calls, folder.str().str());
  llvm::sys::fs::remove_directories(folder);
  ASSERT_EQ(actual.size(), expected.size());
  size_t at = 0;
  for (const Call &call : calls)
    for (size_t i = 0; i < call.arguments.size(); ++i) {
      EXPECT_TRUE(equalBytes(&expected[at], &actual[at],
                             call.arguments[i].size(),
                             formatv("{0} argument {1}", call.name, i).str()));
      at += call.arguments[i].size();
    }
  for (uint32_t variant : runnableVariants())
    EXPECT_EQ(runHere(here, calls, variant), expected) << variant;
}
