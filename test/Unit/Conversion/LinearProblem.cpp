//===- LinearProblem.cpp - Random linears and naive results -----*- C++ -*-===//

#include "LinearProblem.h"
#include "lowbit/Numerics/Float.h"
#include "lowbit/Numerics/TrellisTables.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace lowbit;
using namespace lowbit::test;

static int64_t roundUp(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

std::string LinearCase::activationText() const {
  if (activationGroup)
    return "i4, activation_group = " + std::to_string(activationGroup);
  return planes == 2 ? "i16" : "i8";
}

/// The listed levels of LinearTable::Levels.
static constexpr int testLevels[] = {-127, -80, -3, 0, 1, 2, 50, 100, 101, 127};

/// Step of each code of a table.
static std::vector<int> stepsOf(LinearTable table) {
  std::vector<int> steps;
  switch (table) {
  case LinearTable::None:
    break;
  case LinearTable::Mxfp4:
  case LinearTable::Nvfp4:
    steps = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    break;
  case LinearTable::Mxfp6:
    for (int sign : {1, -1})
      for (int magnitude = 0; magnitude < 32; ++magnitude) {
        int exponent = magnitude / 8, mantissa = magnitude % 8;
        steps.push_back(sign * (exponent == 0
                                    ? mantissa
                                    : (8 + mantissa) << (exponent - 1)));
      }
    break;
  case LinearTable::Mxint8:
    for (int code = 0; code < 256; ++code)
      steps.push_back(code - 128);
    break;
  case LinearTable::Ternary:
    steps = {-1, 0, 1};
    break;
  case LinearTable::Levels:
    steps.assign(std::begin(testLevels), std::end(testLevels));
    break;
  }
  return steps;
}

float LinearCase::unit() const {
  switch (table) {
  case LinearTable::Mxfp4:
  case LinearTable::Nvfp4:
    return 0.5f;
  case LinearTable::Mxfp6:
    return 0.125f;
  case LinearTable::Mxint8:
    return 1.0f / 64;
  case LinearTable::None:
    return offset == 1 ? 0.5f : 1.0f;
  default:
    return 1.0f;
  }
}

std::string LinearCase::format() const {
  static const char *const offsets[] = {"integer", "half", "stored"};
  std::string rest =
      "group = " + (group ? std::to_string(group) : std::string("row")) +
      ", scale = " +
      (isE8M0() ? "f8E8M0FNU"
       : e4m3   ? "f8E4M3FN"
                : "f16");
  switch (table) {
  case LinearTable::None:
    return "#lowbit.int<" + std::to_string(bits) + ", " + rest +
           ", offset = " + offsets[offset] + ">";
  case LinearTable::Ternary:
    return "#lowbit.levels<[-1, 0, 1], " + rest + ">";
  case LinearTable::Levels: {
    std::string list;
    for (int level : testLevels)
      list += (list.empty() ? "" : ", ") + std::to_string(level);
    return "#lowbit.levels<[" + list + "], " + rest + ">";
  }
  default:
    return std::string("#lowbit.micro<") +
           (table == LinearTable::Mxfp6    ? "f6E2M3FN"
            : table == LinearTable::Mxint8 ? "i8"
                                           : "f4E2M1FN") +
           ", " + rest + ">";
  }
}

std::string LinearCase::text(const std::string &name) const {
  static const char *const types[] = {"f32", "f32", "f16", "bf16", "f32"};
  std::string out;
  llvm::raw_string_ostream os(out);
  os << "lowbit.kernel @" << name << " family \"linear\" {type = tensor<"
     << outputs << "x" << inputs << "x" << types[int(weights)];
  if (weights == LinearWeights::Integer) {
    os << ", " << format() << ">, activation = " << activationText();
  } else if (weights == LinearWeights::Trellis) {
    os << ", #lowbit.trellis<streams = [";
    llvm::interleaveComma(streams, os);
    os << "], window = " << window << ">>, activation = " << activationText();
  } else {
    os << ">, activation = f32, x_offset = " << xOffset
       << ", x_stride = " << xStride;
  }
  os << ", bucket = " << bucket << ", bias = " << (bias ? "true" : "false")
     << ", residual = " << (residual ? "true" : "false")
     << ", y_stride = " << yStride << "}\n";
  return out;
}

LinearProblem::LinearProblem(const LinearCase &c, uint64_t seed)
    : c(c), generator(seed) {
  if (c.weights == LinearWeights::Integer)
    makeInteger();
  else if (c.weights == LinearWeights::Trellis)
    makeTrellis();
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
void LinearProblem::packGroup(uint8_t *at, int64_t tile, int64_t group) {
  int64_t first = group * c.groupColumns();
  int64_t columns = std::min(c.groupColumns(), c.inputs - first);
  int64_t block = columnsOfBlock(c.bits);
  int64_t blockBytes = block * 2 * c.bits;
  for (int64_t r = 0; r < 16; ++r) {
    int64_t n = tile * 16 + r;
    if (n >= c.outputs)
      continue;
    for (int64_t k = 0; k < columns; ++k) {
      int code = codes[n * c.inputs + first + k];
      uint8_t *b = at + k / block * blockBytes + r * 4 + k % 4;
      int64_t in = k % block;
      int rest = c.bits;
      for (int width : {8, 4, 2, 1}) {
        if (width > rest)
          continue;
        rest -= width;
        int64_t perVector = 32 / width;
        int digit = code >> rest & ((1 << width) - 1);
        b[in / perVector * 64] |= digit << width * (in % perVector / 4);
        b += block / perVector * 64;
      }
    }
  }
  at += (columns + block - 1) / block * blockBytes;
  int64_t scaleBytes = c.scaleBytes();
  for (int64_t r = 0; r < 16; ++r) {
    int64_t n = tile * 16 + r;
    if (n >= c.outputs)
      continue;
    uint16_t bits = 0;
    if (random(0, 15) != 0)
      bits = c.isE8M0() ? random(90, 150)
             : c.e4m3   ? random(0, 0x7E)
                        : random(0, 0x47FF);
    if (c.everyScale)
      bits = (n * c.groups() + group) % 0x7F;
    std::memcpy(at + r * scaleBytes, &bits, scaleBytes);
    int64_t i = n * c.groups() + group;
    groupScales[i] = c.isE8M0() ? std::ldexp(1.0f, bits - 127)
                     : c.e4m3   ? e4m3ToFloat(bits)
                                : f16ToFloat(bits);
    if (c.offset == 2)
      for (int bit = 0; bit < c.bits; ++bit) {
        int64_t place = r * c.bits + bit;
        at[16 * scaleBytes + place / 8] |= (zeros[i] >> bit & 1) << place % 8;
      }
  }
}

void LinearProblem::makeInteger() {
  int maxCode = (1 << c.bits) - 1;
  if (c.table != LinearTable::None)
    maxCode = int(stepsOf(c.table).size()) - 1;
  codes.resize(c.outputs * c.inputs);
  for (int &code : codes)
    code = c.extreme ? maxCode : int(random(0, maxCode));
  zeros.resize(c.outputs * c.groups());
  for (int &zero : zeros)
    zero = c.extreme ? 0 : int(random(0, maxCode));
  groupScales.resize(c.outputs * c.groups());
  int64_t block = columnsOfBlock(c.bits);
  int64_t blockBytes = block * 2 * c.bits;
  int64_t extra = 16 * c.scaleBytes() + (c.offset == 2 ? 2 * c.bits : 0);
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

void LinearProblem::makeFloat() {
  int64_t size = c.weights == LinearWeights::F32 ? 4 : 2;
  int64_t tileBytes = roundUp(c.inputs * 16 * size, 64);
  int64_t tiles = (c.outputs + 15) / 16;
  weight = std::make_unique<Guarded<uint8_t>>(tiles * tileBytes);
  std::memset(weight->data(), 0, weight->size());
  weights.resize(c.outputs * c.inputs);
  for (int64_t n = 0; n < c.outputs; ++n)
    for (int64_t k = 0; k < c.inputs; ++k) {
      uint32_t bits = generator();
      float value;
      if (c.weights == LinearWeights::F32) {
        value = float(int32_t(bits)) * 3.1e-9f;
        std::memcpy(&bits, &value, 4);
      } else if (c.weights == LinearWeights::F16) {
        bits &= 0xBFFF; // |w| < 2
        value = f16ToFloat(bits);
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

/// Spec.md, section 1.3: the numbers of one strand, step by step.
void LinearProblem::readStrand(size_t stream, const uint8_t *strand,
                               int64_t firstRow) {
  int64_t v = c.streams[stream], vectors = (c.inputs + 3) / 4;
  const TrellisCode &code = *findTrellisCode(int(v), c.window);
  auto bits = [&](int64_t p) {
    int value = 0;
    for (int64_t i = p; i < p + 6; ++i)
      if (i >= 0 && i < vectors * 512)
        value |= (strand[i / 8] >> i % 8 & 1) << (i - p);
    return value;
  };
  for (int64_t t = 0; t < vectors; ++t)
    for (int64_t r = 0; r < 16; ++r)
      for (int64_t j = 0; j < 4; ++j)
        for (int64_t b = 0; b < 4; ++b) {
          const int64_t places[4] = {0, 2, 4, -2};
          int64_t p = 512 * t + 32 * r + 8 * b + places[j];
          int index = bits(p) ^ (int(code.mask) & bits(p + 8));
          if (r % 2 && b == 3 && j == 2)
            index &= 15;
          if (r % 2 == 0 && b == 0 && j == 3)
            index &= 60;
          for (int64_t u = 0; u < v; ++u) {
            int64_t n = firstRow + 64 * u + 16 * j + r, k = 4 * t + b;
            if (n < c.outputs && k < c.inputs)
              numbers[stream][n * c.inputs + k] = code.values[64 * u + index];
          }
        }
}

/// Any bits are a code.
void LinearProblem::makeTrellis() {
  int64_t strandBytes = (c.inputs + 3) / 4 * 64;
  int64_t rows = c.trellisRows(), tileBytes = 0;
  for (int v : c.streams)
    tileBytes += rows / (64 * v) * strandBytes + 2 * rows;
  weight = std::make_unique<Guarded<uint8_t>>(c.items() * tileBytes);
  for (size_t i = 0; i < weight->size(); ++i)
    (*weight)[i] = uint8_t(generator());
  numbers.assign(c.streams.size(), std::vector<int>(c.outputs * c.inputs));
  streamScales.assign(c.streams.size(), std::vector<float>(c.outputs));
  for (int64_t tile = 0; tile < c.items(); ++tile) {
    uint8_t *at = weight->data() + tile * tileBytes;
    for (size_t i = 0; i < c.streams.size(); ++i) {
      for (int64_t row = 0; row < rows; row += 64 * c.streams[i]) {
        readStrand(i, at, tile * rows + row);
        at += strandBytes;
      }
      for (int64_t r = 0; r < rows; ++r, at += 2) {
        uint16_t bits = random(0, 15) ? random(0, 0x47FF) : 0;
        std::memcpy(at, &bits, 2);
        if (tile * rows + r < c.outputs)
          streamScales[i][tile * rows + r] = f16ToFloat(bits);
      }
    }
  }
}

/// Spec.md, section 5.2.
void LinearProblem::makeActivations() {
  if (c.isFloat()) {
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
  int limit = c.planes == 2 ? 32639 : c.activationGroup ? 15 : 127;
  int64_t columnGroups =
      c.activationGroup ? (c.inputs + c.activationGroup - 1) / c.activationGroup
                        : 0;
  columnScales = std::make_unique<Guarded<float>>(c.tokens * columnGroups);
  for (int64_t i = 0; i < c.tokens * columnGroups; ++i)
    (*columnScales)[i] = e4m3ToFloat(uint8_t(random(0, 0x7E)));
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

std::vector<const void *> LinearProblem::arguments(float *y) const {
  std::vector<const void *> result;
  if (!c.isFloat())
    result = {activations->data(), scales->data(), sums->data()};
  else
    result = {activations->data()};
  if (c.activationGroup)
    result.push_back(columnScales->data());
  result.push_back(weight->data());
  if (c.bias)
    result.push_back(bias->data());
  if (c.residual)
    result.push_back(c.inPlace ? y : residual->data());
  result.push_back(y);
  return result;
}

/// Spec.md, section 3: exact sums; with groups of activations a sum of cuts.
float LinearProblem::sumColumns(int64_t token, int64_t begin, int64_t end,
                                llvm::function_ref<int(int64_t)> w) const {
  int64_t exact[2] = {0, 0}, group = c.activationGroup;
  float cuts = 0;
  for (int64_t k = begin; k < end; ++k) {
    int value = q[token * c.inputs + k];
    int hi = c.planes == 2 ? (value + 128) >> 8 : value;
    exact[0] += w(k) * hi;
    exact[1] += c.planes == 2 ? w(k) * (value - 256 * hi) : 0;
    if (group && ((k + 1) % group == 0 || k + 1 == end)) {
      int64_t groups = (c.inputs + group - 1) / group;
      float scale = (*columnScales)[token * groups + k / group];
      cuts = std::fma(float(exact[0]), scale, cuts);
      exact[0] = 0;
    }
  }
  if (group)
    return cuts;
  return c.planes == 2 ? std::fma(float(exact[0]), 256.0f, float(exact[1]))
                       : float(exact[0]);
}

/// Spec.md, section 3: total · a.
float LinearProblem::dotInteger(int64_t token, int64_t n) const {
  float total = 0;
  float s = 0;
  std::vector<int> table = stepsOf(c.table);
  for (int64_t slab = 0; slab < c.inputs; slab += 512) {
    float partial = 0;
    int64_t slabEnd = std::min(slab + 512, c.inputs);
    for (int64_t k = slab; k < slabEnd;) {
      int64_t group = k / c.groupColumns();
      int64_t end = std::min(slabEnd, (group + 1) * c.groupColumns());
      s = groupScales[n * c.groups() + group];
      float f = sumColumns(token, k, end, [&](int64_t column) {
        int code = codes[n * c.inputs + column];
        return !table.empty()  ? table[code]
               : c.offset == 0 ? code - (1 << (c.bits - 1))
               : c.offset == 1 ? 2 * code - ((1 << c.bits) - 1)
                               : code - zeros[n * c.groups() + group];
      });
      k = end;
      partial = c.group ? std::fma(f, s, partial) : f;
    }
    total = total + partial;
  }
  float a = (*scales)[token] * (factor * c.unit());
  return c.group ? total * a : (total * s) * a;
}

/// Spec.md, section 3: t · a.
float LinearProblem::dotTrellis(int64_t token, int64_t n) const {
  float t = 0;
  for (size_t i = 0; i < c.streams.size(); ++i) {
    float total = 0;
    for (int64_t slab = 0; slab < c.inputs; slab += 512) {
      int64_t end = std::min(slab + 512, c.inputs);
      total = total + sumColumns(token, slab, end, [&](int64_t column) {
                return numbers[i][n * c.inputs + column];
              });
    }
    t = i == 0 ? total * streamScales[i][n]
               : std::fma(total, streamScales[i][n], t);
  }
  return t * (*scales)[token];
}

float LinearProblem::dotFloat(int64_t token, int64_t n) const {
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

std::vector<float> LinearProblem::before() const {
  std::vector<float> y(c.tokens * c.yStride, 12345.0f);
  if (c.inPlace)
    std::copy_n(residual->data(), y.size(), y.begin());
  return y;
}

std::vector<float> LinearProblem::expected() const {
  std::vector<float> result = before();
  for (int64_t m = 0; m < c.tokens; ++m)
    for (int64_t n = 0; n < c.outputs; ++n) {
      float y = c.weights == LinearWeights::Integer   ? dotInteger(m, n)
                : c.weights == LinearWeights::Trellis ? dotTrellis(m, n)
                                                      : dotFloat(m, n);
      if (c.bias)
        y = y + (*bias)[n];
      if (c.residual)
        y = (*residual)[m * (c.inPlace ? c.yStride : c.outputs) + n] + y;
      result[m * c.yStride + n] = y;
    }
  return result;
}
