//===- DeviceCodeTest.cpp - Every kernel for every GPU target ---*- C++ -*-===//
//
// All families and all integer formats, lowered for each GPU target: PTX always
// and, where there is an assembler, a cubin of which no kernel spills, has a
// stack or refers to anything external. What is skipped is printed.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Conversion/Passes.h"
#include "lowbit/Target/EmitDevice.h"
#include "lowbit/Target/TargetInfo.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FormatVariadic.h"
#include <cstdlib>
#include <gtest/gtest.h>

using namespace lowbit;
using llvm::formatv;

namespace {

std::string linearText(int bits, llvm::StringRef group, llvm::StringRef offset,
                       llvm::StringRef activation, int bucket) {
  return formatv("lowbit.kernel @linear_{0}_{1}_{2}_{3}_b{4} family \"linear\" "
                 "{{type = tensor<4096x4096xf32, #lowbit.int<{0}, group = {1}, "
                 "scale = {5}, offset = {2}>>, activation = {3}, bucket = {4}, "
                 "bias = false, residual = true, y_stride = 4096}\n",
                 bits, group, offset, activation, bucket,
                 bits % 2 == 0 && offset != "half" ? "f16" : "f8E4M3FN")
      .str();
}

std::string floatText(llvm::StringRef type, int bucket) {
  return formatv("lowbit.kernel @linear_{0}_b{1} family \"linear\" {{type = "
                 "tensor<1000x1100x{0}>, activation = f32, bucket = {1}, "
                 "x_offset = 0, x_stride = 1100, bias = true, residual = "
                 "false, y_stride = 1000}\n",
                 type, bucket)
      .str();
}

/// Kernels of the other families, of an 8B shape.
std::string rowText() {
  std::string text = R"(
    lowbit.kernel @add family "add" {columns = 4096, a_offset = 0, a_stride = 4096, b_offset = 0, b_stride = 4096}
    lowbit.kernel @gate family "gate" {columns = 14336, gate_offset = 0, gate_stride = 28672, up_offset = 14336, up_stride = 28672}
    lowbit.kernel @rms_norm family "rms_norm" {columns = 4096, eps = 1.0e-5 : f32, x_offset = 0, x_stride = 4096}
    lowbit.kernel @select_rows family "select_rows" {columns = 4096, x_offset = 0, x_stride = 4096}
    lowbit.kernel @rotary family "rotary" {columns = 4096, head_dim = 128, x_offset = 0, x_stride = 4096}
    lowbit.kernel @embedding family "embedding" {type = tensor<128256x4096xf32, #lowbit.int<8, group = 64, scale = f16, offset = integer>>}
    lowbit.kernel @embedding_f16 family "embedding" {type = tensor<128256x4096xf16>}
  )";
  for (const char *prologue : {"none", "rms_norm", "gate"})
    for (int planes : {1, 2})
      text += formatv("lowbit.kernel @quantize_{0}_{1} family "
                      "\"quantize_rows\" {{prologue = \"{0}\", columns = 4096, "
                      "planes = {1}, sum_group = 64, eps = 1.0e-5 : f32, "
                      "x_offset = 0, x_stride = 4096, gate_offset = 0, "
                      "gate_stride = 8192, up_offset = 4096, up_stride = "
                      "8192}\n",
                      prologue, planes)
                  .str();
  for (const char *cache : {"f16", "f32", "i8"}) {
    std::string common = formatv(
        "heads = 32, kv_heads = 8, head_dim = 128, cache = {0}, page_bytes = "
        "16777216, pages_per_sequence = 32, q_offset = 0, q_stride = 4096",
        cache);
    text += formatv("lowbit.kernel @attention_{0} family \"attention\" {{{1}, "
                    "scale = 0.088 : f32}\n"
                    "lowbit.kernel @rotary_cache_{0} family \"rotary_cache\" "
                    "{{{1}, k_offset = 4096, k_stride = 6144, v_offset = 5120, "
                    "v_stride = 6144}\n",
                    cache, common)
                .str();
  }
  text += "lowbit.kernel @rotary_table family \"rotary_table\" {frequencies = "
          "array<f32: 1.0";
  for (int i = 1; i < 64; ++i)
    text += formatv(", {0}", 1.0 / (1 << (i % 20))).str();
  return text + ">}\n";
}

std::string allKernels() {
  std::string text = rowText();
  for (int bits : {2, 3, 4, 8})
    for (const char *group : {"32", "64", "128", "row"})
      for (const char *offset : {"integer", "half", "stored"})
        for (const char *activation : {"i16", "i8"})
          // Offsets and widths take turns in the larger bucket.
          for (int bucket : {1, 16})
            if (bucket == 1 || llvm::StringRef(offset) == "half")
              text += linearText(bits, group, offset, activation, bucket);
  for (int bits : {5, 6, 7})
    text += linearText(bits, "64", "half", "i16", 1) +
            linearText(bits, "row", "stored", "i8", 16);
  text += linearText(1, "64", "half", "i16", 1);
  for (const char *type : {"f32", "f16", "bf16"})
    for (int bucket : {1, 16})
      text += floatText(type, bucket);
  return text;
}

class DeviceCodeOf : public testing::TestWithParam<const char *> {};

Result<DeviceCode> compile(const std::string &text,
                           const EmitOptions &options) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::DialectRegistry registry;
  registry.insert<LowbitDialect>();
  registerKernelDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    return Error{ExitCode::Usage, "kernels do not parse"};
  mlir::PassManager passes(&context);
  ConvertLowbitToTilesOptions toTiles;
  toTiles.target = options.target;
  passes.addPass(createConvertLowbitToTiles(toTiles));
  if (mlir::failed(passes.run(*module)))
    return Error{ExitCode::Unsupported, "kernels are not lowered"};
  return emitDeviceCode(*module, options);
}

} // namespace

