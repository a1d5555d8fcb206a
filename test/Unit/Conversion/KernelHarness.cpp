//===- KernelHarness.cpp - Builds kernels and calls them --------*- C++ -*-===//

#include "KernelHarness.h"
#include "lowbit/Conversion/KernelFamilies.h"
#include "lowbit/Conversion/Passes.h"
#include "lowbit/Runtime/Emulator.h"
#include "lowbit/Target/EmitObject.h"
#include "lowbit/Target/LinkObject.h"
#include "lowbit/Target/TargetInfo.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <random>

using namespace lowbit;
using namespace lowbit::test;

//===----------------------------------------------------------------------===//
// Variants
//===----------------------------------------------------------------------===//

static bool cpuHas(uint32_t variant) {
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("f16c");
  switch (variant) {
  case 0:
    return true;
  case 1:
    return avx2;
  default:
    return avx2 && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vnni");
  }
}

const std::vector<uint32_t> &lowbit::test::runnableVariants() {
  static const std::vector<uint32_t> variants = [] {
    std::vector<uint32_t> result;
    size_t all = getVariants("x86_64").size();
    for (const TargetInfo &target : getVariants("x86_64"))
      if (cpuHas(target.variant))
        result.push_back(target.variant);
    printf("SKIPPED %zu of %zu kernel variants (this CPU lacks them)\n",
           all - result.size(), all);
    return result;
  }();
  return variants;
}

std::vector<uint32_t> lowbit::test::variantsWithWide() {
  std::vector<uint32_t> variants = runnableVariants();
  if (cpuHas(1))
    variants.push_back(wideVariant);
  return variants;
}

std::vector<uint32_t> lowbit::test::variantsWithEmulated() {
  std::vector<uint32_t> variants = runnableVariants();
  if (cpuHas(1))
    variants.push_back(emulatedVariant);
  else
    printf("SKIPPED the emulated GPU kernels (this CPU lacks AVX2)\n");
  return variants;
}

//===----------------------------------------------------------------------===//
// KernelHarness
//===----------------------------------------------------------------------===//

