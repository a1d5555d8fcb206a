//===- LinearKernelTest.cpp - Linears against naive loops -------*- C++ -*-===//
//
// Every format, activation and bucket with odd shapes: kernels of each variant
// that this CPU runs are compared to the bit with loops written from Spec.md,
// sections 2 and 3. The AVX-512 code is also run where there is no AVX-512:
// emitted as for that variant, but with `vpdpbusd` written out in AVX2
// ("avx512 emulated"); that tests everything but the instruction.
//
// LOWBIT_TEST_SEED picks other random shapes and numbers.
//
//===----------------------------------------------------------------------===//

#include "LinearProblem.h"
#include "lowbit/Conversion/KernelFamilies.h"
#include "lowbit/Target/EmitObject.h"
#include "lowbit/Target/LinkObject.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Parser/Parser.h"
#include <cstdlib>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace lowbit;
using namespace lowbit::test;

namespace {

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

/// The facts of AVX-512 without its features: compiled as AVX2.
TargetInfo emulatedAvx512() {
  TargetInfo target = getVariants("x86_64")[2];
  target.name = "avx512-emulated";
  target.features = getVariants("x86_64")[1].features;
  target.variant = 1;
  return target;
}

/// Kernels of family `linear` as code, for all variants and emulated AVX-512.
class LinearCode {
public:
  explicit LinearCode(const std::string &text) { build(text); }
  ~LinearCode() {
    if (library)
      dlclose(library);
  }
  /// The kernel of `variant`, or the emulated AVX-512 one for -1.
  KernelFunction find(std::string name, int variant) const;
  int64_t scratchBytes(llvm::StringRef name) {
    return linearFamily.scratchBytes(module->lookupSymbol<KernelOp>(name));
  }

private:
  void build(const std::string &text);
  bool emit(KernelOp kernel, const TargetInfo &target, llvm::StringRef suffix);
  void load(const std::string &code);

  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  mlir::OwningOpRef<mlir::ModuleOp> module, functions;
  void *library = nullptr;
};

void LinearCode::build(const std::string &text) {
  mlir::DialectRegistry registry;
  registry.insert<LowbitDialect>();
  registerKernelDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  ASSERT_TRUE(module) << text;
  functions = mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  for (KernelOp kernel : module->getOps<KernelOp>()) {
    for (const TargetInfo &target : getVariants("x86_64"))
      ASSERT_TRUE(emit(kernel, target, ""));
    ASSERT_TRUE(emit(kernel, emulatedAvx512(), ".emulated"));
  }
  EmitOptions options;
  options.jobs = 2;
  if (const char *folder = std::getenv("LOWBIT_TEST_DUMP"))
    options.dumpDirectory = folder;
  Result<std::vector<std::string>> objects = emitObjects(*functions, options);
  ASSERT_TRUE(bool(objects)) << objects.error().message;
  Result<std::string> code = linkObjects(*objects);
  ASSERT_TRUE(bool(code)) << code.error().message;
  load(*code);
}

bool LinearCode::emit(KernelOp kernel, const TargetInfo &target,
                      llvm::StringRef suffix) {
  mlir::OpBuilder builder(functions->getBodyRegion());
  builder.setInsertionPointToEnd(functions->getBody());
  auto pointer = mlir::LLVM::LLVMPointerType::get(&context);
  mlir::Type i64 = builder.getI64Type();
  std::string name = (kernel.getSymName() + suffix).str();
  auto function = mlir::func::FuncOp::create(
      builder, kernel.getLoc(), name + "." + target.name.str(),
      builder.getFunctionType({pointer, i64, i64, i64, pointer}, {}));
  function->setAttr(kernelNameAttr, builder.getStringAttr(name));
  function->setAttr(kernelVariantAttr,
                    builder.getI32IntegerAttr(target.variant));
  mlir::Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  KernelBuilder k(builder, kernel.getLoc(), target);
  auto argument = [&](unsigned i) { return body->getArgument(i); };
  if (mlir::failed(linearFamily.emit(
          kernel, k,
          {argument(0), argument(1), argument(2), argument(3), argument(4)})))
    return false;
  builder.setInsertionPointToEnd(body);
  mlir::func::ReturnOp::create(builder, kernel.getLoc());
  return true;
}

void LinearCode::load(const std::string &code) {
  int file = memfd_create("lowbit-linear", MFD_CLOEXEC);
  ASSERT_EQ(write(file, code.data(), code.size()), ssize_t(code.size()));
  std::string path = "/proc/self/fd/" + std::to_string(file);
  library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(library) << dlerror();
  close(file);
}

KernelFunction LinearCode::find(std::string name, int variant) const {
  struct Entry {
    const char *name;
    uint32_t variant, reserved;
    KernelFunction function;
  };
  struct Table {
    uint32_t abi, count;
    const Entry *entries;
  };
  if (!library)
    return nullptr;
  if (variant < 0)
    name += ".emulated";
  auto *table = static_cast<Table *>(dlsym(library, "lowbit_kernels"));
  for (uint32_t i = 0; i < table->count; ++i)
    if (name == table->entries[i].name &&
        uint32_t(std::abs(variant)) == table->entries[i].variant)
      return table->entries[i].function;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Cases
//===----------------------------------------------------------------------===//

uint64_t baseSeed() {
  const char *text = std::getenv("LOWBIT_TEST_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 1;
}

/// Random choices for what a case leaves open.
class Choices {
public:
  explicit Choices(uint64_t seed) : generator(seed) {}
  int64_t pick(std::initializer_list<int64_t> values) {
    return values.begin()[generator() % values.size()];
  }
  /// Fills in shape, rows and the parts of a linear.
  void complete(LinearCase &c) {
    c.outputs = pick({1, 2, 7, 15, 16, 17, 31, 32, 33, 48, 65});
    c.inputs =
        pick({1,  2,   3,   7,   15,  16,  17,  31,  32,  33,   63,   64,
              65, 127, 128, 129, 172, 255, 512, 513, 576, 1023, 1024, 1100});
    c.tokens = c.bucket == 1    ? 1
               : c.bucket == 16 ? pick({1, 2, 3, 5, 13, 31})
                                : pick({32, 33, 47, 61, 242});
    c.e4m3 = pick({0, 1});
    c.offset = int(pick({0, 1, 2}));
    c.bias = pick({0, 1});
    c.residual = pick({0, 1});
    c.xOffset = pick({0, 3});
    c.xStride = c.xOffset + c.inputs + pick({0, 5});
    c.yStride = c.outputs;
    c.inPlace = c.residual && pick({0, 1});
    if (!c.inPlace)
      c.yStride += pick({0, 9});
    c.extreme = pick({0, 0, 1});
  }

private:
  std::mt19937_64 generator;
};

/// Compiles the cases together and runs every variant of each.
void check(const std::vector<LinearCase> &cases, uint64_t seed) {
  std::string text;
  auto name = [](size_t i) { return "k" + std::to_string(i); };
  for (size_t i = 0; i < cases.size(); ++i)
    text += cases[i].text(name(i));
  LinearCode code(text);
  if (testing::Test::HasFatalFailure())
    return;
  std::vector<int> variants(runnableVariants().begin(),
                            runnableVariants().end());
  variants.push_back(-1);
  size_t compared = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const LinearCase &c = cases[i];
    LinearProblem problem(c, seed + i);
    std::vector<float> expected = problem.expected();
    for (int variant : variants) {
      SCOPED_TRACE(c.text(name(i)) + " variant " +
                   (variant < 0 ? "avx512 emulated" : std::to_string(variant)) +
                   " tokens " + std::to_string(c.tokens));
      KernelFunction function = code.find(name(i), variant);
      ASSERT_TRUE(function);
      Guarded<float> y(problem.before());
      std::vector<uint8_t *> arguments;
      for (const void *argument : problem.arguments(y.data()))
        arguments.push_back((uint8_t *)argument);
      // Every item on its own, last first: what other threads would do.
      for (int64_t item = c.items(); item-- > 0;) {
        GuardedBytes scratch(size_t(code.scratchBytes(name(i))));
        scratch.poison();
        function(arguments.data(), c.tokens, item, item + 1, scratch.data());
        ASSERT_TRUE(scratch.intact()) << "wrote outside its scratch";
      }
      ASSERT_TRUE(equalBits(expected.data(), y.data(), expected.size(), "y"));
      ASSERT_TRUE(y.intact() && problem.intact());
      // All items at once; more than one matters to float weights.
      Guarded<float> whole(problem.before());
      arguments.clear();
      for (const void *argument : problem.arguments(whole.data()))
        arguments.push_back((uint8_t *)argument);
      GuardedBytes scratch(size_t(code.scratchBytes(name(i))));
      function(arguments.data(), c.tokens, 0, c.items(), scratch.data());
      ASSERT_TRUE(
          equalBits(expected.data(), whole.data(), expected.size(), "y"));
      ++compared;
    }
  }
  printf("compared %zu kernels to the bit; AVX-512 emulated in AVX2\n",
         compared);
}

class IntegerLinear
    : public testing::TestWithParam<std::tuple<int, int64_t, int>> {};

TEST_P(IntegerLinear, EqualsNaiveLoops) {
  auto [bits, bucket, planes] = GetParam();
  uint64_t seed = baseSeed() * 1000003 + bits * 1009 + bucket * 31 + planes;
  Choices choices(seed);
  std::vector<LinearCase> cases;
  // Groups of 16 where blocks are as short; one of the others by chance.
  bool isShort = columnsOfBlock(bits) <= 16;
  for (int64_t group : {int64_t(0), choices.pick({32, 64, 128}),
                        isShort ? int64_t(16) : int64_t(64)}) {
    LinearCase c;
    c.bits = bits;
    c.bucket = bucket;
    c.planes = planes;
    c.group = group;
    choices.complete(c);
    if (bits == 1)
      c.offset = 1;
    cases.push_back(c);
  }
  check(cases, seed);
}

INSTANTIATE_TEST_SUITE_P(Formats, IntegerLinear,
                         testing::Combine(testing::Range(1, 9),
                                          testing::Values<int64_t>(1, 16, 32),
                                          testing::Values(1, 2)));

class TrellisLinear : public testing::TestWithParam<std::tuple<int64_t, int>> {
};

TEST_P(TrellisLinear, EqualsNaiveLoops) {
  auto [bucket, planes] = GetParam();
  uint64_t seed = baseSeed() * 15485863 + bucket * 31 + planes;
  Choices choices(seed);
  std::vector<LinearCase> cases;
  for (const std::vector<int> &streams : std::vector<std::vector<int>>{
           {1}, {2}, {4}, {1, 2}, {2, 4}, {1, 1}, {2, 2}}) {
    LinearCase c;
    c.weights = LinearWeights::Trellis;
    c.streams = streams;
    c.window = int(choices.pick({10, 12}));
    c.bucket = bucket;
    c.planes = planes;
    c.group = 0;
    choices.complete(c);
    c.outputs += choices.pick({0, 47, 64, 250});
    c.yStride += 250;
    c.inPlace = false;
    cases.push_back(c);
  }
  check(cases, seed);
}

class GroupedActivations
    : public testing::TestWithParam<std::tuple<int, int64_t>> {};

/// Activations with a scale for each group of columns, against weights with
/// smaller, equal and larger groups and with none.
TEST_P(GroupedActivations, EqualsNaiveLoops) {
  auto [bits, bucket] = GetParam();
  uint64_t seed = baseSeed() * 15013 + bits * 997 + bucket;
  Choices choices(seed);
  std::vector<LinearCase> cases;
  for (int64_t group : {0, 32, 64, 128}) {
    LinearCase c;
    c.bits = bits;
    c.bucket = bucket;
    c.planes = 1;
    c.group = group;
    c.activationGroup = choices.pick({32, 32, 64, 128});
    choices.complete(c);
    cases.push_back(c);
  }
  check(cases, seed);
}

INSTANTIATE_TEST_SUITE_P(Formats, GroupedActivations,
                         testing::Combine(testing::Values(2, 3, 4, 8),
                                          testing::Values<int64_t>(1, 16, 32)));

INSTANTIATE_TEST_SUITE_P(Buckets, TrellisLinear,
                         testing::Combine(testing::Values<int64_t>(1, 16, 32),
                                          testing::Values(1, 2)));

class TableLinear
    : public testing::TestWithParam<std::tuple<LinearTable, int64_t>> {};

TEST_P(TableLinear, EqualsNaiveLoops) {
  auto [table, bucket] = GetParam();
  uint64_t seed = baseSeed() * 15485863 + int(table) * 1009 + bucket * 31;
  Choices choices(seed);
  std::vector<LinearCase> cases;
  for (int planes : {1, 2, 0}) { // 0: one plane, in groups
    LinearCase c;
    c.table = table;
    c.bucket = bucket;
    c.planes = std::max(planes, 1);
    c.activationGroup = planes ? 0 : choices.pick({32, 64, 128});
    choices.complete(c);
    c.offset = 0;
    c.group = choices.pick({0, 32, 64, 128});
    bool isLevels =
        table == LinearTable::Ternary || table == LinearTable::Levels;
    if (!isLevels) {
      c.e4m3 = table == LinearTable::Nvfp4;
      c.group = c.e4m3 ? 16 : 32;
    }
    c.bits = table == LinearTable::Mxfp6     ? 6
             : table == LinearTable::Mxint8  ? 8
             : table == LinearTable::Ternary ? 2
                                             : 4;
    cases.push_back(c);
  }
  check(cases, seed);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, TableLinear,
    testing::Combine(testing::Values(LinearTable::Mxfp4, LinearTable::Nvfp4,
                                     LinearTable::Mxfp6, LinearTable::Mxint8,
                                     LinearTable::Ternary, LinearTable::Levels),
                     testing::Values<int64_t>(1, 16, 32)));

class TrellisGroups : public testing::TestWithParam<int64_t> {};

/// Slabs of a trellis code that are cut into groups of activations; the last
/// cut, or the last slab, is short.
TEST_P(TrellisGroups, EqualsNaiveLoops) {
  uint64_t seed = baseSeed() * 32452843 + GetParam();
  Choices choices(seed);
  std::vector<LinearCase> cases;
  for (const std::vector<int> &streams :
       std::vector<std::vector<int>>{{1}, {4}, {1, 2}, {2, 2}})
    for (int64_t inputs : {31, 172, 512, 1100}) {
      LinearCase c;
      c.weights = LinearWeights::Trellis;
      c.streams = streams;
      c.window = int(choices.pick({10, 12}));
      c.bucket = GetParam();
      c.planes = 1;
      c.group = 0;
      c.activationGroup = choices.pick({32, 64, 128});
      choices.complete(c);
      c.inputs = inputs;
      c.inPlace = false;
      cases.push_back(c);
    }
  check(cases, seed);
}

INSTANTIATE_TEST_SUITE_P(Buckets, TrellisGroups,
                         testing::Values<int64_t>(1, 16, 32));

class FloatLinear
    : public testing::TestWithParam<std::tuple<LinearWeights, int64_t>> {};

TEST_P(FloatLinear, EqualsNaiveLoops) {
  auto [weights, bucket] = GetParam();
  uint64_t seed = baseSeed() * 7919 + int(weights) * 101 + bucket;
  Choices choices(seed);
  std::vector<LinearCase> cases(2);
  for (LinearCase &c : cases) {
    c.weights = weights;
    c.bucket = bucket;
    choices.complete(c);
  }
  check(cases, seed);
}

INSTANTIATE_TEST_SUITE_P(Types, FloatLinear,
                         testing::Combine(testing::Values(LinearWeights::F32,
                                                          LinearWeights::F16,
                                                          LinearWeights::BF16),
                                          testing::Values<int64_t>(1, 16, 32)));

/// The largest sums that there are: 512 columns of the largest codes times the
/// largest activations, on each side of every bound that is tracked.
TEST(LinearKernel, HoldsTheLargestSums) {
  std::vector<LinearCase> cases;
  for (int bits : {2, 3, 4, 5, 6, 7, 8})
    for (int64_t group : {0, 128})
      for (int64_t bucket : {1, 32}) {
        LinearCase c;
        c.bits = bits;
        c.group = group;
        c.bucket = bucket;
        c.tokens = bucket == 1 ? 1 : 34;
        c.offset = 2;
        c.outputs = 32;
        c.inputs = 1024;
        c.yStride = 32;
        c.extreme = true;
        cases.push_back(c);
      }
  for (int64_t bucket : {1, 32}) {
    LinearCase c;
    c.weights = LinearWeights::Trellis;
    c.streams = {1};
    c.group = 0;
    c.bucket = bucket;
    c.tokens = bucket == 1 ? 1 : 34;
    c.outputs = c.yStride = 64;
    c.inputs = 1024;
    c.extreme = true;
    cases.push_back(c);
  }
  check(cases, 5);
}

TEST(LinearKernel, DecodesEveryE4M3Scale) {
  std::vector<LinearCase> cases;
  for (int64_t bucket : {1, 32}) {
    LinearCase c;
    c.group = 32;
    c.e4m3 = c.everyScale = true;
    c.bucket = bucket;
    c.tokens = bucket == 1 ? 1 : 34;
    c.inputs = 256; // 16 rows of 8 groups: 128 scales
    c.yStride = c.outputs;
    cases.push_back(c);
  }
  check(cases, 9);
}

TEST(LinearKernel, DoesNothingWithoutRows) {
  LinearCase c;
  c.yStride = c.outputs;
  std::string text = c.text("one");
  c.bucket = 32;
  text += c.text("many");
  LinearCode code(text);
  for (uint32_t variant : runnableVariants())
    for (const char *name : {"one", "many"}) {
      LinearProblem problem(c, 1);
      Guarded<float> y(problem.before());
      std::vector<uint8_t *> arguments;
      for (const void *argument : problem.arguments(y.data()))
        arguments.push_back((uint8_t *)argument);
      GuardedBytes scratch(size_t(code.scratchBytes(name)));
      code.find(name, variant)(arguments.data(), 0, 0, 1, scratch.data());
      EXPECT_EQ(y.values(), problem.before());
    }
}

TEST(LinearKernel, RefusesWhatItCannotServe) {
  mlir::MLIRContext context;
  context.loadDialect<LowbitDialect>();
  registerKernelDialects(
      const_cast<mlir::DialectRegistry &>(context.getDialectRegistry()));
  std::string message;
  mlir::ScopedDiagnosticHandler handler(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          message += diagnostic.str();
                                          return mlir::success();
                                        });
  auto refused = [&](llvm::StringRef parameters) {
    message.clear();
    auto module = mlir::parseSourceString<mlir::ModuleOp>(
        ("lowbit.kernel @k family \"linear\" {" + parameters + "}").str(),
        &context);
    EXPECT_TRUE(module) << message;
    mlir::OpBuilder builder(&context);
    KernelBuilder k(builder, builder.getUnknownLoc(), getVariants("x86_64")[0]);
    EXPECT_TRUE(mlir::failed(linearFamily.emit(
        *module->getOps<KernelOp>().begin(), k, KernelArguments())));
    return message;
  };
  std::string rest = "bias = false, residual = false, y_stride = 16";
  EXPECT_NE(
      refused("type = tensor<16x64xf32>, activation = i8, bucket = 1, " + rest)
          .find("'activation'"),
      std::string::npos);
  EXPECT_NE(refused("activation = i8, bucket = 1, " + rest).find("'type'"),
            std::string::npos);
  std::string weight = "type = tensor<16x64xf32, #lowbit.int<4, group = 64, "
                       "scale = f16, offset = half>>, activation = i8, ";
  EXPECT_NE(refused(weight + "bucket = 7, " + rest).find("'bucket'"),
            std::string::npos);
  EXPECT_NE(refused("type = tensor<16x64xf32, #lowbit.int<4, group = 64, scale "
                    "= f16, offset = half>>, activation = i4, "
                    "activation_group = 48, bucket = 1, " +
                    rest)
                .find("'activation_group'"),
            std::string::npos);
  EXPECT_NE(refused(weight + "bucket = 1, bias = false, residual = false, "
                             "y_stride = 15")
                .find("'y_stride'"),
            std::string::npos);
}

} // namespace