TEST_P(DeviceCodeOf, EveryKernelIsAccepted) {
  EmitOptions options;
  options.target = GetParam();
  options.jobs = 2;
  if (const char *folder = std::getenv("LOWBIT_TEST_DUMP"))
    options.dumpDirectory = std::string(folder) + "/" + GetParam();
  bool isText = options.target == "ptx";
  if (!isText && !findAssembler(options)) {
    printf("SKIPPED cubins of %s: %s\n", GetParam(),
           findAssembler(options).error().message.c_str());
    return;
  }
  Result<DeviceCode> code = compile(allKernels(), options);
  ASSERT_TRUE(bool(code)) << code.error().message;
  if (isText) {
    llvm::StringRef ptx = code->bytes;
    EXPECT_GT(ptx.count(".entry"), 100u);
    EXPECT_FALSE(ptx.contains(".extern"));
    EXPECT_FALSE(ptx.contains(".approx"));
    EXPECT_FALSE(ptx.contains(".ftz"));
    EXPECT_FALSE(ptx.contains(".local"));
    EXPECT_TRUE(
        ptx.contains("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32"));
    printf("%zu kernels to PTX\n", ptx.count(".entry"));
    return;
  }
  EXPECT_GT(code->usage.size(), 100u);
  for (const KernelUsage &kernel : code->usage) {
    EXPECT_GT(kernel.registers, 0) << kernel.name;
    EXPECT_EQ(kernel.spillBytes + kernel.stackBytes, 0) << kernel.name;
    EXPECT_GT(occupancy(kernel, options.target), 0) << kernel.name;
    if (std::getenv("LOWBIT_TEST_TABLE"))
      printf("| %s | %s | %ld | %ld | %ld | %.2f |\n", kernel.name.c_str(),
             GetParam(), long(kernel.threads), long(kernel.registers),
             long(kernel.sharedBytes), occupancy(kernel, options.target));
  }
  printf("ptxas accepted %zu kernels for %s\n", code->usage.size(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Targets, DeviceCodeOf,
                         testing::Values("ptx", "sm_80", "sm_89", "sm_90a"));

TEST(DeviceCode, SaysWhereItLookedForTheAssembler) {
  EmitOptions options;
  options.target = "sm_90a";
  options.ptxas = "/nonexistent/ptxas";
  Result<std::string> found = findAssembler(options);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ExitCode::IO);
  EXPECT_NE(found.error().message.find("/nonexistent/ptxas"),
            std::string::npos);
}