struct KernelHarness::Module {
  Module() : context(mlir::MLIRContext::Threading::DISABLED) {
    mlir::DialectRegistry registry;
    registry.insert<LowbitDialect>();
    registerKernelDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> kernels;
};

/// Adds an entry `NAME.wide` of the AVX2 variant for every function that was
/// emitted for AVX-512.
static void addWideEntries(mlir::ModuleOp functions) {
  constexpr uint32_t avx2 = 1, avx512 = 2;
  mlir::Builder builder(functions.getContext());
  for (mlir::Operation &op : llvm::make_early_inc_range(*functions.getBody())) {
    auto name = op.getAttrOfType<mlir::StringAttr>(kernelNameAttr);
    auto variant = op.getAttrOfType<mlir::IntegerAttr>(kernelVariantAttr);
    if (!name || variant.getInt() != avx512)
      continue;
    mlir::Operation *copy = op.clone();
    std::string wide = name.str() + ".wide";
    copy->setAttr(kernelNameAttr, builder.getStringAttr(wide));
    copy->setAttr(kernelVariantAttr, builder.getI32IntegerAttr(avx2));
    mlir::SymbolTable::setSymbolName(copy, wide);
    functions.getBody()->push_back(copy);
  }
}

KernelHarness::KernelHarness(std::string_view text, std::string_view target,
                             bool wide)
    : module(std::make_unique<Module>()), isEmulated(target == "emulated") {
  module->kernels =
      mlir::parseSourceString<mlir::ModuleOp>(text, &module->context);
  if (!module->kernels) {
    ADD_FAILURE() << "kernels do not parse";
    return;
  }
  if (build(target, wide) && target != "aarch64")
    loaded.load(codeObject);
}

KernelHarness::~KernelHarness() = default;

bool KernelHarness::build(std::string_view target, bool wide) {
  mlir::OwningOpRef<mlir::ModuleOp> functions(module->kernels->clone());
  mlir::PassManager passes(&module->context);
  if (target == "emulated") {
    ConvertLowbitToTilesOptions toTiles;
    toTiles.target = target;
    passes.addPass(createConvertLowbitToTiles(toTiles));
    passes.addPass(createConvertTilesToHost());
  } else {
    ConvertLowbitToVectorOptions toVector;
    toVector.target = target;
    passes.addPass(createConvertLowbitToVector(toVector));
  }
  if (mlir::failed(passes.run(*functions))) {
    ADD_FAILURE() << "kernels cannot be emitted for " << target;
    return false;
  }
  if (wide)
    addWideEntries(*functions);
  EmitOptions options;
  options.target = target;
  options.jobs = 2;
  if (const char *folder = std::getenv("LOWBIT_TEST_DUMP"))
    options.dumpDirectory = folder;
  Result<std::vector<std::string>> made = emitObjects(*functions, options);
  if (!made) {
    ADD_FAILURE() << made.error().message;
    return false;
  }
  objectFiles = std::move(*made);
  Result<std::string> linked = linkObjects(objectFiles);
  if (!linked) {
    ADD_FAILURE() << linked.error().message;
    return false;
  }
  codeObject = std::move(*linked);
  return true;
}

KernelFunction KernelHarness::find(std::string_view name,
                                   uint32_t variant) const {
  if (variant == wideVariant)
    return find(std::string(name) + ".wide", 1);
  return loaded.find(name, variant);
}

int64_t KernelHarness::scratchBytes(std::string_view name) {
  auto kernel = module->kernels->lookupSymbol<KernelOp>(name);
  const KernelFamily *family =
      kernel ? findKernelFamily(kernel.getFamily()) : nullptr;
  return family && family->scratchBytes ? family->scratchBytes(kernel) : 0;
}

/// Cuts [0, items) into pieces.
static std::vector<std::pair<int64_t, int64_t>> cut(int64_t items,
                                                    uint64_t seed) {
  std::vector<std::pair<int64_t, int64_t>> pieces;
  if (seed == 0)
    return {{0, items}};
  std::mt19937_64 random(seed);
  for (int64_t begin = 0; begin < items;) {
    int64_t end = begin + 1 + int64_t(random() % uint64_t(items - begin));
    pieces.push_back({begin, end});
    begin = end;
  }
  std::shuffle(pieces.begin(), pieces.end(), random);
  return pieces;
}

/// Whether GPU targets serve a kernel: no cache of i4 or i2, no trellis code,
/// no table.
static bool isForGpu(KernelOp kernel) {
  if (auto cache = kernel.getParameters().getAs<mlir::TypeAttr>("cache"))
    return cache.getValue().getIntOrFloatBitWidth() >= 8;
  auto weight = kernel.getParameters().getAs<mlir::TypeAttr>("type");
  auto type = weight ? llvm::dyn_cast<mlir::RankedTensorType>(weight.getValue())
                     : mlir::RankedTensorType();
  FormatInterface format = type ? getFormat(type) : FormatInterface();
  if (!format)
    return true;
  const IntegerFormat *integers = format.getWeightFormat()->integers();
  return integers && (integers->element == Element::Integer ||
                      integers->element == Element::Int8);
}

/// The same kernels as a GPU would run them.
void KernelHarness::buildEmulated() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (KernelOp kernel : module->kernels->getOps<KernelOp>())
    if (isForGpu(kernel))
      stream << kernel << "\n";
  emulated = std::make_unique<KernelHarness>(text, "emulated");
}

