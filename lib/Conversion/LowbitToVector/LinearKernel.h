//===- LinearKernel.h - One linear to generate ------------------*- C++ -*-===//
//
// The parameters of `lowbit.kernel @k family "linear" {…}` (Spec.md, 5.4) as
// plain numbers, and the arguments of its function as SSA values.
//
// Names: a linear has `outputs` rows of weights (N) and `inputs` columns (K);
// the rows of activations are called tokens.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARKERNEL_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARKERNEL_H

#include "GroupedWeights.h"
#include "lowbit/Conversion/KernelFamilies.h"
#include "lowbit/Numerics/TrellisFormat.h"
#include <optional>

namespace lowbit {

/// Columns after which partial sums are added (Spec.md, section 3).
constexpr int64_t slabColumns = 512;
/// Columns of activations that one step of a dot product takes.
constexpr int64_t stepColumns = 4;

/// The streams of a trellis-coded weight.
struct TrellisStreams {
  TrellisFormat format;
  TrellisGeometry geometry;
};

/// A linear, without SSA values.
struct LinearKernel {
  int64_t outputs = 0;
  int64_t inputs = 0;
  /// Element type of float weights; null for integers.
  mlir::Type weightType;
  /// Integers only. Of a trellis code: what its decoded numbers are, bytes
  /// with zero point 128 and one scale per row.
  GroupedWeights weights;
  std::optional<TrellisStreams> trellis;
  /// Planes of signed bytes of the activations: 2, 1, or 0 for f32.
  int64_t planes = 0;
  /// Smallest token count that the kernel is for: 1, 2 or 32, named 1, 16, 32.
  int64_t bucket = 1;
  bool hasBias = false;
  bool hasResidual = false;
  /// Elements; x of f32 activations only.
  int64_t xOffset = 0, xStride = 0, yStride = 0;

  /// Reads the parameters; emits a diagnostic on what is missing or unknown.
  static mlir::FailureOr<LinearKernel> get(KernelOp kernel);

  bool isInteger() const { return !weightType; }
  /// One group for the whole row.
  bool isRowScaled() const { return isInteger() && weights.group == 0; }
  int64_t tiles() const { return (outputs + tileRows - 1) / tileRows; }
  /// Bytes of a tile of weights, either kind.
  int64_t tileBytes() const;
  /// Tiles of one work item (a trellis code: its tile, see TrellisStreams).
  int64_t itemTiles() const { return bucket == 32 ? 2 : 1; }
  /// Whether up to rowWalkTokens tokens of a larger bucket take the walk of one
  /// token: where decoding to a panel costs more than decoding again.
  bool hasRowWalk(const TargetInfo &target) const {
    return bucket == 16 && target.hasAvx2 && !target.hasAvx512Vnni;
  }
  static constexpr int64_t rowWalkTokens = 4;
  /// Bytes of one plane of a row of activations (Spec.md, 5.2).
  int64_t planeStride() const { return (inputs + 63) / 64 * 64 + 64; }
  /// Sums of activations per plane: one for each group, or each slab.
  int64_t sumCount() const;
  /// Columns that one exact integer sum covers at most: a group or a slab.
  int64_t sumColumns() const;
  /// Both planes fit one i32: i = 256·hi + lo. Then f of Spec.md, section 3 is
  /// float(i): hi and lo are below 2^24, so the fma rounds 256·hi + lo once.
  bool combinesPlanes() const;
  /// Whether one i32 holds the sums of 16-bit activations times codes, or
  /// steps, of at most `largest`.
  bool sumFits(int64_t largest) const;
};

/// The arguments of a kernel function, loaded.
struct LinearArguments {
  Value q, scales, sums; ///< integer activations
  Value x;               ///< f32 activations, at the first column of the view
  Value weight, bias, residual, y;
  Value tokens;     ///< i64
  Value begin, end; ///< i64, tiles of this thread
  Value scratch;

  static LinearArguments load(const LinearKernel &linear, KernelBuilder &k,
                              const KernelArguments &arguments);
};

/// Emits the three walks of integer weights and the two of float weights.
void emitIntegerRow(const LinearKernel &linear, KernelBuilder &k,
                    const LinearArguments &arguments);
void emitIntegerPanel(const LinearKernel &linear, KernelBuilder &k,
                      const LinearArguments &arguments);
void emitFloatLinear(const LinearKernel &linear, KernelBuilder &k,
                     const LinearArguments &arguments);

/// Scratch of those walks, the largest of all variants.
int64_t integerScratchBytes(const LinearKernel &linear);
int64_t floatScratchBytes(const LinearKernel &linear);

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARKERNEL_H
