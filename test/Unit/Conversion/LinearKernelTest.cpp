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

#include "KernelHarness.h"
#include "lowbit/Conversion/KernelFamilies.h"
#include "lowbit/Target/EmitObject.h"
#include "lowbit/Target/LinkObject.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
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
// Numbers
//===----------------------------------------------------------------------===//

int64_t roundUp(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

float f16Value(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float value = exponent ? std::ldexp(float(fraction + 1024), exponent - 25)
                         : std::ldexp(float(fraction), -24);
  return bits >> 15 ? -value : value;
}

float e4m3Value(uint8_t code) {
  int exponent = code >> 3 & 15, fraction = code & 7;
  return exponent ? std::ldexp(float(fraction + 8), exponent - 10)
                  : std::ldexp(float(fraction), -9);
}

enum class Weights { Integer, F32, F16, BF16 };

/// One linear to test.
struct Case {
  Weights weights = Weights::Integer;
  int bits = 4;
  int64_t group = 64; // 0: row
  bool e4m3 = false;
  int offset = 0; // integer, half, stored
  int planes = 2;
  int64_t bucket = 1, tokens = 1, outputs = 16, inputs = 64;
  bool bias = false, residual = false, inPlace = false;
  /// Largest codes with the largest activations of one sign.
  bool extreme = false;
  /// E4M3 scales in the order of their codes, so that all occur.
  bool everyScale = false;
  int64_t xOffset = 0, xStride = 0, yStride = 0;

  std::string text(const std::string &name) const;
  int64_t items() const {
    return bucket == 32 ? (outputs + 31) / 32 : (outputs + 15) / 16;
  }
  int64_t groupColumns() const { return group ? group : inputs; }
  int64_t groups() const {
    return (inputs + groupColumns() - 1) / groupColumns();
  }
  int64_t sumColumns() const { return group ? group : 512; }
};

std::string Case::text(const std::string &name) const {
  static const char *const offsets[] = {"integer", "half", "stored"};
  static const char *const types[] = {"f32", "f32", "f16", "bf16"};
  std::string out;
  llvm::raw_string_ostream os(out);
  os << "lowbit.kernel @" << name << " family \"linear\" {type = tensor<"
     << outputs << "x" << inputs << "x" << types[int(weights)];
  if (weights == Weights::Integer) {
    os << ", #lowbit.int<" << bits << ", group = ";
    if (group)
      os << group;
    else
      os << "row";
    os << ", scale = " << (e4m3 ? "f8E4M3FN" : "f16")
       << ", offset = " << offsets[offset]
       << ">>, activation = " << (planes == 2 ? "i16" : "i8");
  } else {
    os << ">, activation = f32, x_offset = " << xOffset
       << ", x_stride = " << xStride;
  }
  os << ", bucket = " << bucket << ", bias = " << (bias ? "true" : "false")
     << ", residual = " << (residual ? "true" : "false")
     << ", y_stride = " << yStride << "}\n";
  return out;
}

/// Random data of a case, and the naive result.
class Problem {
public:
  Problem(const Case &c, uint64_t seed);

  /// Arguments of the kernel in order, writing to `y`.
  std::vector<const void *> arguments(float *y) const;
  /// y [token][yStride]; columns beyond the outputs are not written.
  std::vector<float> expected() const;
  /// What y holds before: the residual where the kernel works in place.
  std::vector<float> before() const;
  bool intact() const {
    return weight->intact() && activations->intact() && residual->intact();
  }

private:
  int64_t random(int64_t low, int64_t high) {
    return low + int64_t(generator() % uint64_t(high - low + 1));
  }
  void makeInteger();
  void packGroup(uint8_t *at, int64_t tile, int64_t group);
  void makeFloat();
  void makeActivations();
  float dotInteger(int64_t token, int64_t n) const;
  float dotFloat(int64_t token, int64_t n) const;

  Case c;
  std::mt19937_64 generator;
  std::vector<int> codes, zeros; // [n][k], [n][group]
  std::vector<float> groupScales, weights;
  std::vector<int> q; // [token][k]
  std::vector<float> x;
  float factor = 1;
  std::unique_ptr<Guarded<uint8_t>> weight, activations;
  std::unique_ptr<Guarded<float>> scales, bias, residual;
  std::unique_ptr<Guarded<int32_t>> sums;
};

Problem::Problem(const Case &c, uint64_t seed) : c(c), generator(seed) {
  if (c.weights == Weights::Integer)
    makeInteger();
  else
    makeFloat();
  makeActivations();
  bias = std::make_unique<Guarded<float>>(c.outputs);
  for (int64_t n = 0; n < c.outputs; ++n)
    (*bias)[n] = float(random(-1000, 1000)) * 0.37f;
  int64_t stride = c.inPlace ? c.yStride : c.outputs;
  residual = std::make_unique<Guarded<float>>(c.tokens * stride);
  for (int64_t i = 0; i < c.tokens * stride; ++i)
    (*residual)[i] = float(random(-1000, 1000)) * 0.71f;
}

/// Spec.md, section 2, one group of one tile.
void Problem::packGroup(uint8_t *at, int64_t tile, int64_t group) {
  int64_t first = group * c.groupColumns();
  int64_t columns = std::min(c.groupColumns(), c.inputs - first);
  int64_t block = c.bits == 3 ? 32 : 32 / c.bits;
  int64_t blockBytes = c.bits == 3 ? 192 : 64;
  for (int64_t r = 0; r < 16; ++r) {
    int64_t n = tile * 16 + r;
    if (n >= c.outputs)
      continue;
    for (int64_t k = 0; k < columns; ++k) {
      int code = codes[n * c.inputs + first + k];
      uint8_t *b = at + k / block * blockBytes + r * 4 + k % 4;
      int64_t in = k % block;
      if (c.bits == 3) {
        b[in / 16 * 64] |= code >> 1 << 2 * (in % 16 / 4);
        b[128] |= (code & 1) << in / 4;
      } else {
        *b |= code << c.bits * (in / 4);
      }
    }
  }
  at += (columns + block - 1) / block * blockBytes;
  int64_t scaleBytes = c.e4m3 ? 1 : 2;
  for (int64_t r = 0; r < 16; ++r) {
    int64_t n = tile * 16 + r;
    if (n >= c.outputs)
      continue;
    uint16_t bits = 0;
    if (random(0, 15) != 0)
      bits = c.e4m3 ? random(0, 0x7E) : random(0, 0x47FF);
    if (c.everyScale)
      bits = (n * c.groups() + group) % 0x7F;
    std::memcpy(at + r * scaleBytes, &bits, scaleBytes);
    int64_t i = n * c.groups() + group;
    groupScales[i] = c.e4m3 ? e4m3Value(bits) : f16Value(bits);
    if (c.offset == 2)
      for (int bit = 0; bit < c.bits; ++bit) {
        int64_t place = r * c.bits + bit;
        at[16 * scaleBytes + place / 8] |= (zeros[i] >> bit & 1) << place % 8;
      }
  }
}

void Problem::makeInteger() {
  int maxCode = (1 << c.bits) - 1;
  codes.resize(c.outputs * c.inputs);
  for (int &code : codes)
    code = c.extreme ? maxCode : int(random(0, maxCode));
  zeros.resize(c.outputs * c.groups());
  for (int &zero : zeros)
    zero = c.extreme ? 0 : int(random(0, maxCode));
  groupScales.resize(c.outputs * c.groups());
  int64_t block = c.bits == 3 ? 32 : 32 / c.bits;
  int64_t blockBytes = c.bits == 3 ? 192 : 64;
  int64_t extra = (c.e4m3 ? 16 : 32) + (c.offset == 2 ? 2 * c.bits : 0);
  auto bytes = [&](int64_t columns) {
    return roundUp(columns, block) / block * blockBytes + extra;
  };
  int64_t groupBytes = bytes(c.groupColumns());
  int64_t last = c.inputs - (c.groups() - 1) * c.groupColumns();
  int64_t tileBytes = roundUp((c.groups() - 1) * groupBytes + bytes(last), 64);
  int64_t tiles = (c.outputs + 15) / 16;
  weight =
      std::make_unique<Guarded<uint8_t>>(tiles * tileBytes + (c.e4m3 ? 64 : 0));
  std::memset(weight->data(), 0, weight->size());
  for (int64_t tile = 0; tile < tiles; ++tile)
    for (int64_t group = 0; group < c.groups(); ++group)
      packGroup(weight->data() + tile * tileBytes + group * groupBytes, tile,
                group);
  if (c.e4m3) {
    factor = float(random(1, 1000)) * 1.1e-5f;
    std::memcpy(weight->data() + tiles * tileBytes, &factor, 4);
  }
}

void Problem::makeFloat() {
  int64_t size = c.weights == Weights::F32 ? 4 : 2;
  int64_t tileBytes = roundUp(c.inputs * 16 * size, 64);
  int64_t tiles = (c.outputs + 15) / 16;
  weight = std::make_unique<Guarded<uint8_t>>(tiles * tileBytes);
  std::memset(weight->data(), 0, weight->size());
  weights.resize(c.outputs * c.inputs);
  for (int64_t n = 0; n < c.outputs; ++n)
    for (int64_t k = 0; k < c.inputs; ++k) {
      uint32_t bits = generator();
      float value;
      if (c.weights == Weights::F32) {
        value = float(int32_t(bits)) * 3.1e-9f;
        std::memcpy(&bits, &value, 4);
      } else if (c.weights == Weights::F16) {
        bits &= 0xBFFF; // |w| < 2
        value = f16Value(bits);
      } else {
        bits = (bits & 0x83FF) | 0x3C00;
        uint32_t wide = bits << 16;
        std::memcpy(&value, &wide, 4);
      }
      weights[n * c.inputs + k] = value;
      std::memcpy(weight->data() + n / 16 * tileBytes +
                      (k * 16 + n % 16) * size,
                  &bits, size);
    }
}

/// Spec.md, section 5.2.
void Problem::makeActivations() {
  if (c.weights != Weights::Integer) {
    activations = std::make_unique<Guarded<uint8_t>>(c.tokens * c.xStride * 4);
    for (int64_t i = 0; i < c.tokens * c.xStride; ++i) {
      float value = float(random(-100000, 100000)) * 1.7e-4f;
      x.push_back(value);
      std::memcpy(activations->data() + i * 4, &value, 4);
    }
    return;
  }
  int64_t stride = roundUp(c.inputs, 64) + 64;
  int64_t sumCount = (c.inputs + c.sumColumns() - 1) / c.sumColumns();
  activations =
      std::make_unique<Guarded<uint8_t>>(c.tokens * c.planes * stride);
  std::memset(activations->data(), 0, activations->size());
  scales = std::make_unique<Guarded<float>>(c.tokens);
  sums = std::make_unique<Guarded<int32_t>>(c.tokens * c.planes * sumCount);
  std::fill_n(sums->data(), sums->size(), 0);
  int limit = c.planes == 2 ? 32639 : 127;
  for (int64_t m = 0; m < c.tokens; ++m) {
    (*scales)[m] = float(random(0, 1000)) * 1.3e-6f;
    int sign = m % 2 ? -1 : 1;
    for (int64_t k = 0; k < c.inputs; ++k) {
      int value = int(random(-limit, limit));
      if (c.extreme)
        value = sign * limit;
      else if (random(0, 9) == 0)
        value = random(0, 1) ? limit : -limit;
      q.push_back(value);
      int part[2] = {value, 0};
      if (c.planes == 2) {
        part[0] = (value + 128) >> 8;
        part[1] = value - 256 * part[0];
      }
      for (int p = 0; p < c.planes; ++p) {
        activations->data()[(m * c.planes + p) * stride + k] = part[p];
        (*sums)[(m * c.planes + p) * sumCount + k / c.sumColumns()] += part[p];
      }
    }
  }
}

std::vector<const void *> Problem::arguments(float *y) const {
  std::vector<const void *> result;
  if (c.weights == Weights::Integer)
    result = {activations->data(), scales->data(), sums->data()};
  else
    result = {activations->data()};
  result.push_back(weight->data());
  if (c.bias)
    result.push_back(bias->data());
  if (c.residual)
    result.push_back(c.inPlace ? y : residual->data());
  result.push_back(y);
  return result;
}

/// Spec.md, section 3: total · a.
float Problem::dotInteger(int64_t token, int64_t n) const {
  float total = 0;
  float s = 0;
  for (int64_t slab = 0; slab < c.inputs; slab += 512) {
    float partial = 0;
    int64_t slabEnd = std::min(slab + 512, c.inputs);
    for (int64_t k = slab; k < slabEnd;) {
      int64_t group = k / c.groupColumns();
      int64_t end = std::min(slabEnd, (group + 1) * c.groupColumns());
      s = groupScales[n * c.groups() + group];
      int64_t exact[2] = {0, 0};
      for (; k < end; ++k) {
        int code = codes[n * c.inputs + k];
        int w = c.offset == 0   ? code - (1 << (c.bits - 1))
                : c.offset == 1 ? 2 * code - ((1 << c.bits) - 1)
                                : code - zeros[n * c.groups() + group];
        int value = q[token * c.inputs + k];
        int hi = c.planes == 2 ? (value + 128) >> 8 : value;
        exact[0] += w * hi;
        exact[1] += c.planes == 2 ? w * (value - 256 * hi) : 0;
      }
      float f = c.planes == 2
                    ? std::fma(float(exact[0]), 256.0f, float(exact[1]))
                    : float(exact[0]);
      partial = c.group ? std::fma(f, s, partial) : f;
    }
    total = total + partial;
  }
  float a = (*scales)[token] * (c.offset == 1 ? factor / 2 : factor);
  return c.group ? total * a : (total * s) * a;
}

float Problem::dotFloat(int64_t token, int64_t n) const {
  float total = 0;
  for (int64_t slab = 0; slab < c.inputs; slab += 512) {
    float partial = 0;
    for (int64_t k = slab; k < std::min(slab + 512, c.inputs); ++k)
      partial = std::fma(weights[n * c.inputs + k],
                         x[token * c.xStride + c.xOffset + k], partial);
    total = total + partial;
  }
  return total;
}

std::vector<float> Problem::before() const {
  std::vector<float> y(c.tokens * c.yStride, 12345.0f);
  if (c.inPlace)
    std::copy_n(residual->data(), y.size(), y.begin());
  return y;
}

std::vector<float> Problem::expected() const {
  std::vector<float> result = before();
  for (int64_t m = 0; m < c.tokens; ++m)
    for (int64_t n = 0; n < c.outputs; ++n) {
      float y =
          c.weights == Weights::Integer ? dotInteger(m, n) : dotFloat(m, n);
      if (c.bias)
        y = y + (*bias)[n];
      if (c.residual)
        y = (*residual)[m * (c.inPlace ? c.yStride : c.outputs) + n] + y;
      result[m * c.yStride + n] = y;
    }
  return result;
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
  void complete(Case &c) {
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
void check(const std::vector<Case> &cases, uint64_t seed) {
  std::string text;
  auto name = [](size_t i) { return "k" + std::to_string(i); };
  for (size_t i = 0; i < cases.size(); ++i)
    text += cases[i].text(name(i));
  LinearCode code(text);
  KernelHarness harness(text);
  if (testing::Test::HasFatalFailure())
    return;
  std::vector<int> variants(runnableVariants().begin(),
                            runnableVariants().end());
  variants.push_back(-1);
  size_t compared = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case &c = cases[i];
    Problem problem(c, seed + i);
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
    // As a GPU would run it: threads in order, and in two random orders.
    for (uint64_t schedule : {uint64_t(0), seed + i, seed + i + 1000}) {
      SCOPED_TRACE(c.text(name(i)) + " emulated, schedule " +
                   std::to_string(schedule));
      Guarded<float> y(problem.before());
      int64_t pairs = (c.outputs + 31) / 32;
      harness.run(name(i), emulatedVariant, problem.arguments(y.data()),
                  c.tokens, pairs, schedule);
      ASSERT_TRUE(equalBits(expected.data(), y.data(), expected.size(), "y"));
      ASSERT_TRUE(y.intact() && problem.intact());
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
  std::vector<Case> cases;
  for (int64_t group : {0, 32, 64, 128}) {
    Case c;
    c.bits = bits;
    c.bucket = bucket;
    c.planes = planes;
    c.group = group;
    choices.complete(c);
    cases.push_back(c);
  }
  check(cases, seed);
}

INSTANTIATE_TEST_SUITE_P(Formats, IntegerLinear,
                         testing::Combine(testing::Values(2, 3, 4, 8),
                                          testing::Values<int64_t>(1, 16, 32),
                                          testing::Values(1, 2)));

class FloatLinear
    : public testing::TestWithParam<std::tuple<Weights, int64_t>> {};

TEST_P(FloatLinear, EqualsNaiveLoops) {
  auto [weights, bucket] = GetParam();
  uint64_t seed = baseSeed() * 7919 + int(weights) * 101 + bucket;
  Choices choices(seed);
  std::vector<Case> cases(2);
  for (Case &c : cases) {
    c.weights = weights;
    c.bucket = bucket;
    choices.complete(c);
  }
  check(cases, seed);
}

INSTANTIATE_TEST_SUITE_P(
    Types, FloatLinear,
    testing::Combine(testing::Values(Weights::F32, Weights::F16, Weights::BF16),
                     testing::Values<int64_t>(1, 16, 32)));

/// The largest sums that there are: 512 columns of the largest codes times the
/// largest activations, on each side of every bound that is tracked.
TEST(LinearKernel, HoldsTheLargestSums) {
  std::vector<Case> cases;
  for (int bits : {2, 3, 4, 8})
    for (int64_t group : {0, 128})
      for (int64_t bucket : {1, 32}) {
        Case c;
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
  check(cases, 5);
}

TEST(LinearKernel, DecodesEveryE4M3Scale) {
  std::vector<Case> cases;
  for (int64_t bucket : {1, 32}) {
    Case c;
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
  Case c;
  c.yStride = c.outputs;
  std::string text = c.text("one");
  c.bucket = 32;
  text += c.text("many");
  LinearCode code(text);
  for (uint32_t variant : runnableVariants())
    for (const char *name : {"one", "many"}) {
      Problem problem(c, 1);
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
  EXPECT_NE(refused(weight + "bucket = 1, bias = false, residual = false, "
                             "y_stride = 15")
                .find("'y_stride'"),
            std::string::npos);
}

} // namespace