void KernelHarness::runEmulated(std::string_view name,
                                std::vector<uint8_t *> args, int64_t rows,
                                int64_t items, uint64_t seed) {
  constexpr uint32_t tableVariant = 1; // it needs what AVX2 kernels need
  if (!isEmulated && !emulated)
    buildEmulated();
  const KernelHarness &code = isEmulated ? *this : *emulated;
  KernelFunction function = code.ok() ? code.find(name, tableVariant) : nullptr;
  if (!function) {
    ADD_FAILURE() << "no emulated kernel " << name;
    return;
  }
  Emulator emulator(seed);
  for (auto [begin, end] : cut(items, seed)) {
    function(args.data(), rows, begin, end, emulator.scratch());
    if (Status failure = emulator.takeFailure())
      ADD_FAILURE() << name << ": " << failure->message;
  }
  if (emulator.threadsRun() == 0 && items > 0)
    ADD_FAILURE() << name << ": what ran is no emulated kernel";
}

void KernelHarness::run(std::string_view name, uint32_t variant,
                        std::vector<const void *> args, int64_t rows,
                        int64_t items, uint64_t seed) {
  std::vector<uint8_t *> pointers;
  for (const void *argument : args)
    pointers.push_back(
        const_cast<uint8_t *>(static_cast<const uint8_t *>(argument)));
  if (variant == emulatedVariant)
    return runEmulated(name, pointers, rows, items, seed);
  KernelFunction function = find(name, variant);
  if (!function) {
    ADD_FAILURE() << "no kernel " << name << " of variant " << variant;
    return;
  }
  for (auto [begin, end] : cut(items, seed)) {
    GuardedBytes scratch(size_t(scratchBytes(name)));
    scratch.poison();
    function(pointers.data(), rows, begin, end, scratch.data());
    if (!scratch.intact())
      ADD_FAILURE() << name << ": wrote outside its scratch";
  }
}

//===----------------------------------------------------------------------===//
// Guarded arrays
//===----------------------------------------------------------------------===//

// Four bytes of a quiet NaN that no kernel computes.
static constexpr uint8_t pattern[4] = {0xA5, 0x5A, 0xDA, 0x7F};

GuardedBytes::GuardedBytes(size_t bytes)
    : storage(bytes + 2 * zone + 64), bytes(bytes) {
  for (size_t i = 0; i < storage.size(); ++i)
    storage[i] = pattern[i % 4];
  auto address = reinterpret_cast<uintptr_t>(storage.data()) + zone;
  start = storage.data() + zone + (64 - address % 64) % 64;
}

bool GuardedBytes::intact() const {
  for (const uint8_t *byte = storage.data(); byte != start; ++byte)
    if (*byte != pattern[size_t(byte - storage.data()) % 4])
      return false;
  for (size_t i = size_t(start + bytes - storage.data()); i < storage.size();
       ++i)
    if (storage[i] != pattern[i % 4])
      return false;
  return true;
}

void GuardedBytes::poison() {
  for (size_t i = 0; i < bytes; ++i)
    start[i] = pattern[i % 4];
}

bool lowbit::test::equalBits(const float *expected, const float *actual,
                             size_t count, std::string_view what) {
  for (size_t i = 0; i < count; ++i) {
    uint32_t e, a;
    std::memcpy(&e, expected + i, 4);
    std::memcpy(&a, actual + i, 4);
    if (e == a ||
        (std::isnan(expected[i]) && std::isnan(actual[i]) && a != 0x7FDA5AA5u))
      continue;
    ADD_FAILURE() << what << ": element " << i << " is " << actual[i] << " (0x"
                  << std::hex << a << "), expected " << expected[i] << " (0x"
                  << e << ")";
    return false;
  }
  if (count == 0)
    ADD_FAILURE() << what << ": nothing was compared";
  return count != 0;
}

bool lowbit::test::equalBytes(const void *expected, const void *actual,
                              size_t bytes, std::string_view what) {
  auto *e = static_cast<const uint8_t *>(expected);
  auto *a = static_cast<const uint8_t *>(actual);
  for (size_t i = 0; i < bytes; ++i)
    if (e[i] != a[i]) {
      ADD_FAILURE() << what << ": byte " << i << " is " << int(a[i])
                    << ", expected " << int(e[i]);
      return false;
    }
  if (bytes == 0)
    ADD_FAILURE() << what << ": nothing was compared";
  return bytes != 0;
}
