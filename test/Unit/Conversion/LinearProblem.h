//===- LinearProblem.h - Random linears and naive results -------*- C++ -*-===//
//
// One linear to test: its kernel's text, random arguments, packed as Spec.md,
// section 2 says, and the result of loops written from section 3.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TEST_UNIT_CONVERSION_LINEARPROBLEM_H
#define LOWBIT_TEST_UNIT_CONVERSION_LINEARPROBLEM_H

#include "KernelHarness.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <random>

namespace lowbit::test {

/// What the weights of a linear are.
enum class LinearWeights { Integer, F32, F16, BF16, Trellis };

/// Codes that are no plain integers (Spec.md, 1.4 and 1.5).
enum class LinearTable { None, Mxfp4, Nvfp4, Mxfp6, Mxint8, Ternary, Levels };

/// Columns of a block of codes (Spec.md, section 2).
inline int64_t columnsOfBlock(int bits) {
  return bits == 8 ? 4 : bits % 2 ? 32 : bits == 4 ? 8 : 16;
}

/// One linear to test.
struct LinearCase {
  LinearWeights weights = LinearWeights::Integer;
  int bits = 4;
  LinearTable table = LinearTable::None;
  int64_t group = 64; // 0: row
  bool e4m3 = false;
  int offset = 0; // integer, half, stored
  /// Trellis codes: V of each stream, and the window.
  std::vector<int> streams;
  int window = 12;
  int planes = 2;
  /// Columns of activations that share a scale; 0: those of a token.
  int64_t activationGroup = 0;
  int64_t bucket = 1, tokens = 1, outputs = 16, inputs = 64;
  bool bias = false, residual = false, inPlace = false;
  /// Largest codes with the largest activations of one sign.
  bool extreme = false;
  /// E4M3 scales in the order of their codes, so that all occur.
  bool everyScale = false;
  int64_t xOffset = 0, xStride = 0, yStride = 0;

  std::string text(const std::string &name) const;
  /// The attribute of an integer weight.
  std::string format() const;
  bool isE8M0() const {
    return table == LinearTable::Mxfp4 || table == LinearTable::Mxfp6 ||
           table == LinearTable::Mxint8;
  }
  int64_t scaleBytes() const { return e4m3 || isE8M0() ? 1 : 2; }
  /// What a step stands for.
  float unit() const;
  bool isFloat() const {
    return weights != LinearWeights::Integer &&
           weights != LinearWeights::Trellis;
  }
  /// Rows of a tile of a trellis code.
  int64_t trellisRows() const { return 64 * streams.back(); }
  int64_t items() const {
    if (weights == LinearWeights::Trellis)
      return (outputs + trellisRows() - 1) / trellisRows();
    return bucket == 32 ? (outputs + 31) / 32 : (outputs + 15) / 16;
  }
  int64_t groupColumns() const { return group ? group : inputs; }
  int64_t groups() const {
    return (inputs + groupColumns() - 1) / groupColumns();
  }
  /// Columns that one sum of activations covers.
  int64_t sumColumns() const {
    int64_t columns = group ? group : 512;
    return activationGroup ? std::min(columns, activationGroup) : columns;
  }
  /// The value of the kernel's parameter `activation` and what goes with it.
  std::string activationText() const;
};

/// Random data of a case, and the naive result.
class LinearProblem {
public:
  LinearProblem(const LinearCase &c, uint64_t seed);

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
  void makeTrellis();
  void readStrand(size_t stream, const uint8_t *strand, int64_t firstRow);
  void makeActivations();
  /// f of columns begin … end - 1 of one token, w(k) the integer of column k.
  float sumColumns(int64_t token, int64_t begin, int64_t end,
                   llvm::function_ref<int(int64_t)> w) const;
  float dotInteger(int64_t token, int64_t n) const;
  float dotFloat(int64_t token, int64_t n) const;
  float dotTrellis(int64_t token, int64_t n) const;

  LinearCase c;
  std::mt19937_64 generator;
  std::vector<int> codes, zeros; // [n][k], [n][group]
  std::vector<float> groupScales, weights;
  std::vector<std::vector<int>> numbers;        // [stream][n][k]
  std::vector<std::vector<float>> streamScales; // [stream][n]
  std::vector<int> q;                           // [token][k]
  std::vector<float> x;
  float factor = 1;
  std::unique_ptr<Guarded<uint8_t>> weight, activations;
  std::unique_ptr<Guarded<float>> scales, columnScales, bias, residual;
  std::unique_ptr<Guarded<int32_t>> sums;
};

} // namespace lowbit::test

#endif // LOWBIT_TEST_UNIT_CONVERSION_LINEARPROBLEM_H
