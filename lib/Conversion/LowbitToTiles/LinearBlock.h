//===- LinearBlock.h - A linear by blocks of threads ------------*- C++ -*-===//
//
// y = W · x: a block computes 32 outputs (a pair of weight tiles) for some
// tokens at a time. Warps share out the slabs of 512 columns; each computes the
// partial sums of a slab into shared memory, and the block adds them up in the
// order of the slabs (Spec.md, section 3), so split-K changes no bit:
//
//   for each round of W slabs
//     warp w: partial sums of slab W · round + w → shared [w][token][32]
//     barrier; thread: total += shared [0 …][token][output]; barrier
//   thread: scales, bias, residual → y
//
// What a slab's partial sums are is the business of SlabProduct: integers by
// matrix instructions (LinearInteger.cpp), floats by chains of fma
// (LinearFloat.cpp).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_CONVERSION_LOWBITTOTILES_LINEARBLOCK_H
#define LOWBIT_LIB_CONVERSION_LOWBITTOTILES_LINEARBLOCK_H

#include "../LowbitToVector/LinearKernel.h"
#include "TileBuilder.h"
#include <memory>

namespace lowbit {

/// Outputs of a block.
constexpr int64_t pairRows = 2 * tileRows;

/// The arguments of a linear, as addresses.
struct LinearPointers {
  Value q, scales, sums; ///< integer activations
  Value x;               ///< f32 activations, at the first column of the view
  Value weight, bias, residual, y;

  /// How many arguments the kernel has.
  static int64_t count(const LinearKernel &linear);
  static LinearPointers get(const LinearKernel &linear, TileBuilder &t);
};

/// Computes partial sums of slabs, by one warp.
class SlabProduct {
public:
  virtual ~SlabProduct() = default;
  /// What holds for the whole kernel. After TileBuilder::begin.
  virtual void beginKernel(const LinearPointers &pointers) = 0;
  /// Takes up the tokens from `token` on (those that exist of `tokens`).
  virtual void beginTokens(Value token) = 0;
  /// Stores the partial sums of slab `slab`, of `columns` columns, at
  /// `partials` [token][32]; tokens that do not exist may hold anything.
  virtual void emitSlab(Value slab, int64_t columns, Value partials) = 0;
};

std::unique_ptr<SlabProduct> createIntegerProduct(const LinearKernel &linear,
                                                  TileBuilder &t,
                                                  int64_t tokens);
std::unique_ptr<SlabProduct> createFloatProduct(const LinearKernel &linear,
                                                TileBuilder &t, int64_t tokens);

/// The shape of the weights, where it is `digits`, the one that GPU targets
/// serve; else null.
const DigitShape *getDigits(const GroupedWeights &weights);

/// Stored scale of row `lane` (0 … 15) at the scales that start at `scales`.
Value loadScale(TileBuilder &t, const GroupedWeights &weights, Value scales,
                Value lane);

/// The tile of a pair: 2 · pair + half, clamped to the last one (its outputs
/// are then not stored).
Value pairTile(TileBuilder &t, const LinearKernel &linear, Value pair,
               Value half, Value weight);

} // namespace lowbit

#endif // LOWBIT_LIB_CONVERSION_LOWBITTOTILES_LINEARBLOCK_H
